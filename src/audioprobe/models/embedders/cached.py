"""Any embedder behind a store on disk, safe with several processes."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.io.cache import SQLiteCache, key_of, scope_of
from audioprobe.protocols import TextEmbedder, TextLimit
from audioprobe.types import ComponentInfo, FloatArray


class CachedEmbedder:
    """Asks the inner embedder only for texts that the store lacks.

    Vectors are kept by model, revision, options and text, in an sqlite file that several processes
    may use at once, on a local disk. Each finished chunk is written before the next is asked for,
    so an interruption repeats at most one. The cache changes no answer and is not part of the
    provenance. Whatever comes back is what the store holds: where two processes ask for one text at
    once, the first answer counts for both.

    Args:
        inner: the embedder.
        path: the store; made, with its folder, if need be.
        chunk: texts asked for at once.

    Attributes:
        n_hits: distinct texts of each call that the store had, so far.
        n_misses: distinct texts of each call that it lacked.

    Raises:
        InvalidInputError: if the file is no such store, damaged, or of a newer version; it is left
            as it is.
    """

    def __init__(self, inner: TextEmbedder, path: str | Path, *, chunk: int = 512) -> None:
        if chunk < 1:
            raise InvalidInputError(f"chunk must be at least 1, got {chunk}.")
        self._inner = inner
        self._chunk = chunk
        self.n_hits = 0
        self.n_misses = 0
        self._lock = threading.Lock()
        self._store = SQLiteCache(path)

    @property
    def info(self) -> ComponentInfo:
        """That of the inner embedder."""
        return self._inner.info

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """As the inner embedder says; None where it cannot."""
        return self._inner.excess_tokens(texts) if isinstance(self._inner, TextLimit) else None

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        Raises:
            InvalidInputError: if the store is damaged.
            ContractError: if the inner embedder answers with anything but a finite row per text.
            RemoteError: from the inner embedder; finished chunks are kept.
        """
        if not texts:
            return self._inner.embed(texts)
        scope = scope_of(self.info)
        keys = {text: key_of(scope, text) for text in texts}
        known = self._store.read(list(keys.values()))
        missing = [text for text, key in keys.items() if key not in known]
        with self._lock:
            self.n_hits += len(keys) - len(missing)
            self.n_misses += len(missing)
        for start in range(0, len(missing), self._chunk):
            chunk = missing[start : start + self._chunk]
            rows = zip(chunk, self._ask(chunk), strict=True)
            self._store.write({keys[text]: row.tobytes() for text, row in rows})
            known |= self._store.read([keys[text] for text in chunk])
        found = [self._vector(known[keys[text]]) for text in texts]
        widths = {vector.size for vector in found}
        if len(widths) > 1:
            raise InvalidInputError(
                f"{self._store.path}: has vectors of unequal width {sorted(widths)} for the "
                f"embedder {self.info.name!r}. It may have changed under its name: use another "
                "file."
            )
        return np.stack(found).astype(np.float32)

    def _ask(self, texts: list[str]) -> FloatArray:
        """The inner embedder's vectors, checked, for what is stored once is used for good."""
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            vectors = np.asarray(self._inner.embed(texts), dtype="<f4")
        if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1]:
            raise ContractError(
                f"The embedder {self.info.name!r} was given {len(texts)} texts and answered with "
                f"an array of shape {vectors.shape}: expected one row per text."
            )
        if not np.isfinite(vectors).all():
            raise ContractError(
                f"The embedder {self.info.name!r} answered with NaN or infinity, which is not "
                "stored."
            )
        return vectors

    def _vector(self, content: bytes) -> FloatArray:
        vector = np.frombuffer(content, dtype="<f4") if len(content) % 4 == 0 else np.empty(0)
        if not vector.size or not np.isfinite(vector).all():
            raise self._store.damaged()
        return vector

    def __getstate__(self) -> dict[str, object]:
        """Without the lock: a copy in another process counts for itself."""
        return {k: v for k, v in self.__dict__.items() if k != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
