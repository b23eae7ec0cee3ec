"""Text embedders with a cache on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.io.cache import ResponseCache, damaged_value, key_of, open_cache
from audioprobe.io.json_codec import canonical_json
from audioprobe.models.concurrency import PicklableLock
from audioprobe.protocols import TextEmbedder
from audioprobe.spending import Spending, spending_of
from audioprobe.texts import TextLimit
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr


class CachedEmbedder(InfoRepr):
    """A text embedder with a cache; only texts without a stored vector are sent to the embedder.

    The cache key of a vector consists of the embedder's `info` and the text. Texts are embedded in
    chunks. Each chunk is stored before the next is embedded, so that an interruption loses at most
    one chunk. If two processes embed the same text at the same time, both return the vector that
    was stored first.

    Args:
        embedder: the text embedder.
        cache: path of an SQLite file, or a cache object such as `SQLiteCache`.
        chunk: number of texts that are embedded and stored together.

    Attributes:
        n_hits: number of texts found in the cache; equal texts in one call count once.
        n_misses: number of texts embedded; equal texts in one call count once.

    Raises:
        InvalidInputError: if the file is not a cache, is damaged, or has another schema version.
    """

    def __init__(
        self, embedder: TextEmbedder, cache: str | Path | ResponseCache, *, chunk: int = 512
    ) -> None:
        if chunk < 1:
            raise InvalidInputError(f"chunk must be at least 1, got {chunk}.")
        self._embedder = embedder
        self._cache = open_cache(cache)
        self._chunk = chunk
        self._lock = PicklableLock()
        self.n_hits = 0
        self.n_misses = 0

    @property
    def info(self) -> ComponentInfo:
        """The embedder's `info`; caching does not change vectors."""
        return self._embedder.info

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the number of tokens that the embedder ignores in each text; None if unknown."""
        embedder = self._embedder
        return embedder.excess_tokens(texts) if isinstance(embedder, TextLimit) else None

    @property
    def spending(self) -> Spending | None:
        """Spending of the embedder; None if it is local."""
        return spending_of(self._embedder)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        Raises:
            InvalidInputError: if a stored vector is damaged.
            ContractError: if the embedder does not return one finite row per text.
            RemoteError: if the embedder raises one; earlier chunks are stored.
        """
        if not texts:
            return self._embedder.embed(texts)
        scope = canonical_json(self.info)
        keys = {text: key_of(scope, text) for text in texts}
        stored = self._cache.read(list(keys.values()))
        missing = [text for text, key in keys.items() if key not in stored]
        with self._lock:
            self.n_hits += len(keys) - len(missing)
            self.n_misses += len(missing)
        for start in range(0, len(missing), self._chunk):
            chunk = missing[start : start + self._chunk]
            rows = zip(chunk, self._embed_checked(chunk), strict=True)
            self._cache.write({keys[text]: row.tobytes() for text, row in rows})
            stored |= self._cache.read([keys[text] for text in chunk])
        vectors = [self._vector(stored[keys[text]]) for text in texts]
        widths = {vector.size for vector in vectors}
        if len(widths) > 1:
            raise InvalidInputError(
                f"{self._cache.path}: the stored vectors of the embedder {self.info.name!r} have "
                f"unequal widths {sorted(widths)}. The service may have changed the model. Choose "
                "another path for a new cache."
            )
        return np.stack(vectors).astype(np.float32)

    def _embed_checked(self, texts: list[str]) -> FloatArray:
        """Embed texts; raise `ContractError` unless each text has a row of finite numbers."""
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which raises below
            vectors = np.asarray(self._embedder.embed(texts), dtype="<f4")
        if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1]:
            raise ContractError(
                f"Expected one row per text from the embedder {self.info.name!r} for {len(texts)} "
                f"texts, got an array of shape {vectors.shape}."
            )
        if not np.isfinite(vectors).all():
            raise ContractError(
                f"Expected finite vectors from the embedder {self.info.name!r}, got NaN or "
                "infinity. The vectors were not stored."
            )
        return vectors

    def _vector(self, content: bytes) -> FloatArray:
        """Convert stored bytes to a vector; raise `InvalidInputError` if they are damaged."""
        vector = np.frombuffer(content, dtype="<f4") if len(content) % 4 == 0 else np.empty(0)
        if not vector.size or not np.isfinite(vector).all():
            raise damaged_value(self._cache.path)
        return vector
