"""Any embedder behind a store on disk, safe with several processes."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import TextEmbedder
from audioprobe.serialize import to_json
from audioprobe.types import ComponentInfo, FloatArray

SCHEMA_VERSION = 1

_CREATE = """
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID
"""
_BUSY_S = 60.0  # another process writes a chunk in milliseconds
_PER_QUERY = 500  # variables in one statement; sqlite's lowest limit is 999


class CachedEmbedder:
    """Asks the inner embedder only for texts that the store lacks.

    Vectors are kept by model, revision, options and text, in an sqlite file in write-ahead mode:
    several processes may use it at once, on a local disk. Each finished chunk is written before the
    next is asked for, so an interruption repeats at most one. The cache changes no answer and is
    not part of the provenance.

    Args:
        inner: the embedder.
        path: the store; made, with its folder, if need be.
        chunk: texts asked for at once.

    Raises:
        InvalidInputError: if the file is no such store, damaged, or of a newer version.
    """

    def __init__(self, inner: TextEmbedder, path: str | Path, *, chunk: int = 512) -> None:
        if chunk < 1:
            raise InvalidInputError(f"chunk must be at least 1, got {chunk}.")
        self._inner = inner
        self._path = Path(path)
        self._chunk = chunk
        self.n_hits = 0
        self.n_misses = 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._store() as store:
            found = store.execute("PRAGMA user_version").fetchone()[0]
            if found > SCHEMA_VERSION:
                raise InvalidInputError(
                    f"{self._path}: written by a newer audioprobe (version {found} of the store, "
                    f"this one reads {SCHEMA_VERSION}). Update, or use another file."
                )
            store.execute("PRAGMA journal_mode=WAL")
            store.execute(_CREATE)
            store.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    @property
    def info(self) -> ComponentInfo:
        """That of the inner embedder."""
        return self._inner.info

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        Raises:
            InvalidInputError: if the store is damaged.
            RemoteError: from the inner embedder; finished chunks are kept.
        """
        if not texts:
            return self._inner.embed(texts)
        scope = json.dumps(json.loads(to_json(self.info)), sort_keys=True)
        keys = {text: _key(scope, text) for text in texts}
        known = self._read(list(keys.values()))
        missing = [text for text, key in keys.items() if key not in known]
        self.n_hits += len(keys) - len(missing)
        self.n_misses += len(missing)
        for start in range(0, len(missing), self._chunk):
            chunk = missing[start : start + self._chunk]
            vectors = np.asarray(self._inner.embed(chunk), dtype="<f4")
            fresh = {keys[text]: vector for text, vector in zip(chunk, vectors, strict=True)}
            self._write(fresh)
            known |= fresh
        return np.stack([known[keys[text]] for text in texts]).astype(np.float32)

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        found: dict[bytes, FloatArray] = {}
        with self._store() as store:
            for start in range(0, len(keys), _PER_QUERY):
                some = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - marks only
                for key, blob in store.execute(query, some):
                    found[key] = self._vector(blob)
        return found

    def _vector(self, blob: bytes) -> FloatArray:
        if not blob or len(blob) % 4:
            raise InvalidInputError(f"{self._path}: holds a damaged vector. Remove the file.")
        return np.frombuffer(blob, dtype="<f4")

    def _write(self, vectors: dict[bytes, FloatArray]) -> None:
        rows = [(key, vector.tobytes()) for key, vector in vectors.items()]
        with self._store() as store:
            store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _store(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction; opening is cheap, and threads and forks stay apart."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as store, store:
                yield store
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"{self._path}: not usable as a store of vectors ({error}). If it is damaged or "
                "something else, remove it or name another file."
            ) from error


def _key(scope: str, text: str) -> bytes:
    content = f"{scope}\n{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()
