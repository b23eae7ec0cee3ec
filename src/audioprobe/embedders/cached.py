"""Any embedder behind a store on disk, safe with several processes."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.protocols import TextEmbedder
from audioprobe.serialize import to_json
from audioprobe.types import ComponentInfo, FloatArray

SCHEMA_VERSION = 1

_CREATE = """
CREATE TABLE vectors (key BLOB PRIMARY KEY, width INTEGER NOT NULL, vector BLOB NOT NULL)
WITHOUT ROWID
"""
_BUSY_S = 60.0  # another process writes a chunk in milliseconds
_PER_QUERY = 500  # variables in one statement; sqlite's lowest limit is 999


class CachedEmbedder:
    """Asks the inner embedder only for texts that the store lacks.

    Vectors are kept by model, revision, options and text, in an sqlite file in write-ahead mode:
    several processes may use it at once, on a local disk. Each finished chunk is written before the
    next is asked for, so an interruption repeats at most one. The cache changes no answer and is
    not part of the provenance. Whatever comes back is what the store holds: where two processes ask
    for one text at once, the first answer counts for both.

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
        self._path = Path(path)
        self._chunk = chunk
        self.n_hits = 0
        self.n_misses = 0
        self._lock = threading.Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(
                f"{self._path.parent}: cannot be made ({error.strerror}). Name another path."
            ) from error
        with self._store() as store:
            self._prepare(store)

    @property
    def info(self) -> ComponentInfo:
        """That of the inner embedder."""
        return self._inner.info

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        Raises:
            InvalidInputError: if the store is damaged.
            ContractError: if the inner embedder answers with anything but a finite row per text.
            RemoteError: from the inner embedder; finished chunks are kept.
        """
        if not texts:
            return self._inner.embed(texts)
        scope = json.dumps(json.loads(to_json(self.info)), sort_keys=True)
        keys = {text: _key(scope, text) for text in texts}
        known = self._read(list(keys.values()))
        missing = [text for text, key in keys.items() if key not in known]
        with self._lock:
            self.n_hits += len(keys) - len(missing)
            self.n_misses += len(missing)
        for start in range(0, len(missing), self._chunk):
            chunk = missing[start : start + self._chunk]
            self._write({keys[text]: vector for text, vector in self._ask(chunk)})
            known |= self._read([keys[text] for text in chunk])
        found = [known[keys[text]] for text in texts]
        widths = {vector.size for vector in found}
        if len(widths) > 1:
            raise InvalidInputError(
                f"{self._path}: has vectors of unequal width {sorted(widths)} for the embedder "
                f"{self.info.name!r}. It may have changed under its name: use another file."
            )
        return np.stack(found).astype(np.float32)

    def _ask(self, texts: list[str]) -> Iterator[tuple[str, FloatArray]]:
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
        return zip(texts, vectors, strict=True)

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        found: dict[bytes, FloatArray] = {}
        with self._store() as store:
            for start in range(0, len(keys), _PER_QUERY):
                some = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(some))
                # Nothing but question marks is put into the statement.
                query = f"SELECT key, width, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608
                for key, width, blob in store.execute(query, some):
                    found[key] = self._vector(width, blob)
        return found

    def _vector(self, width: int, blob: bytes) -> FloatArray:
        vector = np.frombuffer(blob, dtype="<f4") if len(blob) == 4 * width else np.empty(0)
        if not vector.size or not np.isfinite(vector).all():
            raise InvalidInputError(
                f"{self._path}: holds a damaged vector. Move the file away, or name another."
            )
        return vector

    def _write(self, vectors: dict[bytes, FloatArray]) -> None:
        rows = [(key, vector.size, vector.tobytes()) for key, vector in vectors.items()]
        with self._store() as store:
            store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)

    def _prepare(self, store: sqlite3.Connection) -> None:
        """Make the table in a new file; refuse other files, and leave them alone."""
        if not _version(store):
            store.execute("BEGIN IMMEDIATE")
            # Another process may have been quicker.
            if not _version(store):
                if store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise InvalidInputError(
                        f"{self._path}: an sqlite file of something else. Name another file."
                    )
                store.execute(_CREATE)
                store.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            store.commit()
        found = _version(store)
        if found > SCHEMA_VERSION:
            raise InvalidInputError(
                f"{self._path}: written by a newer audioprobe (version {found} of the store, "
                f"this one reads {SCHEMA_VERSION}). Update, or use another file."
            )
        # Other modes do as well, slower: it is no matter if another process is about to set it.
        with suppress(sqlite3.OperationalError):
            store.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def _store(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction; opening is cheap, and threads and forks stay apart."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as store, store:
                yield store
        except sqlite3.OperationalError as error:
            raise InvalidInputError(
                f"{self._path}: the store cannot be read or written ({error}). See that the folder "
                "is writable, the disk not full and no other program keeps the file locked."
            ) from error
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"{self._path}: not usable as a store of vectors ({error}). It is damaged or "
                "something else: move it away, or name another file."
            ) from error

    def __getstate__(self) -> dict[str, object]:
        """Without the lock: a copy in another process counts for itself."""
        return {k: v for k, v in self.__dict__.items() if k != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _version(store: sqlite3.Connection) -> int:
    found: int = store.execute("PRAGMA user_version").fetchone()[0]
    return found


def _key(scope: str, text: str) -> bytes:
    content = f"{scope}\n{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()
