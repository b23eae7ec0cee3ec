"""Checks of FLAC and OGG files (Vorbis, Opus), whose headers do not always declare their length."""

import io
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import BinaryIO

from audioprobe.audio.containers.byte_access import (
    ByteReader,
    UndecodableError,
    after_id3,
    with_header,
)
from audioprobe.errors import IncompleteAudioError

_MAGIC = b"fLaC"
_STREAM_STARTS = (_MAGIC + b"\x00\x00\x00\x22", _MAGIC + b"\x80\x00\x00\x22")
_TAIL = 1 << 20  # bytes at the end that contain the last frame
_READ_AHEAD = 1 << 16  # maximum distance in bytes between read and decoded data
_MAX_CANDIDATES = 4  # positions in a tail that look like a frame header
_OGG_HEAD = 27  # bytes of a page header without its segment table
_FIRST, _LAST = 2, 4  # flags of the first and the last page of an OGG stream
_JOINED = "contains several streams one after the other; only the first would be decoded"


def complete_flac(stream: BinaryIO, size: int, *, accept: bool = False) -> BinaryIO:
    """Return a stream of the FLAC file whose header declares the actual number of samples.

    The actual number is computed from the last frame. If the header is correct, the result is
    `stream` itself. If `accept` is True, the result of a truncated file of `size` bytes ends with
    its last complete frame.

    Raises:
        IncompleteAudioError: if the header declares no length and the last frame is incomplete.
        UndecodableError: if the file contains several streams.
    """
    reader = ByteReader(stream, size)
    start = after_id3(reader)
    head = bytearray(reader.at(start, 42))  # magic number and the STREAMINFO block
    if head[:4] != _MAGIC or len(head) < 42:
        return stream
    block_size = int.from_bytes(head[8:10], "big")
    longest_frame = int.from_bytes(head[15:18], "big")  # bytes; 0 if unknown
    declared = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF  # samples; 0 if unknown
    end = size - 128 if reader.at(max(0, size - 128), 3) == b"TAG" else size
    tail_start = max(start + 42, end - (longest_frame or _TAIL))
    tail = reader.at(tail_start, end - tail_start)
    candidates = list(islice(_frames(tail, block_size), _MAX_CANDIDATES))
    if declared and any(last == declared for _, _, last in candidates):
        return stream
    complete = (n for at, _, n in _frames(tail, block_size) if _crc(tail[at:], 0x8005, 16) == 0)
    total = next(complete, None)
    if (total or 0) < declared and not accept:
        return stream  # truncated; the decoder will report an error
    if any(reader.find(mark, start + 4) >= 0 for mark in _STREAM_STARTS):
        raise UndecodableError(_JOINED)
    if total is None and not accept:
        raise IncompleteAudioError("truncated: the last FLAC frame is incomplete")
    if total is None and candidates:
        total = candidates[0][1]  # samples before the incomplete frame
    if not total or total == declared:
        return stream
    head[21:26] = ((head[21] & 0xF0) << 32 | total).to_bytes(5, "big")
    head = bytearray(reader.at(0, start)) + head
    return with_header(stream, bytes(head), [(len(head), size - len(head))])


def check_single_flac(stream: BinaryIO) -> None:
    """Raise `UndecodableError` if another FLAC stream follows the one that was decoded.

    The search starts shortly before the current position of `stream`.
    """
    position = stream.tell()
    reader = ByteReader(stream, stream.seek(0, io.SEEK_END))
    begin = max(after_id3(reader) + 4, position - _READ_AHEAD)
    if any(reader.find(mark, begin) >= 0 for mark in _STREAM_STARTS):
        raise UndecodableError(_JOINED)


def check_ogg(stream: BinaryIO, size: int, *, accept: bool = False) -> None:
    """Check all pages of an OGG file, because decoders read its length only from the last page.

    Raises:
        IncompleteAudioError: if the last page is truncated or not marked as the last, unless
            `accept` is True.
        UndecodableError: if the file contains several streams one after the other.
    """
    reader = ByteReader(stream, size)
    unfinished: set[bytes] = set()
    has_audio_pages = False  # whether a page was found that is not the first page of a stream
    offset = 0
    while offset < size:
        page = reader.at(offset, _OGG_HEAD + 255)
        if page[:4] != b"OggS":  # bytes that are not a page, which decoders skip
            offset = reader.find(b"OggS", offset)
            if offset < 0:
                break
            continue
        n_segments = page[26] if page[26:] else 0
        length = _OGG_HEAD + n_segments + sum(page[_OGG_HEAD : _OGG_HEAD + n_segments])
        if offset + length > size:
            if accept:
                return
            raise IncompleteAudioError("truncated: the last page is incomplete")
        flags, serial = page[5], page[14:18]
        if flags & _FIRST and has_audio_pages:
            raise UndecodableError(_JOINED)
        has_audio_pages |= not flags & _FIRST
        unfinished.add(serial)
        if flags & _LAST:
            unfinished.discard(serial)
        offset += length
    if unfinished and not accept:
        raise IncompleteAudioError("truncated: the last page is not marked as the end of stream")


def _frames(tail: bytes, block_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (position, start, end) of each FLAC frame in the last bytes of a file, in reverse.

    `position` is an index of `tail`. `start` and `end` are the numbers of samples per channel in
    the file before the frame, and up to its end.
    """
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        frame = _frame(tail[at : at + 16], block_size)
        if frame is not None:
            yield at, *frame


def _frame(head: bytes, block_size: int) -> tuple[int, int] | None:
    """Decode the header of a FLAC frame.

    Args:
        head: 16 bytes that may begin with a frame header.
        block_size: samples per frame. It is used if the header contains the index of the frame
            instead of the index of its first sample.

    Returns:
        The numbers of samples per channel in the file before the frame, and up to its end. None if
        the bytes do not begin with a frame header.
    """
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return None
    n_ones = 8 - (head[4] ^ 0xFF).bit_length()  # leading ones of the coded number, as in UTF-8
    number = head[4] & 0xFF >> n_ones + 1
    at = 5 + max(0, n_ones - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    code = head[2] >> 4
    if code in (6, 7):
        n_samples = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    elif code == 1:
        n_samples = 192
    else:
        n_samples = 576 << code - 2 if code <= 5 else 256 << code - 8
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc(head[: at + 1], 0x07, 8) != 0:
        return None
    start = number if head[1] & 1 else number * block_size
    return start, start + n_samples


def _crc(content: bytes, polynomial: int, width: int) -> int:
    """Return the cyclic redundancy check (CRC) of bytes.

    The result is 0 if the bytes end with their correct checksum.
    """
    table = _crc_table(polynomial, width)
    mask, shift = (1 << width) - 1, width - 8
    crc = 0
    for byte in content:
        crc = (crc << 8 & mask) ^ table[crc >> shift ^ byte]
    return crc


@cache
def _crc_table(polynomial: int, width: int) -> tuple[int, ...]:
    """Return the CRC of each of the 256 possible bytes, to compute `_crc` faster."""
    table = []
    for byte in range(256):
        crc = byte << width - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> width - 1 else 0)
            crc &= (1 << width) - 1
        table.append(crc)
    return tuple(table)
