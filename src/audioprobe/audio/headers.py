"""What the headers of WAV, AIFF, W64, CAF, AU, SVX and NIST files say about their samples."""

from dataclasses import dataclass
from typing import Literal

from audioprobe.audio.pieces import FileWindow

_Order = Literal["little", "big"]

_UNFINISHED = (0x7F00_0000, 0x7FFF_F000, 0x8000_0000, 0xFFFF_F000, 2**32, 2**63, 2**64)
"""Sizes that programs write which do not know the length yet, give or take a header."""
_HEADER_SLACK = 128  # bytes around them
_GUID_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_GUID_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
RIFF_ORDERS: dict[bytes, _Order] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"BW64": "little",
    b"RIFX": "big",
}
_DIGITS = 16  # of a number in a header of text, at most
_UNCOMPRESSED = (b"NONE", b"sowt", b"twos", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How chunks are written: a name, a size, and the content.

    Attributes:
        order: of the bytes of a size.
        name: bytes of a name.
        width: bytes of a size.
        counted: bytes of name and size that the size includes.
        align: chunks begin at multiples of so many bytes.
    """

    order: _Order
    name: int = 4
    width: int = 4
    counted: int = 0
    align: int = 2

    @property
    def head(self) -> int:
        """Bytes before the content."""
        return self.name + self.width


@dataclass(frozen=True, slots=True)
class SampleHeader:
    """Where the samples of a file are, by its header.

    Attributes:
        begin: offset of the first byte.
        promised: bytes of samples; None where the header leaves that open.
        field: offset of the size; None where there is none to mend.
        chunks: how sizes, and chunks that follow the samples, are written.
        bias: bytes that the size counts besides the samples.
        end: where the file ends by the header; None where it does not say.
        ds64: offset of the chunk with the sizes of an RF64 file; 0 for other files.
        followed: whether chunks may follow the samples.
    """

    begin: int
    promised: int | None
    field: int | None
    chunks: ChunkLayout
    bias: int = 0
    end: int | None = None
    ds64: int = 0
    followed: bool = True


def read_header(window: FileWindow) -> SampleHeader | None:
    """Return where the samples are; None where the container is another one, or has none."""
    start = window.at(0, 16)
    if start[:4] in RIFF_ORDERS and start[8:12] == b"WAVE":
        return _riff(window, RIFF_ORDERS[start[:4]])
    if start == _GUID_RIFF:
        return _w64(window)
    if start[:7] == b"NIST_1A":
        return _nist(window)
    parsers = {b"FORM": _form, b"caff": _caf, b".snd": _au, b"dns.": _au}
    return parsers[start[:4]](window) if start[:4] in parsers else None


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes are the name of a chunk, which is printable."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def chunk_length(window: FileWindow, offset: int, chunks: ChunkLayout) -> int:
    """Return how many bytes the content of the chunk at an offset has."""
    size = window.at(offset + chunks.name, chunks.width)
    return int.from_bytes(size, chunks.order) - chunks.counted


def next_chunk(window: FileWindow, offset: int, length: int, chunks: ChunkLayout) -> int:
    """Return the offset behind a chunk and its padding."""
    end = offset + chunks.head + length
    padding = -end % chunks.align if chunks.align > 2 else length % 2
    if padding == 1 and window.at(end, 1) not in (b"\0", b""):
        return end  # some programs leave the byte of padding out
    return end + padding


def _known(size: int) -> int | None:
    """A size, or None for one that says that the length was not known."""
    unknown = any(abs(size - value) <= _HEADER_SLACK for value in _UNFINISHED)
    return None if unknown else size


def _riff(window: FileWindow, order: _Order) -> SampleHeader | None:
    chunks = ChunkLayout(order)
    ds64 = 0
    end = _known(int.from_bytes(window.at(4, 4), order))
    at = 12
    while len(head := window.at(at, 8)) == 8:
        length = chunk_length(window, at, chunks)
        if head[:4] == b"ds64":  # RF64: sizes of 64 bits; that of the file, that of the samples
            ds64 = at
            end = _known(int.from_bytes(window.at(at + 8, 8), "little")) or None
        if head[:4] == b"data":
            if ds64 and length == 2**32 - 1:
                length = int.from_bytes(window.at(ds64 + 16, 8), "little")
            end = None if end is None else end + 8
            return SampleHeader(at + 8, _known(length), at + 4, chunks, end=end, ds64=ds64)
        at = next_chunk(window, at, length, chunks)
    return None


def _form(window: FileWindow) -> SampleHeader | None:
    """AIFF and AIFC (samples in SSND, their number in COMM) and SVX (samples in BODY)."""
    chunks = ChunkLayout("big")
    end = int.from_bytes(window.at(4, 4), "big") + 8
    counted: int | None = None
    found: SampleHeader | None = None
    at = 12
    while len(head := window.at(at, 8)) == 8 and is_chunk_name(head[:4]):
        length = chunk_length(window, at, chunks)
        if head[:4] == b"COMM":
            counted = _comm_bytes(window.at(at + 8, min(length, 22)))
        if head[:4] == b"BODY":
            return SampleHeader(at + 8, _known(length), at + 4, chunks, end=end)
        if head[:4] == b"SSND":
            bias = 8 + int.from_bytes(window.at(at + 8, 4), "big")
            promised = _known(max(0, length - bias))
            found = SampleHeader(at + 8 + bias, promised, at + 4, chunks, bias, end)
            if counted is not None or not promised:
                break
        at = next_chunk(window, at, length, chunks)
    if found is None or counted is None or counted <= (found.promised or 0):
        return found
    return SampleHeader(found.begin, counted, found.field, chunks, found.bias, end)


def _comm_bytes(comm: bytes) -> int | None:
    """Bytes of samples by their number; None where it is not known or they are compressed."""
    if len(comm) < 18 or (len(comm) == 22 and comm[18:] not in _UNCOMPRESSED):
        return None
    frames = _known(int.from_bytes(comm[2:6], "big"))
    sample = (int.from_bytes(comm[6:8], "big") + 7) // 8
    return None if not frames else frames * int.from_bytes(comm[:2], "big") * sample


def _w64(window: FileWindow) -> SampleHeader | None:
    chunks = ChunkLayout("little", name=16, width=8, counted=24, align=8)
    end = int.from_bytes(window.at(16, 8), "little")
    at = 40
    while len(head := window.at(at, 24)) == 24:
        length = chunk_length(window, at, chunks)
        if head[:16] == _GUID_DATA:
            return SampleHeader(at + 24, _known(max(0, length)), at + 16, chunks, 24, end)
        if length < 0:
            break
        at = next_chunk(window, at, length, chunks)
    return None


def _caf(window: FileWindow) -> SampleHeader | None:
    chunks = ChunkLayout("big", width=8, align=1)
    at = 8
    while len(head := window.at(at, 12)) == 12:
        length = chunk_length(window, at, chunks)
        if head[:4] == b"data":  # it begins with the number of edits
            return SampleHeader(at + 16, _known(max(0, length - 4)), at + 4, chunks, 4)
        at = next_chunk(window, at, length, chunks)
    return None


def _au(window: FileWindow) -> SampleHeader:
    order: _Order = "big" if window.at(0, 4) == b".snd" else "little"
    begin = int.from_bytes(window.at(4, 4), order)
    promised = _known(int.from_bytes(window.at(8, 4), order))
    return SampleHeader(begin, promised, 8, ChunkLayout(order), followed=False)


def _nist(window: FileWindow) -> SampleHeader | None:
    """NIST SPHERE: a header of text, with the number of samples where they are not compressed."""
    begin = window.at(8, 8).strip()
    text = window.at(0, int(begin) if begin.isdigit() else 1024)
    fields = {words[0]: words[2] for line in text.split(b"\n") if len(words := line.split()) == 3}
    counts = [
        fields.get(name, b"") for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    if not begin.isdigit() or not all(n.isdigit() and len(n) < _DIGITS for n in counts):
        return None
    if b"embedded" in fields.get(b"sample_coding", b""):
        return None
    promised = int(counts[0]) * int(counts[1]) * int(counts[2])
    return SampleHeader(int(begin), promised, None, ChunkLayout("big"), followed=False)
