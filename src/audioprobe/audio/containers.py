"""Whether the samples that the header of a file promises are there.

libsndfile plays what is left of a cut file, and stops where a wrong header says so, without a word.
Both would let an answer about a part of a recording pass for one about all of it.
"""

from typing import BinaryIO

from audioprobe.audio.headers import (
    RIFF_ORDERS,
    SampleHeader,
    chunk_length,
    is_chunk_name,
    next_chunk,
    read_header,
)
from audioprobe.audio.pieces import FileWindow, UndecodableError, with_header
from audioprobe.errors import IncompleteAudioError

_RECORDER_OFFSETS = (1, 8, 36, 44)  # bytes by which recorders miss the size of their samples


def complete_samples(stream: BinaryIO, size: int, *, accept: bool = False) -> BinaryIO:
    """The file, or a view of it with a header that a decoder reads all samples by.

    Args:
        stream: the file, opened for reading.
        size: its length in bytes.
        accept: read as many samples as are there, whatever the header promises.

    Raises:
        IncompleteAudioError: if the header promises more samples than are there, or fewer; says
            both numbers, and not the file.
        UndecodableError: for a RIFX file of more than 4 GiB.
    """
    window = FileWindow(stream, size)
    header = read_header(window)
    if header is None or header.begin > size:
        return stream
    n = _n_bytes(window, header, accept=accept)
    if header.field is None:
        return stream
    if (magic := window.at(0, 4)) in RIFF_ORDERS:
        if n == header.promised and magic != b"BW64":
            return stream
        return with_header(stream, _riff_head(window, header, n), [(header.begin, n)])
    width = header.chunks.width
    told = min(n + header.bias, 256**width - 1).to_bytes(width, header.chunks.order)
    if window.at(header.field, width) == told:
        return stream
    head = bytearray(window.at(0, header.begin))
    head[header.field : header.field + width] = told
    rest = (header.begin, size - header.begin)
    return with_header(stream, bytes(head), [rest])


def _n_bytes(window: FileWindow, header: SampleHeader, *, accept: bool) -> int:
    """Bytes of samples to read; refuses what contradicts the header."""
    present = window.size - header.begin
    promised = header.promised
    if promised is None:
        return present
    follows = header.begin + promised
    if promised <= present and _is_metadata(window, header, follows):
        return promised
    if promised == 0 or accept or _is_recorders_offset(window, header, promised - present):
        return present
    if promised > present:
        raise IncompleteAudioError(
            f"cut short, the header promises {promised} bytes of sound and {present} are there"
        )
    raise IncompleteAudioError(
        f"the header promises {promised} bytes of sound, and {present - promised} bytes more "
        "follow that are nothing else"
    )


def _is_metadata(window: FileWindow, header: SampleHeader, offset: int) -> bool:
    """Whether all from an offset to the end is chunks, or too little to be one."""
    chunks = header.chunks
    if offset == window.size or (not header.promised and window.size - offset < chunks.head):
        return True
    if not header.followed:
        return False
    if window.size - offset < chunks.head:  # padding, or junk if the file should end before it
        return header.end is None or header.end <= offset + chunks.align - 1
    offset += -offset % chunks.align
    while window.size - offset >= chunks.head:
        name = window.at(offset, 4)
        length = chunk_length(window, offset, chunks)
        # A chunk may lack its padding. A second one of samples would be left out.
        if not is_chunk_name(name) or length < 0 or name in (b"data", b"SSND"):
            return False
        if offset + chunks.head + length > window.size:
            return False
        offset = next_chunk(window, offset, length, chunks)
    return True


def _is_recorders_offset(window: FileWindow, header: SampleHeader, excess: int) -> bool:
    """Whether a recorder wrote a size that is off by a header, in a file that is whole.

    That it is whole is known from the size of the file in its header.
    """
    offsets = (*_RECORDER_OFFSETS, header.begin, header.begin - 8)
    if header.end == window.size:
        return abs(excess) in offsets
    return header.end == window.size + 8 and excess in (header.begin, header.begin - 8)


def _riff_head(window: FileWindow, header: SampleHeader, n: int) -> bytes:
    """The header with true sizes, as RF64 where they need more than 32 bits."""
    order = header.chunks.order
    before = window.at(12, header.begin - 20)
    if header.ds64:
        length = chunk_length(window, header.ds64, header.chunks)
        behind = next_chunk(window, header.ds64, length, header.chunks)
        before = before[: header.ds64 - 12] + before[behind - 12 :]
    whole = 4 + len(before) + 8 + n
    if whole < 2**32:
        magic = b"RIFX" if order == "big" else b"RIFF"
        sizes = whole.to_bytes(4, order), n.to_bytes(4, order)
        return magic + sizes[0] + b"WAVE" + before + b"data" + sizes[1]
    if order == "big":
        raise UndecodableError("more than 4 GiB of sound in a RIFX file, which cannot hold it")
    sizes = (whole + 36).to_bytes(8, "little"), n.to_bytes(8, "little")
    ds64 = b"ds64" + (28).to_bytes(4, "little") + b"".join(sizes) + bytes(12)
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + before + b"data\xff\xff\xff\xff"
