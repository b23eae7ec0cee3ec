"""Parsing of the headers of WAV, AIFF, W64, CAF, AU, SVX and NIST files."""

from dataclasses import dataclass
from typing import Literal

from audioprobe.audio.containers.byte_access import ByteReader

_Order = Literal["little", "big"]

RIFF_ORDERS: dict[bytes, _Order] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"BW64": "little",
    b"RIFX": "big",
}
_PLACEHOLDERS = (0x7F00_0000, 0x7FFF_F000, 0x8000_0000, 0xFFFF_F000, 2**32, 2**63, 2**64)
"""Placeholders that programs write while the size is unknown, plus or minus a header length."""
_HEADER_SLACK = 128  # bytes
_GUID_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_GUID_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MAX_DIGITS = 16  # digits of a number in a text header
_UNCOMPRESSED = (b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """Format of the chunks of a container; a chunk consists of a name, a size and content.

    Attributes:
        order: byte order of the size.
        name: number of bytes of the name.
        width: number of bytes of the size.
        counted: number of bytes of name and size that the size includes.
        align: number of bytes; chunks begin at multiples of it.
    """

    order: _Order
    name: int = 4
    width: int = 4
    counted: int = 0
    align: int = 2

    @property
    def head(self) -> int:
        """Number of bytes before the content."""
        return self.name + self.width

    def length(self, reader: ByteReader, offset: int) -> int:
        """Return the number of content bytes of the chunk at an offset."""
        size = reader.at(offset + self.name, self.width)
        return int.from_bytes(size, self.order) - self.counted

    def after(self, reader: ByteReader, offset: int, length: int) -> int:
        """Return the offset after a chunk and its padding, which some programs omit."""
        end = offset + self.head + length
        padding = -end % self.align if self.align > 2 else length % 2
        missing = padding == 1 and reader.at(end, 1) not in (b"\0", b"")
        return end if missing else end + padding


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleHeader:
    """Information about the samples of a file, as declared in its header.

    Attributes:
        begin: offset of the first sample.
        declared: number of bytes of samples; None if the header does not declare it.
        size_field: offset of the size field to correct; None if there is no size field.
        chunks: format of the size field, and of chunks after the samples.
        bias: number of bytes that the size includes in addition to the samples.
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


def read_header(reader: ByteReader) -> SampleHeader | None:
    """Return the header of a file; None for other formats and for files that have no samples."""
    start = reader.at(0, 16)
    if start[:4] in RIFF_ORDERS and start[8:12] == b"WAVE":
        return _riff(reader, RIFF_ORDERS[start[:4]])
    if start == _GUID_RIFF:
        return _w64(reader)
    if start[:7] == b"NIST_1A":
        return _nist(reader)
    parsers = {b"FORM": _form, b"caff": _caf, b".snd": _au, b"dns.": _au}
    return parsers[start[:4]](reader) if start[:4] in parsers else None


def is_chunk_name(name: bytes) -> bool:
    """Return whether four bytes can be the name of a chunk (printable characters)."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _known(size: int) -> int | None:
    """Return a size, or None if the size is a placeholder."""
    unknown = any(abs(size - value) <= _HEADER_SLACK for value in _PLACEHOLDERS)
    return None if unknown else size


def _riff(reader: ByteReader, order: _Order) -> SampleHeader | None:
    chunks = ChunkFormat(order)
    ds64 = 0
    end = _known(int.from_bytes(reader.at(4, 4), order))
    at = 12
    while len(head := reader.at(at, 8)) == 8:
        length = chunks.length(reader, at)
        if head[:4] == b"ds64":  # RF64: 64-bit sizes of the file and of the samples
            ds64 = at
            end = _known(int.from_bytes(reader.at(at + 8, 8), "little")) or None
        if head[:4] == b"data":
            if ds64 and length == 2**32 - 1:
                length = int.from_bytes(reader.at(ds64 + 16, 8), "little")
            return SampleHeader(
                begin=at + 8,
                declared=_known(length),
                size_field=at + 4,
                chunks=chunks,
                end=None if end is None else end + 8,
                ds64=ds64,
            )
        at = chunks.after(reader, at, length)
    return None


def _form(reader: ByteReader) -> SampleHeader | None:
    """Return the header of AIFF and AIFC (samples in SSND, number in COMM) or SVX (in BODY)."""
    chunks = ChunkFormat("big")
    end = int.from_bytes(reader.at(4, 4), "big") + 8
    counted: int | None = None  # bytes of samples, computed from the number in COMM
    declared: int | None = None
    begin = size_field = bias = 0
    at = 12
    while len(head := reader.at(at, 8)) == 8 and is_chunk_name(head[:4]):
        length = chunks.length(reader, at)
        if head[:4] == b"COMM":
            counted = _comm_bytes(reader.at(at + 8, min(length, 22)))
        if head[:4] in (b"BODY", b"SSND"):
            is_aiff = head[:4] == b"SSND"
            bias = 8 + int.from_bytes(reader.at(at + 8, 4), "big") if is_aiff else 0
            declared = _known(max(0, length - bias))
            begin, size_field = at + 8 + bias, at + 4
            if not is_aiff or counted is not None or not declared:
                break
        at = chunks.after(reader, at, length)
    if not begin:
        return None
    if bias and counted is not None and counted > (declared or 0):
        declared = counted
    return SampleHeader(
        begin=begin, declared=declared, size_field=size_field, chunks=chunks, bias=bias, end=end
    )


def _comm_bytes(comm: bytes) -> int | None:
    """Return the number of bytes of samples; None if unknown or compressed."""
    if len(comm) < 18 or (len(comm) == 22 and comm[18:] not in _UNCOMPRESSED):
        return None
    frames = _known(int.from_bytes(comm[2:6], "big"))
    sample = (int.from_bytes(comm[6:8], "big") + 7) // 8
    return None if not frames else frames * int.from_bytes(comm[:2], "big") * sample


def _w64(reader: ByteReader) -> SampleHeader | None:
    chunks = ChunkFormat("little", name=16, width=8, counted=24, align=8)
    at = 40
    while len(head := reader.at(at, 24)) == 24:
        length = chunks.length(reader, at)
        if head[:16] == _GUID_DATA:
            return SampleHeader(
                begin=at + 24,
                declared=_known(max(0, length)),
                size_field=at + 16,
                chunks=chunks,
                bias=24,
                end=int.from_bytes(reader.at(16, 8), "little"),
            )
        if length < 0:
            break
        at = chunks.after(reader, at, length)
    return None


def _caf(reader: ByteReader) -> SampleHeader | None:
    chunks = ChunkFormat("big", width=8, align=1)
    at = 8
    while len(head := reader.at(at, 12)) == 12:
        length = chunks.length(reader, at)
        if head[:4] == b"data":  # begins with an edit count of 4 bytes
            declared = _known(max(0, length - 4))
            return SampleHeader(
                begin=at + 16, declared=declared, size_field=at + 4, chunks=chunks, bias=4
            )
        at = chunks.after(reader, at, length)
    return None


def _au(reader: ByteReader) -> SampleHeader:
    order: _Order = "big" if reader.at(0, 4) == b".snd" else "little"
    return SampleHeader(
        begin=int.from_bytes(reader.at(4, 4), order),
        declared=_known(int.from_bytes(reader.at(8, 4), order)),
        size_field=8,
        chunks=ChunkFormat(order),
        followed=False,
    )


def _nist(reader: ByteReader) -> SampleHeader | None:
    """Return the header of NIST SPHERE, which is text; it declares the number of samples."""
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
