"""Read access to parts of a file: a cached window of it, and a view with another header."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import BinaryIO

from audioprobe.errors import AudioReadError

_WINDOW = 1 << 16  # bytes that are read at once, at least


class UndecodableError(AudioReadError):
    """A decoder cannot read a file, or not all of it; says why, and not which."""


class FileWindow:
    """Random access to the bytes of a file, most of them next to those asked for before.

    Args:
        stream: the file, opened for reading.
        size: its length in bytes.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self._first = 0
        self._bytes = b""
        self._read_size = 4096  # headers are short; who goes on reads more

    def at(self, offset: int, n: int) -> bytes:
        """Up to `n` bytes from `offset` on, fewer at the end of the file."""
        if offset >= self.size:
            return b""
        begin = offset - self._first
        if begin < 0 or begin + n > len(self._bytes):
            self.stream.seek(offset)
            self._bytes = self.stream.read(max(n, self._read_size))
            self._read_size = _WINDOW
            self._first, begin = offset, 0
        return self._bytes[begin : begin + n]

    def find(self, wanted: bytes, begin: int, end: int | None = None) -> int:
        """Offset of the first occurrence from `begin` on, before `end`; -1 where there is none."""
        end = self.size if end is None else end
        while begin < end:
            block = self.at(begin, min(_WINDOW, end - begin))
            position = block.find(wanted)
            if position >= 0:
                return begin + position
            begin += max(1, len(block) - len(wanted) + 1)
        return -1


class PiecewiseFile(io.RawIOBase):
    """A file with another header: `head`, followed by ranges of the bytes of `stream`.

    Args:
        stream: the file, opened for reading.
        head: bytes to begin with.
        ranges: (offset, length) in the stream, in order.
    """

    def __init__(self, stream: BinaryIO, head: bytes, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._stream = stream
        self._head = head
        self._ranges = ranges
        self._starts = [len(head)]
        for _, length in ranges:
            self._starts.append(self._starts[-1] + length)
        self._position = 0
        self._current = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which may lie behind the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as there are bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(view):
            part = self._part(len(view) - done)
            if not part:
                break
            view[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def _part(self, n: int) -> bytes:
        """Up to `n` bytes of the head, or of one range, at the position."""
        if self._position < len(self._head):
            return self._head[self._position : self._position + n]
        if self._position >= self._starts[-1]:
            return b""
        index = self._current
        if not self._starts[index] <= self._position < self._starts[index + 1]:
            index = bisect_right(self._starts, self._position) - 1
            self._current = index
        offset = self._position - self._starts[index]
        begin, length = self._ranges[index]
        self._stream.seek(begin + offset)
        return self._stream.read(min(n, length - offset))


def with_header(
    stream: BinaryIO, head: bytes, ranges: Sequence[tuple[int, int]]
) -> io.BufferedReader:
    """A view as `PiecewiseFile`, buffered: decoders read and seek in small steps."""
    return io.BufferedReader(PiecewiseFile(stream, head, ranges), _WINDOW)


def after_id3(window: FileWindow, offset: int = 0) -> int:
    """Offset behind ID3v2 tags (of titles, cover art, ...), if there are any."""
    while (head := window.at(offset, 10))[:3] == b"ID3" and len(head) == 10:
        if head[3] > 4 or max(head[6:]) >= 0x80:  # versions and sizes of no tag
            break
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        footer = 10 if head[5] & 0x10 else 0
        offset += 10 + size + footer
    return offset
