"""Answers on disk: keys to bytes in one sqlite file, safe with several processes."""

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
_FROM_VERSION_1 = "INSERT INTO answers SELECT key, vector, crc32(vector) FROM vectors"
_BUSY_S = 60.0  # another process writes a chunk in milliseconds
_PER_QUERY = 500  # variables in one statement; sqlite's lowest limit is 999


class ResponseCache(Protocol):
    """Whatever keeps answers by key, for good: the first answer to a key stays."""

    path: Path

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The answers to those keys that there are."""
        ...

    def write(self, answers: Mapping[bytes, bytes]) -> None:
        """Keep answers, all or none; on disk when it returns."""
        ...

    def damaged(self) -> InvalidInputError:
        """The error to raise for an answer that cannot be what was written."""
        ...


class SQLiteCache:
    """Keeps what was answered, for good: the first answer to a key stays.

    An sqlite file in write-ahead mode: several processes may use it at once, on a local disk. What
    is written survives a kill. Embeddings and responses may share one file, for their keys differ.

    Args:
        path: the file; made, with its folder, if need be.

    Raises:
        InvalidInputError: if the file is no such store, damaged, or of a newer version; it is left
            as it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(
                f"{self.path.parent}: cannot be made ({error.strerror}). Name another path."
            ) from error
        with self._open() as file:
            self._prepare(file)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The answers to those keys that the store has.

        Raises:
            InvalidInputError: if one is damaged.
        """
        found: dict[bytes, bytes] = {}
        with self._open() as file:
            for start in range(0, len(keys), _PER_QUERY):
                some = keys[start : start + _PER_QUERY]
                marks = ",".join("?" * len(some))
                # Nothing but question marks is put into the statement.
                query = f"SELECT key, answer, crc FROM answers WHERE key IN ({marks})"  # noqa: S608
                for key, answer, crc in file.execute(query, some):
                    if zlib.crc32(answer) != crc:
                        raise self.damaged()
                    found[key] = answer
        return found

    def write(self, answers: Mapping[bytes, bytes]) -> None:
        """Keep answers, all or none; a key that has one already keeps it."""
        rows = [(key, answer, zlib.crc32(answer)) for key, answer in answers.items()]
        with self._open() as file:
            file.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)

    def damaged(self) -> InvalidInputError:
        """The error to raise for an answer that cannot be what was written."""
        return InvalidInputError(
            f"{self.path}: holds a damaged answer. Move the file away, or name another."
        )

    def _prepare(self, file: sqlite3.Connection) -> None:
        """Make the table in a new file; refuse other files, and leave them alone."""
        if _version(file) < SCHEMA_VERSION:
            file.execute("BEGIN IMMEDIATE")
            found = _version(file)  # another process may have been quicker
            if not found and file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise InvalidInputError(
                    f"{self.path}: an sqlite file of something else. Name another file."
                )
            if found < SCHEMA_VERSION:
                file.execute(_CREATE)
            if found == 1:  # vectors alone, without a check sum
                file.create_function("crc32", 1, zlib.crc32, deterministic=True)
                file.execute(_FROM_VERSION_1)
                file.execute("DROP TABLE vectors")
            if found < SCHEMA_VERSION:
                file.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            file.commit()
        found = _version(file)
        if found > SCHEMA_VERSION:
            raise InvalidInputError(
                f"{self.path}: written by a newer audioprobe (version {found} of the store, "
                f"this one reads {SCHEMA_VERSION}). Update, or use another file."
            )
        # Other modes do as well, slower: it is no matter if another process is about to set it.
        with suppress(sqlite3.OperationalError):
            file.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction; opening is cheap, and threads and forks stay apart."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as file, file:
                yield file
        except sqlite3.OperationalError as error:
            raise InvalidInputError(
                f"{self.path}: the store cannot be read or written ({error}). See that the folder "
                "is writable, the disk not full and no other program keeps the file locked."
            ) from error
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(
                f"{self.path}: not usable as a store ({error}). It is damaged or something else: "
                "move it away, or name another file."
            ) from error


def scope_of(info: ComponentInfo) -> str:
    """Who is asked, as text; everything in the info counts, the order of its options does not."""
    return json.dumps(json.loads(to_json(info)), sort_keys=True)


def key_of(scope: str, question: str) -> bytes:
    """The key of a question within a scope, 32 bytes."""
    return hashlib.sha256(f"{scope}\n{question}".encode("utf-8", "surrogatepass")).digest()


def _version(file: sqlite3.Connection) -> int:
    found: int = file.execute("PRAGMA user_version").fetchone()[0]
    return found
