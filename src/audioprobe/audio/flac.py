"""How many samples a FLAC file holds, by its last frame: a header may say fewer, or nothing."""

import io
from functools import cache
from typing import BinaryIO, NamedTuple

from audioprobe.audio.pieces import FileWindow, UndecodableError, after_id3, with_header
from audioprobe.errors import IncompleteAudioError

_MARK = b"fLaC"
_BEGINNINGS = (_MARK + b"\x00\x00\x00\x22", _MARK + b"\x80\x00\x00\x22")  # with the block's head
_TAIL = 1 << 20  # bytes at the end that hold the last frame, whatever its size
_READ_AHEAD = 1 << 16  # bytes by which a decoder is ahead of what it has decoded, at most
_LIKE_FRAMES = 4  # places in a tail that look like the head of a frame, at most
_JOINED = "several FLAC files one after the other, of which only the first would be read"


class _Stream(NamedTuple):
    """What the first block of metadata says."""

    at: int  # offset of "fLaC"
    block: int  # samples per channel of a frame, where all have as many
    longest: int  # bytes of a frame; 0 where it is not known
    total: int  # samples per channel; 0 where it is not known


class _FrameSpan(NamedTuple):
    """Samples before a frame, and before the one after it."""

    start: int
    end: int


def complete_stream(stream: BinaryIO, size: int, *, accept: bool = False) -> BinaryIO:
    """The file, or a view of it whose header has the number of samples that are there.

    Args:
        stream: the file, opened for reading.
        size: its length in bytes.
        accept: take a stream that was cut, up to its last whole frame.

    Raises:
        IncompleteAudioError: if the header has no length and the last frame is not whole.
        UndecodableError: if files were joined.
    """
    window = FileWindow(stream, size)
    info = _stream_info(window)
    if info is None:
        return stream
    end = size - 128 if window.at(max(0, size - 128), 3) == b"TAG" else size
    begin = max(info.at + 42, end - (info.longest or _TAIL))
    tail = window.at(begin, end - begin)
    if info.total and any(f.end == info.total for f in _frames(tail, info.block, whole=False)):
        return stream
    frames = _frames(tail, info.block, whole=True)
    total = frames[0].end if frames else 0
    if total < info.total and not accept:
        return stream  # cut short, which shows when it is decoded
    if any(window.find(mark, info.at + 4) >= 0 for mark in _BEGINNINGS):
        raise UndecodableError(_JOINED)
    if not frames and not accept:
        raise IncompleteAudioError("cut short, the last FLAC frame is not whole")
    if not frames and (frames := _frames(tail, info.block, whole=False)):
        total = frames[0].start  # of the frame that is not whole
    if total in (0, info.total):
        return stream
    head = bytearray(window.at(0, info.at + 26))
    at = info.at + 21
    head[at : at + 5] = ((head[at] & 0xF0) << 32 | total).to_bytes(5, "big")
    return with_header(stream, bytes(head), [(len(head), size - len(head))])


def refuse_joined(stream: BinaryIO) -> None:
    """Refuse a file in which another begins after the one that was decoded.

    Args:
        stream: where the decoder has left it, after the last sample.

    Raises:
        UndecodableError: if there is one.
    """
    position = stream.tell()
    window = FileWindow(stream, stream.seek(0, io.SEEK_END))
    begin = max(after_id3(window) + 4, position - _READ_AHEAD)
    if any(window.find(mark, begin) >= 0 for mark in _BEGINNINGS):
        raise UndecodableError(_JOINED)


def _stream_info(window: FileWindow) -> _Stream | None:
    at = after_id3(window)
    head = window.at(at, 42)
    if head[:4] != _MARK or len(head) < 42:
        return None
    longest = int.from_bytes(head[15:18], "big")
    total = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF
    return _Stream(at, int.from_bytes(head[8:10], "big"), longest, total)


def _frames(tail: bytes, block: int, *, whole: bool) -> list[_FrameSpan]:
    """Frames that may begin in a tail, the last one first.

    Args:
        tail: the last bytes of the stream.
        block: samples of a frame, where all have as many.
        whole: take the one that ends where the tail does, by its checksum.
    """
    found: list[_FrameSpan] = []
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        frame = _frame(tail[at : at + 16], block)
        if frame is not None and (not whole or _crc(tail[at:], 0x8005, 16) == 0):
            found.append(frame)
            if whole or len(found) == _LIKE_FRAMES:
                break
    return found


def _frame(head: bytes, block: int) -> _FrameSpan | None:
    """Decode the head of a frame; None where it is none."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # that the number begins with, as in UTF-8
    n_more = max(0, ones - 1)
    number = head[4] & 0xFF >> ones + 1
    for byte in head[5 : 5 + n_more]:
        number = number << 6 | byte & 0x3F
    at = 5 + n_more
    code = head[2] >> 4
    if code in (6, 7):
        n = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    elif code == 1:
        n = 192
    else:
        n = 576 << code - 2 if code <= 5 else 256 << code - 8
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc(head[: at + 1], 0x07, 8) != 0:
        return None
    start = number if head[1] & 1 else number * block
    return _FrameSpan(start, start + n)


def _crc(content: bytes, polynomial: int, width: int) -> int:
    """Checksum of bytes, most significant bit first; 0 where the content ends with its own."""
    table = _table(polynomial, width)
    mask, shift = (1 << width) - 1, width - 8
    crc = 0
    for byte in content:
        crc = (crc << 8 & mask) ^ table[crc >> shift ^ byte]
    return crc


@cache
def _table(polynomial: int, width: int) -> tuple[int, ...]:
    """The checksum of every byte."""
    table = []
    for byte in range(256):
        crc = byte << width - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> width - 1 else 0)
            crc &= (1 << width) - 1
        table.append(crc)
    return tuple(table)
