"""Check that an OGG file (Vorbis or Opus) contains one complete stream."""

from typing import BinaryIO

from audioprobe.audio.containers.byte_access import ByteReader, UndecodableError
from audioprobe.errors import IncompleteAudioError

_HEAD = 27  # bytes of a page header without its segment table
_FIRST, _LAST = 2, 4  # flags of the first and the last page of a stream


def check_pages(stream: BinaryIO, size: int, *, accept: bool = False) -> None:
    """Check all pages of a file, because decoders read its length only from the last page.

    Args:
        stream: file opened for reading.
        size: length of the file in bytes.
        accept: whether to accept a truncated stream.

    Raises:
        IncompleteAudioError: if the last page is truncated or not marked as the last.
        UndecodableError: if the file contains several streams one after the other.
    """
    reader = ByteReader(stream, size)
    unfinished: set[bytes] = set()
    has_audio_pages = False  # whether a page after the first pages of streams was found
    offset = 0
    while offset < size:
        page = reader.at(offset, _HEAD + 255)
        if page[:4] != b"OggS":  # bytes that are not a page, which decoders skip
            offset = reader.find(b"OggS", offset)
            if offset < 0:
                break
            continue
        end = offset + _HEAD + page[26] + sum(page[_HEAD : _HEAD + page[26]]) if page[26:] else -1
        if not offset < end <= size:
            if accept:
                return
            raise IncompleteAudioError("truncated: the last page is incomplete")
        flags, serial = page[5], page[14:18]
        if flags & _FIRST and has_audio_pages:
            raise UndecodableError(
                "contains several streams one after the other; only the first would be decoded"
            )
        has_audio_pages |= not flags & _FIRST
        unfinished.add(serial)
        if flags & _LAST:
            unfinished.discard(serial)
        offset = end
    if unfinished and not accept:
        raise IncompleteAudioError("truncated: the last page is not marked as the end of stream")
