"""Whether an OGG file (Vorbis, Opus) is one stream that ends where its last page says so."""

from typing import BinaryIO

from audioprobe.audio.pieces import FileWindow, UndecodableError
from audioprobe.errors import IncompleteAudioError

_HEAD = 27  # bytes of a page's header without its table of segments
_FIRST, _LAST = 2, 4  # flags of the first and the last page of a stream


def check_pages(stream: BinaryIO, size: int, *, accept: bool = False) -> None:
    """Go from page to page, as the length of the file is known from the last one alone.

    Args:
        stream: the file, opened for reading.
        size: its length in bytes.
        accept: take a stream whose end is missing.

    Raises:
        IncompleteAudioError: if the last page is cut, or lacks the flag of the end.
        UndecodableError: if streams follow one another.
    """
    window = FileWindow(stream, size)
    unfinished: set[bytes] = set()
    begun = False  # whether pages of sound have come, after those that begin a stream
    offset = 0
    while offset < size:
        page = window.at(offset, _HEAD + 255)
        if page[:4] != b"OggS":  # junk, which decoders skip
            offset = window.find(b"OggS", offset)
            if offset < 0:
                break
            continue
        end = offset + _HEAD + page[26] + sum(page[_HEAD : _HEAD + page[26]]) if page[26:] else -1
        if not offset < end <= size:
            if accept:
                return
            raise IncompleteAudioError("cut short, the last page is not whole")
        flags, serial = page[5], page[14:18]
        if flags & _FIRST and begun:
            raise UndecodableError(
                "several streams one after the other, of which only the first would be read"
            )
        begun |= not flags & _FIRST
        unfinished.add(serial)
        if flags & _LAST:
            unfinished.discard(serial)
        offset = end
    if unfinished and not accept:
        raise IncompleteAudioError(
            "cut short, the last page lacks the flag of the end of the stream"
        )
