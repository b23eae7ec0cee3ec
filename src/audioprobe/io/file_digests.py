"""Digests of files that are not read again as long as size and time of change stay the same."""

import hashlib
import json
import re
import time
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write

DIGITS = 16
"""Number of hexadecimal digits of a digest, the first ones of the SHA-256."""

_IS_DIGEST = re.compile(f"[0-9a-f]{{{DIGITS}}}")  # not the cause of a failure
_SETTLED_NS = 2_000_000_000  # coarsest resolution of the time of change (FAT)

_Table: TypeAlias = dict[str, tuple[int, int, str]]  # size, time of change in ns, digest
_TABLE = TypeAdapter(_Table)


def file_digest(file: Path) -> str:
    """Return the digest of a file; if it cannot be read, the cause, such as "no such file"."""
    if not file.is_file():
        return "no such file"
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]
    except OSError as error:
        return f"cannot be read ({error.strerror})"


class FileDigests:
    """Digests of files, with a table of digests of earlier calls.

    The digest of a file is taken from the table if size and time of change of the file are those of
    the earlier call. Files that changed less than two seconds before a call are not stored, because
    a later change could have the same time.

    Args:
        path: table of digests, in JSON; it may be missing.

    Raises:
        InvalidInputError: if the table is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: _Table = {}
        self._new: _Table = {}
        if path.is_file():
            try:
                self._known = _TABLE.validate_json(path.read_bytes())
            except (OSError, ValueError) as error:
                raise InvalidInputError(
                    f"{path}: expected a table of digests ({error}). Delete the file; all audio "
                    "files are then read again."
                ) from error

    def __call__(self, file: Path) -> str:
        """Return the result of `file_digest` for a file, from the table if it did not change."""
        if not file.is_file():
            return file_digest(file)
        stat = file.stat()
        size, changed_ns, known = self._known.get(str(file), (-1, -1, ""))
        if (size, changed_ns) == (stat.st_size, stat.st_mtime_ns):
            return known
        digest = file_digest(file)
        if _IS_DIGEST.fullmatch(digest) and time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
            self._new[str(file)] = (stat.st_size, stat.st_mtime_ns, digest)
        return digest

    def save(self) -> None:
        """Write the table, unless no digest was added."""
        if self._new:
            atomic_write(self._path, json.dumps(self._known | self._new))
