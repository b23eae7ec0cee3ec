"""The answers of a run, one JSON object a line, only ever appended to."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from audioprobe.errors import InvalidInputError


class ResponseLog:
    """Keeps answers in a text file that can be read with any tool, and survives a kill.

    It can stand in for a `Store` behind a `CachedModel`. Every line is on disk before the next
    question is asked. A last line without its end is what a kill leaves: it is dropped, and its
    question asked again. Any other line that is not what was written is an error.

    Args:
        path: the file; made if need be, its folder must exist. One process at a time may write.

    Attributes:
        torn: whether a last line was dropped.

    Raises:
        InvalidInputError: if a line is damaged; the file is left as it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.torn = False
        self._answers: dict[bytes, bytes] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._answers)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The answers to those keys that there are."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def everything(self) -> dict[bytes, bytes]:
        """All answers, by key."""
        return dict(self._answers)

    def write(self, answers: Mapping[bytes, bytes]) -> None:
        """Keep answers; a key that has one already keeps it.

        Args:
            answers: JSON texts, in UTF-8, by key.

        Raises:
            OSError: if the disk is full or not writable; what was there before stays whole.
        """
        new = {key: answer for key, answer in answers.items() if key not in self._answers}
        if not new:
            return
        whole = self.path.stat().st_size
        try:
            with self.path.open("ab") as stream:
                stream.write(b"".join(_line(key, answer) for key, answer in new.items()))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            with suppress(OSError):  # a torn line is dropped when the file is read again
                os.truncate(self.path, whole)
            told = f"{error.strerror}; {len(self)} answers are kept. Make room and start again"
            raise OSError(error.errno, told, str(self.path)) from error
        self._answers |= new

    def damaged(self) -> InvalidInputError:
        """The error to raise for an answer that cannot be what was written."""
        return InvalidInputError(
            f"{self.path}: holds a damaged answer. Move the file away to ask everything again."
        )

    def _read(self) -> None:
        if not self.path.exists():
            self.path.touch()
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), 1):
            key, answer = self._parsed(line, number)
            self._answers.setdefault(key, answer)
        if whole < len(content):
            self.torn = True
            with self.path.open("r+b") as stream:
                stream.truncate(whole)

    def _parsed(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        try:
            entry = json.loads(line)
            key, answer = bytes.fromhex(entry["key"]), json.dumps(entry["answer"]).encode()
            intact = entry["crc"] == zlib.crc32(answer)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged_at(number) from error
        if not intact:
            raise self._damaged_at(number)
        return key, answer

    def _damaged_at(self, number: int) -> InvalidInputError:
        return InvalidInputError(
            f"{self.path}: line {number} is not what was written. Delete that line to ask its "
            "question again, or move the file away to ask everything again."
        )


def _line(key: bytes, answer: bytes) -> bytes:
    content = json.loads(answer)
    crc = zlib.crc32(json.dumps(content).encode())
    return json.dumps({"key": key.hex(), "answer": content, "crc": crc}).encode() + b"\n"
