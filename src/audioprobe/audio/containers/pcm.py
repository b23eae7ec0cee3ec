"""Checks that WAV, AIFF, W64, CAF, AU, SVX and NIST files contain all declared samples."""

from dataclasses import dataclass
from typing import BinaryIO

from audioprobe.audio.containers.byte_access import (
    ByteOrder,
    ByteReader,
    ChunkFormat,
    UndecodableError,
    with_header,
)
from audioprobe.errors import IncompleteAudioError

_RIFF_ORDERS: dict[bytes, ByteOrder] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"BW64": "little",
    b"RIFX": "big",
}
# Programs write these sizes, plus or minus the length of a header, while a size is unknown.
_PLACEHOLDERS = (0x7F00_0000, 0x7FFF_F000, 0x8000_0000, 0xFFFF_F000, 2**32, 2**63, 2**64)
_HEADER_SLACK = 128  # bytes
_GUID_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_GUID_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MAX_DIGITS = 16  # digits of a number in a text header
_UNCOMPRESSED = (b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_RECORDER_OFFSETS = (1, 8, 36, 44)  # size errors in bytes that some recorders make


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleHeader:
    """Position and size of the samples of a file, as declared in its header.

    Attributes:
        begin: offset of the first sample.
        declared: number of bytes of samples; None if the header does not declare it.
        size_field: offset of the field that declares the number of bytes of samples; None if there
            is no such field.
        chunks: format of the size field, and of chunks after the samples.
        bias: number of bytes that the size field counts in addition to the samples.
        end: declared offset of the end of the file; None if the header does not declare it.
        ds64: offset of the chunk with the sizes of an RF64 file; 0 in other files.
        followed: whether chunks may follow the samples.
    """

    begin: int
    declared: int | None
    size_field: int | None
    chunks: ChunkFormat
    bias: int = 0
    end: int | None = None
    ds64: int = 0
    followed: bool = True


def complete_samples(stream: BinaryIO, size: int, *, accept: bool = False) -> BinaryIO:
    """Return a file, or a stream with a corrected header, from which decoders read all samples.

    Raises:
        IncompleteAudioError: if the header declares more or fewer samples than are present, unless
            `accept` is True.
        UndecodableError: for a RIFX file of more than 4 GiB.
    """
    reader = ByteReader(stream, size)
    header = _header(reader)
    if header is None or header.begin > size:
        return stream
    n_bytes = _sample_bytes(reader, header, accept=accept)
    if header.size_field is None:
        return stream
    if (magic := reader.at(0, 4)) in _RIFF_ORDERS:
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


def _header(reader: ByteReader) -> SampleHeader | None:
    """Read the header of a file; return None for other formats and files without samples."""
    start = reader.at(0, 16)
    if start[:4] in _RIFF_ORDERS and start[8:12] == b"WAVE":
        return _riff(reader, _RIFF_ORDERS[start[:4]])
    if start == _GUID_RIFF:
        w64 = ChunkFormat("little", name=16, width=8, counted=24, align=8)
        end = reader.integer(16, 8, "little")
        return _first_chunk(reader, w64, 40, _GUID_DATA, end=end)
    if start[:4] == b"caff":  # the samples begin after an edit count of 4 bytes
        return _first_chunk(reader, ChunkFormat("big", width=8, align=1), 8, b"data", skip=4)
    if start[:4] == b"FORM":
        return _form(reader)
    if start[:4] in (b".snd", b"dns."):  # AU
        order: ByteOrder = "big" if start[:1] == b"." else "little"
        begin, declared = reader.integer(4, 4, order), _known(reader.integer(8, 4, order))
        chunks = ChunkFormat(order)
        return SampleHeader(
            begin=begin, declared=declared, size_field=8, chunks=chunks, followed=False
        )
    return _nist(reader) if start[:7] == b"NIST_1A" else None


def _first_chunk(
    reader: ByteReader,
    chunks: ChunkFormat,
    offset: int,
    name: bytes,
    *,
    skip: int = 0,
    end: int | None = None,
) -> SampleHeader | None:
    """Return the position and size of the samples in the first chunk with a given name.

    The result is None if there is no such chunk. The first chunk of the file begins at `offset`. In
    the chunk with the samples, `skip` bytes precede the first sample.
    """
    for at, chunk_name, length in chunks.walk(reader, offset):
        if chunk_name == name:
            return SampleHeader(
                begin=at + chunks.head + skip,
                declared=_known(max(0, length - skip)),
                size_field=at + chunks.name,
                chunks=chunks,
                bias=chunks.counted + skip,
                end=end,
            )
    return None


def _riff(reader: ByteReader, order: ByteOrder) -> SampleHeader | None:
    """Read the header of a WAV file (RIFF, RF64, BW64 or RIFX); None if it has no samples."""
    chunks = ChunkFormat(order)
    ds64 = 0
    end = _known(reader.integer(4, 4, order))
    for at, name, length in chunks.walk(reader, 12):
        if name == b"ds64":  # RF64: 64-bit sizes of the file and of the samples
            ds64 = at
            end = _known(reader.integer(at + 8, 8, "little")) or None
        if name == b"data":
            is_long = ds64 and length == 2**32 - 1
            return SampleHeader(
                begin=at + 8,
                declared=_known(reader.integer(ds64 + 16, 8, "little") if is_long else length),
                size_field=at + 4,
                chunks=chunks,
                end=None if end is None else end + 8,
                ds64=ds64,
            )
    return None


def _form(reader: ByteReader) -> SampleHeader | None:
    """Read the header of an AIFF, AIFC or SVX file; None if it has no chunk SSND or BODY."""
    chunks = ChunkFormat("big")
    counted: int | None = None  # bytes of samples, computed from the number in COMM
    declared: int | None = None
    begin = size_field = bias = 0
    for at, name, length in chunks.walk(reader, 12):
        if not _is_chunk_name(name):
            break
        if name == b"COMM":
            counted = _comm_bytes(reader.at(at + 8, min(length, 22)))
        if name in (b"BODY", b"SSND"):
            bias = 8 + reader.integer(at + 8, 4) if name == b"SSND" else 0
            declared = _known(max(0, length - bias))
            begin, size_field = at + 8 + bias, at + 4
            if not bias or counted is not None or not declared:
                break
    if not begin:
        return None
    if bias and counted is not None and counted > (declared or 0):
        declared = counted
    end = reader.integer(4, 4) + 8
    return SampleHeader(
        begin=begin, declared=declared, size_field=size_field, chunks=chunks, bias=bias, end=end
    )


def _comm_bytes(comm: bytes) -> int | None:
    """Return the number of bytes of samples in an AIFF file; None if unknown or compressed.

    `comm` is the content of the chunk COMM, which declares the number of samples.
    """
    if len(comm) < 18 or (len(comm) == 22 and comm[18:] not in _UNCOMPRESSED):
        return None
    frames = _known(int.from_bytes(comm[2:6], "big"))
    sample = (int.from_bytes(comm[6:8], "big") + 7) // 8
    return None if not frames else frames * int.from_bytes(comm[:2], "big") * sample


def _nist(reader: ByteReader) -> SampleHeader | None:
    """Read the text header of a NIST SPHERE file; None if it is invalid or audio is compressed."""
    begin = reader.at(8, 8).strip()
    text = reader.at(0, int(begin) if begin.isdigit() else 1024)
    fields = {words[0]: words[2] for line in text.split(b"\n") if len(words := line.split()) == 3}
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    counts = [fields.get(name, b"") for name in names]
    if not begin.isdigit() or not all(n.isdigit() and len(n) < _MAX_DIGITS for n in counts):
        return None
    if b"embedded" in fields.get(b"sample_coding", b""):
        return None
    return SampleHeader(
        begin=int(begin),
        declared=int(counts[0]) * int(counts[1]) * int(counts[2]),
        size_field=None,
        chunks=ChunkFormat("big"),
        followed=False,
    )


def _known(size: int) -> int | None:
    """Return a declared size; None for a placeholder that programs write for an unknown size."""
    unknown = any(abs(size - value) <= _HEADER_SLACK for value in _PLACEHOLDERS)
    return None if unknown else size


def _is_chunk_name(name: bytes) -> bool:
    """Return whether bytes can be the name of a chunk (printable characters)."""
    return all(0x20 <= byte < 0x7F for byte in name)


def _sample_bytes(reader: ByteReader, header: SampleHeader, *, accept: bool) -> int:
    """Return the number of bytes of samples to read; raise the errors of `complete_samples`."""
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
    """Return whether no audio follows an offset: only other chunks, padding, or no bytes."""
    chunks, rest = header.chunks, reader.size - offset
    if not rest or (not header.declared and rest < chunks.head):
        return True
    if not header.followed:
        return False
    if rest < chunks.head:  # padding, or other bytes if the file should end before
        return header.end is None or header.end <= offset + chunks.align - 1
    # The last chunk may lack its padding. A second chunk of samples would be ignored.
    return all(
        _is_chunk_name(name[:4])
        and name not in (b"data", b"SSND")
        and 0 <= length <= reader.size - at - chunks.head
        for at, name, length in chunks.walk(reader, offset + -offset % chunks.align)
    )


def _is_recorder_offset(reader: ByteReader, header: SampleHeader, excess: int) -> bool:
    """Return True if the error in the header is typical of audio recorders, False otherwise.

    Some recorders declare too many or too few bytes of samples, for example by the length of a
    header, but write all samples. `excess` is the declared minus the actual number of bytes.
    """
    header_sizes = (header.begin, header.begin - 8)
    if header.end == reader.size:
        return abs(excess) in (*_RECORDER_OFFSETS, *header_sizes)
    return header.end == reader.size + 8 and excess in header_sizes


def _riff_head(reader: ByteReader, header: SampleHeader, n_bytes: int) -> bytes:
    """Return a header with correct sizes, in RF64 format if sizes need more than 32 bits."""
    chunks = header.chunks
    before = reader.at(12, header.begin - 20)
    if header.ds64:
        length = reader.integer(header.ds64 + 4, 4, chunks.order)
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
