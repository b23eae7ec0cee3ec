"""Caches on disk for the responses and embeddings of models."""

import hashlib
import json
import math
import os
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from audioprobe.errors import InvalidInputError
from audioprobe.parsing import parse_json

SCHEMA_VERSION = 2

_CREATE = """
CREATE TABLE answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL, crc INTEGER NOT NULL)
WITHOUT ROWID
"""
_BUSY_TIMEOUT_S = 60.0  # a writing process needs only milliseconds
_SYNC_INTERVAL_S = 1.0  # shortest time between two synchronisations of a response log
_LINE = re.compile(rb'\{"key": "([0-9a-f]{64})", "answer": (.*), "crc": ([0-9]{1,10})\}\n')
_MAX_VARIABLES = 500  # per SQL statement; SQLite's lowest limit is 999


class ResponseCache(Protocol):
    """Interface of a cache on disk, a map from keys to values (bytes).

    A value that is already stored is never replaced.

    Attributes:
        path: file of the cache.
    """

    path: Path

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values by key; keys without a stored value are omitted."""
        ...

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values by key, all or none, and return after they are written to disk."""
        ...


class SQLiteCache:
    """A cache in one SQLite file, for responses and embeddings.

    Several processes on a local disk may use the file at the same time. Written values are not lost
    if a process is killed (write-ahead logging).

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
        """Return the stored values by key; keys without a stored value are omitted.

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
        """Open a connection for one transaction, because threads must not share connections."""
        try:
            opened = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S)
            with closing(opened) as connection, connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise InvalidInputError(
                f"{self.path}: the cache cannot be read or written ({error}). Check that the "
                "folder is writable, the disk is not full and no other program locks the file."
            ) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter in its messages
            raise InvalidInputError(
                f"{self.path}: expected a cache, got a damaged file or a file of another "
                f"program ({error}). Move it away, or choose another path."
            ) from error


class ResponseLog:
    """A cache of the responses of one run, in a text file with one JSON object per line.

    The values stay in the file. Memory contains their positions: about 200 bytes per response.

    Only one process may write to the file. If a killed process left an incomplete last line, this
    line is removed, and its prompt is sent again. A line survives the end of the process as soon as
    it is written. The disk is synchronised at most once per second, so that a power failure can
    lose the responses of the last second.

    Args:
        path: file of the log, created if necessary; its folder must exist.

    Attributes:
        truncated: whether an incomplete last line was removed.

    Raises:
        InvalidInputError: if a line is damaged; the file is not changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.truncated = False
        self._positions: dict[bytes, int] = {}  # position of each line in the file, in bytes
        self._synced = -math.inf  # time of the last synchronisation, in seconds
        self._load()

    def __len__(self) -> int:
        return len(self._positions)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values by key; keys without a stored value are omitted.

        Raises:
            InvalidInputError: if a line was damaged after the log was opened.
        """
        stored = [key for key in keys if key in self._positions]
        if not stored:
            return {}
        values = {}
        with self.path.open("rb") as stream:
            for key in stored:
                stream.seek(self._positions[key])
                _, values[key] = self._parse(stream.readline())
        return values

    def read_all(self) -> dict[bytes, bytes]:
        """Return all stored values by key."""
        return self.read(list(self._positions))

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Append values, which are JSON texts in UTF-8; existing values are not replaced.

        Raises:
            InvalidInputError: if a value is not valid JSON. An embedding, for example, is not JSON.
            OSError: if the disk is full or not writable; earlier lines are not lost.
        """
        new = {key: value for key, value in values.items() if key not in self._positions}
        if not new:
            return
        try:
            lines = [_line(key, value) for key, value in new.items()]
        except ValueError as error:
            raise InvalidInputError(
                f"{self.path}: expected values in JSON. Use a SQLiteCache for embeddings."
            ) from error
        size = self.path.stat().st_size
        try:
            with self.path.open("ab") as stream:
                stream.write(b"".join(lines))
                stream.flush()
                if time.monotonic() >= self._synced + _SYNC_INTERVAL_S:
                    os.fsync(stream.fileno())
                    self._synced = time.monotonic()
        except OSError as error:
            with suppress(OSError):  # if this fails, the next start removes the line
                os.truncate(self.path, size)
            message = f"{error.strerror}; {len(self)} responses are stored. Free space and restart"
            raise OSError(error.errno, message, str(self.path)) from error
        for key, line in zip(new, lines, strict=True):
            self._positions[key] = size
            size += len(line)

    def _load(self) -> None:
        """Check all lines of the file, and store their positions; remove an incomplete last one."""
        self.path.touch()
        position = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    self.truncated = True
                    break
                key, _ = self._parse(line, f"line {number}")
                self._positions.setdefault(key, position)
                position += len(line)
        if self.truncated:
            os.truncate(self.path, position)

    def _parse(self, line: bytes, place: str = "a line") -> tuple[bytes, bytes]:
        """Return the key and the value in a line.

        Raises:
            InvalidInputError: if the line is damaged.
        """
        written = _LINE.fullmatch(line)  # ten times as fast as parsing JSON
        if written and zlib.crc32(written[2]) == int(written[3]):
            return bytes.fromhex(written[1].decode()), written[2]
        error = InvalidInputError(
            f"{self.path}: {place} is damaged. Delete this line to send its prompt again, or "
            "move the file away to send all prompts again."
        )
        try:
            entry = parse_json(line)
            key, value = bytes.fromhex(entry["key"]), json.dumps(entry["answer"]).encode()
            is_intact = entry["crc"] == zlib.crc32(value)
        except (ValueError, KeyError, TypeError) as cause:
            raise error from cause
        if not is_intact:
            raise error
        return key, value


def open_cache(cache: str | Path | ResponseCache) -> ResponseCache:
    """Open a `SQLiteCache` at a path; if `cache` is already a cache, return it unchanged."""
    return SQLiteCache(cache) if isinstance(cache, str | Path) else cache


def damaged_value(path: Path) -> InvalidInputError:
    """Return the error to raise if a stored value does not match its checksum."""
    return InvalidInputError(
        f"{path}: the cache contains a damaged value. Move the file away, or choose another path."
    )


def key_of(scope: str, item: str) -> bytes:
    """Return the key (32 bytes) for the output of a model in a cache.

    Args:
        scope: text that identifies the model and its options.
        item: the input of the model: a text, or the digest of a prompt.
    """
    return hashlib.sha256(f"{scope}\n{item}".encode("utf-8", "surrogatepass")).digest()


def _schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _line(key: bytes, value: bytes) -> bytes:
    """Return the line of a `ResponseLog` for a key and a value, with a checksum."""
    content = json.loads(value)
    crc = zlib.crc32(json.dumps(content).encode())
    return json.dumps({"key": key.hex(), "answer": content, "crc": crc}).encode() + b"\n"
