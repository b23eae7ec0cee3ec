"""Check that WAV, AIFF, W64, CAF, AU, SVX and NIST files contain all declared samples."""

from typing import BinaryIO

from audioprobe.audio.containers.byte_access import ByteReader, UndecodableError, with_header
from audioprobe.audio.containers.pcm_header import (
    RIFF_ORDERS,
    SampleHeader,
    is_chunk_name,
    read_header,
)
from audioprobe.errors import IncompleteAudioError

_RECORDER_OFFSETS = (1, 8, 36, 44)  # size errors in bytes that some recorders make


def complete_samples(stream: BinaryIO, size: int, *, accept: bool = False) -> BinaryIO:
    """Return a file, or a view with a header from which a decoder reads all samples.

    Args:
        stream: file opened for reading.
        size: length of the file in bytes.
        accept: whether to accept a wrong header, and to read the samples that exist.

    Raises:
        IncompleteAudioError: if the header declares more or fewer samples than are present.
        UndecodableError: for a RIFX file of more than 4 GiB.
    """
    reader = ByteReader(stream, size)
    header = read_header(reader)
    if header is None or header.begin > size:
        return stream
    n_bytes = _sample_bytes(reader, header, accept=accept)
    if header.size_field is None:
        return stream
    if (magic := reader.at(0, 4)) in RIFF_ORDERS:
        if n_bytes == header.declared and magic != b"BW64":
            return stream
        head = _riff_head(reader, header, n_bytes)
        return with_header(stream, head, [(header.begin, n_bytes)])
    width = header.chunks.width
    correct = min(n_bytes + header.bias, 256**width - 1).to_bytes(width, header.chunks.order)
    if reader.at(header.size_field, width) == correct:
        return stream
    patched = bytearray(reader.at(0, header.begin))
    patched[header.size_field : header.size_field + width] = correct
    return with_header(stream, bytes(patched), [(header.begin, size - header.begin)])


def _sample_bytes(reader: ByteReader, header: SampleHeader, *, accept: bool) -> int:
    """Return the number of bytes of samples to read."""
    present = reader.size - header.begin
    declared = header.declared
    if declared is None:
        return present
    if declared <= present and _is_metadata(reader, header, header.begin + declared):
        return declared
    if declared == 0 or accept or _is_recorder_offset(reader, header, declared - present):
        return present
    if declared > present:
        raise IncompleteAudioError(
            f"truncated: the header declares {declared} bytes of samples, but {present} are present"
        )
    raise IncompleteAudioError(
        f"the header declares {declared} bytes of samples, but {present - declared} bytes follow "
        "that are not metadata"
    )


def _is_metadata(reader: ByteReader, header: SampleHeader, offset: int) -> bool:
    """Return whether the bytes from an offset on are chunks, or too short to be a chunk."""
    chunks, rest = header.chunks, reader.size - offset
    if not rest or (not header.declared and rest < chunks.head):
        return True
    if not header.followed:
        return False
    if rest < chunks.head:  # padding, or other bytes if the file should end before
        return header.end is None or header.end <= offset + chunks.align - 1
    offset += -offset % chunks.align
    while reader.size - offset >= chunks.head:
        name = reader.at(offset, 4)
        length = chunks.length(reader, offset)
        # The last chunk may lack its padding. A second chunk of samples would be ignored.
        if not is_chunk_name(name) or length < 0 or name in (b"data", b"SSND"):
            return False
        if offset + chunks.head + length > reader.size:
            return False
        offset = chunks.after(reader, offset, length)
    return True


def _is_recorder_offset(reader: ByteReader, header: SampleHeader, excess: int) -> bool:
    """Return whether the sample size is wrong by a header length, but the file size is correct."""
    header_sizes = (header.begin, header.begin - 8)
    if header.end == reader.size:
        return abs(excess) in (*_RECORDER_OFFSETS, *header_sizes)
    return header.end == reader.size + 8 and excess in header_sizes


def _riff_head(reader: ByteReader, header: SampleHeader, n_bytes: int) -> bytes:
    """Return a header with correct sizes, in RF64 format if sizes need more than 32 bits."""
    chunks = header.chunks
    before = reader.at(12, header.begin - 20)
    if header.ds64:
        length = chunks.length(reader, header.ds64)
        after = chunks.after(reader, header.ds64, length)
        before = before[: header.ds64 - 12] + before[after - 12 :]
    total = 4 + len(before) + 8 + n_bytes
    if total < 2**32:
        magic = b"RIFX" if chunks.order == "big" else b"RIFF"
        sizes = total.to_bytes(4, chunks.order), n_bytes.to_bytes(4, chunks.order)
        return magic + sizes[0] + b"WAVE" + before + b"data" + sizes[1]
    if chunks.order == "big":
        raise UndecodableError("more than 4 GiB of samples, which a RIFX header cannot declare")
    sizes = (total + 36).to_bytes(8, "little"), n_bytes.to_bytes(8, "little")
    ds64 = b"ds64" + (28).to_bytes(4, "little") + b"".join(sizes) + bytes(12)
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + before + b"data\xff\xff\xff\xff"
