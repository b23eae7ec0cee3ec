"""Log of the responses of a run: an append-only text file with one JSON object per line."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from audioprobe.errors import InvalidInputError


class ResponseLog:
    """A `ResponseCache` that stores the responses of one run in a text file.

    Each line is written to disk before `write` returns. If a killed process left an incomplete last
    line, this line is removed and its prompt is sent again. Any other damaged line is an error.

    Args:
        path: file of the log, created if necessary; its folder must exist. Only one process may
            write to it.

    Attributes:
        truncated: whether an incomplete last line was removed.

    Raises:
        InvalidInputError: if a line is damaged; the file is not changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.truncated = False
        self._values: dict[bytes, bytes] = {}
        self._load()

    def __len__(self) -> int:
        return len(self._values)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values of the given keys; keys without a stored value are omitted."""
        return {key: self._values[key] for key in keys if key in self._values}

    def read_all(self) -> dict[bytes, bytes]:
        """Return all stored values by key."""
        return dict(self._values)

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Append values; existing values are not replaced.

        Args:
            values: JSON texts in UTF-8, by key.

        Raises:
            InvalidInputError: if a value is not valid JSON; an embedding, for example, is not JSON.
            OSError: if the disk is full or not writable. Lines written before are kept.
        """
        new = {key: value for key, value in values.items() if key not in self._values}
        if not new:
            return
        try:
            lines = b"".join(_line(key, value) for key, value in new.items())
        except ValueError as error:
            raise InvalidInputError(
                f"{self.path}: expected values in JSON. Use a SQLiteCache for embeddings."
            ) from error
        size = self.path.stat().st_size
        try:
            with self.path.open("ab") as stream:
                stream.write(lines)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            with suppress(OSError):  # if this fails, the next start removes the line
                os.truncate(self.path, size)
            message = f"{error.strerror}; {len(self)} responses are kept. Free space and restart"
            raise OSError(error.errno, message, str(self.path)) from error
        self._values |= new

    def _load(self) -> None:
        self.path.touch()
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:end].splitlines(), 1):
            key, value = self._parse(line, number)
            self._values.setdefault(key, value)
        if end < len(content):
            self.truncated = True
            os.truncate(self.path, end)

    def _parse(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        error = InvalidInputError(
            f"{self.path}: line {number} is damaged. Delete this line to send its prompt again, or "
            "move the file away to send all prompts again."
        )
        try:
            entry = json.loads(line)
            key, value = bytes.fromhex(entry["key"]), json.dumps(entry["answer"]).encode()
            is_intact = entry["crc"] == zlib.crc32(value)
        except (ValueError, KeyError, TypeError) as cause:
            raise error from cause
        if not is_intact:
            raise error
        return key, value


def _line(key: bytes, value: bytes) -> bytes:
    content = json.loads(value)
    crc = zlib.crc32(json.dumps(content).encode())
    return json.dumps({"key": key.hex(), "answer": content, "crc": crc}).encode() + b"\n"
