"""Access to bytes and chunks of a file, and streams with a corrected header."""

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO, Literal, TypeAlias

from audioprobe.errors import AudioReadError

ByteOrder: TypeAlias = Literal["little", "big"]

_BLOCK = 1 << 16  # bytes


class UndecodableError(AudioReadError):
    """Error for a file that a decoder cannot read completely; the caller adds the path."""


class ByteReader:
    """Random access to the bytes of a file; keeps the last block in memory for fast access.

    Args:
        stream: file opened for reading.
        size: length of the file in bytes.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self._first = 0
        self._bytes = b""
        self._block = 4096  # enough for most headers; later blocks are longer

    def at(self, offset: int, n: int) -> bytes:
        """Return `n` bytes that start at an offset; fewer at the end of the file."""
        if offset >= self.size:
            return b""
        begin = offset - self._first
        if begin < 0 or begin + n > len(self._bytes):
            self.stream.seek(offset)
            self._bytes = self.stream.read(max(n, self._block))
            self._block = _BLOCK
            self._first, begin = offset, 0
        return self._bytes[begin : begin + n]

    def integer(self, offset: int, n: int, order: ByteOrder = "big") -> int:
        """Return the unsigned integer in the `n` bytes that start at an offset."""
        return int.from_bytes(self.at(offset, n), order)

    def find(self, pattern: bytes, begin: int, end: int | None = None) -> int:
        """Return the first offset of a pattern in [begin, end); -1 if it does not occur."""
        end = self.size if end is None else end
        while begin < end:
            block = self.at(begin, min(_BLOCK, end - begin))
            if (position := block.find(pattern)) >= 0:
                return begin + position
            begin += max(1, len(block) - len(pattern) + 1)
        return -1


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """Format of the chunks of a file; a chunk consists of a name, a size and content.

    Attributes:
        order: byte order of the size.
        name: number of bytes of the name.
        width: number of bytes of the size.
        counted: number of bytes that the size field counts in addition to the content; 0 if it
            counts only the content.
        align: alignment in bytes: the offset of each chunk is a multiple of it.
    """

    order: ByteOrder
    name: int = 4
    width: int = 4
    counted: int = 0
    align: int = 2

    @property
    def head(self) -> int:
        """Length of the name and the size field of a chunk in bytes; the content follows."""
        return self.name + self.width

    def walk(self, reader: ByteReader, offset: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield (offset, name, content length) of each chunk; the first one begins at `offset`."""
        while len(head := reader.at(offset, self.head)) == self.head:
            length = reader.integer(offset + self.name, self.width, self.order) - self.counted
            yield offset, head[: self.name], length
            if length < 0:
                return
            offset = self.after(reader, offset, length)

    def after(self, reader: ByteReader, offset: int, length: int) -> int:
        """Return the offset at which the next chunk begins.

        Some programs omit the padding after a chunk. The first byte after it shows whether it is
        present.
        """
        end = offset + self.head + length
        padding = -end % self.align if self.align > 2 else length % 2
        missing = padding == 1 and reader.at(end, 1) not in (b"\0", b"")
        return end if missing else end + padding


class _PatchedFile(io.RawIOBase):
    """A virtual file that consists of a new header and byte ranges of another file."""

    def __init__(self, stream: BinaryIO, head: bytes, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._parts = [(io.BytesIO(head), 0, len(head)), *((stream, *part) for part in ranges)]
        self._starts = [0, *accumulate(length for _, _, length in self._parts)]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Read bytes into a buffer, and return their number; 0 at the end of the file.

        One call reads only from the header, or only from one byte range.
        """
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position >= self._starts[-1]:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        stream, begin, length = self._parts[index]
        offset = self._position - self._starts[index]
        stream.seek(begin + offset)
        content = stream.read(min(len(view), length - offset))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


def with_header(
    stream: BinaryIO, head: bytes, ranges: Sequence[tuple[int, int]]
) -> io.BufferedReader:
    """Return a stream that consists of a new header and parts of a file.

    Args:
        stream: file opened for reading.
        head: new header.
        ranges: (offset, length) of each part in the file, in order.
    """
    return io.BufferedReader(_PatchedFile(stream, head, ranges), _BLOCK)


def after_id3(reader: ByteReader, offset: int = 0) -> int:
    """Return the offset after all ID3v2 tags (titles, cover art) that begin at an offset."""
    while (head := reader.at(offset, 10))[:3] == b"ID3" and len(head) == 10:
        if head[3] > 4 or max(head[6:]) >= 0x80:  # invalid version or size: not a tag
            break
        size = 0
        for byte in head[6:]:  # 7 bits per byte
            size = size << 7 | byte
        footer = 10 if head[5] & 0x10 else 0
        offset += 10 + size + footer
    return offset
