"""Persistent caches on disk for the responses and embeddings of models."""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from audioprobe.errors import InvalidInputError
from audioprobe.io.json_codec import to_json
from audioprobe.types import ComponentInfo

SCHEMA_VERSION = 2

_CREATE = """
CREATE TABLE answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL, crc INTEGER NOT NULL)
WITHOUT ROWID
"""
_BUSY_TIMEOUT_S = 60.0  # a writing process needs only milliseconds
_MAX_VARIABLES = 500  # per SQL statement; SQLite's lowest limit is 999


class ResponseCache(Protocol):
    """Interface of a persistent map from keys to values; a stored value is never replaced.

    Attributes:
        path: file of the cache, used in error messages.
    """

    path: Path

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values of the given keys; keys without a stored value are omitted."""
        ...

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store all values in one transaction, and return after they are written to disk."""
        ...


class SQLiteCache:
    """A cache in one SQLite file.

    The file uses write-ahead logging: several processes on a local disk may use it at the same
    time, and values that were written survive when the process is killed. Embeddings and responses
    may be stored in the same file, because their keys differ.

    Args:
        path: file of the cache; the file and its folder are created if necessary.

    Raises:
        InvalidInputError: if the file is damaged, is not a cache, or has another schema version.
            The file is not changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(
                f"{self.path.parent}: the folder cannot be created ({error.strerror}). "
                "Choose another path."
            ) from error
        with self._connection() as connection:
            self._initialize(connection)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values of the given keys; keys without a stored value are omitted.

        Raises:
            InvalidInputError: if a value is damaged.
        """
        values: dict[bytes, bytes] = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _MAX_VARIABLES):
                chunk = keys[start : start + _MAX_VARIABLES]
                marks = ",".join("?" * len(chunk))
                # Only question marks are inserted into the SQL statement.
                query = f"SELECT key, answer, crc FROM answers WHERE key IN ({marks})"  # noqa: S608
                for key, value, crc in connection.execute(query, chunk):
                    if zlib.crc32(value) != crc:
                        raise damaged_value(self.path)
                    values[key] = value
        return values

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store all values in one transaction; existing values are not replaced."""
        rows = [(key, value, zlib.crc32(value)) for key, value in values.items()]
        with self._connection() as connection:
            connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)

    def _initialize(self, connection: sqlite3.Connection) -> None:
        """Create the table in a new file; raise for any other file without changing it."""
        if not _schema_version(connection):
            connection.execute("BEGIN IMMEDIATE")
            if not _schema_version(connection):  # otherwise another process created the table
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise InvalidInputError(
                        f"{self.path}: expected a cache, got an SQLite file of another program. "
                        "Choose another path."
                    )
                connection.execute(_CREATE)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.commit()
        version = _schema_version(connection)
        if version != SCHEMA_VERSION:
            raise InvalidInputError(
                f"{self.path}: expected a cache with schema version {SCHEMA_VERSION}, got "
                f"{version}. Use the version of audioprobe that wrote it, or choose another path."
            )
        # An error here is harmless: other journal modes work, too, but are slower.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for one transaction; threads and forks must not share connections."""
        try:
            opened = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S)
            with closing(opened) as connection, connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise InvalidInputError(
                f"{self.path}: the cache cannot be read or written ({error}). Check that the "
                "folder is writable, the disk is not full and no other program locks the file."
            ) from error
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"{self.path}: expected a cache, got a damaged file or a file of another "
                f"program ({error}). Move it away, or choose another path."
            ) from error


def open_cache(cache: str | Path | ResponseCache) -> ResponseCache:
    """Open a `SQLiteCache` at a path; if `cache` is already a cache, return it unchanged."""
    return SQLiteCache(cache) if isinstance(cache, str | Path) else cache


def damaged_value(path: Path) -> InvalidInputError:
    """Return the error to raise if a stored value fails its integrity check."""
    return InvalidInputError(
        f"{path}: the cache contains a damaged value. Move the file away, or choose another path."
    )


def scope_of(info: ComponentInfo) -> str:
    """Return a text that identifies a component, regardless of the order of its options."""
    return json.dumps(json.loads(to_json(info)), sort_keys=True)


def key_of(scope: str, item: str) -> bytes:
    """Return the 32-byte key of an item (a text or the digest of a prompt) within a scope."""
    return hashlib.sha256(f"{scope}\n{item}".encode("utf-8", "surrogatepass")).digest()


def _schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
