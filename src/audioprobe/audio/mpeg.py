"""How much sound an MPEG audio file (MP3) holds: its frames are counted where no header says it.

Without the header of an encoder (Xing, Info), decoders estimate the length from the first frame and
stop there: for a variable bitrate, or files that were joined, most of the sound would be left out.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO, NamedTuple

from audioprobe.audio.pieces import FileWindow, UndecodableError, after_id3, with_header
from audioprobe.errors import IncompleteAudioError

# Bitrates in kbit/s by index 1 to 14: of MPEG 1, layers I, II, III; of MPEG 2 and 2.5, I, II + III.
_V1_L1 = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)
_V1_L2 = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_V1_L3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_V2_L1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_V2_L23 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MOST_JUNK = 4096  # bytes between frames, as joints of files have; more is a hole
_LAYER_3 = 3  # of MPEG audio: MP3
_HEAD = 48  # bytes of a frame that hold its header and the name of an encoder's
_INFO_NAMES = (b"Xing", b"Info")


class _Frame(NamedTuple):
    """What the four bytes of a frame's header say."""

    length: int  # bytes
    samples: int
    side: int  # bytes of layer III's side information
    kind: tuple[int, int, int, bool]  # version, layer, sample rate, one channel


@dataclass(slots=True)
class _Scan:
    """The frames of a file.

    Attributes:
        n_frames: that are whole, without the headers of encoders.
        first: header of the first.
        frame: what it says.
        ranges: (offset, length) of the frames in the file.
    """

    n_frames: int = 0
    first: bytes = b""
    frame: _Frame | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, offset: int, length: int) -> None:
        """Count a frame."""
        self.n_frames += 1
        if self.ranges and sum(self.ranges[-1]) == offset:
            self.ranges[-1] = (self.ranges[-1][0], self.ranges[-1][1] + length)
        else:
            self.ranges.append((offset, length))


def complete_frames(
    stream: BinaryIO, size: int, told: int, *, accept: bool = False
) -> BinaryIO | int:
    """A view of the file that tells a decoder its length, or the length where it needs no telling.

    Args:
        stream: the file, opened for reading.
        size: its length in bytes.
        told: how many samples per channel the decoder takes it to have.
        accept: read what there is of a file that was cut.

    Returns:
        The view; or else the number of samples per channel that the decoder will read.

    Raises:
        IncompleteAudioError: if frames are missing.
        UndecodableError: if a decoder could not read all of them.
    """
    window = FileWindow(stream, size)
    promised = _promised(window)
    if promised is not None and promised[1] == size:  # the header tells of all
        return told
    scan = _scan(window, accept=accept)
    if scan.frame is None or (promised is not None and abs(scan.n_frames - promised[0]) <= 1):
        return told
    if promised is not None and scan.n_frames < promised[0] and not accept:
        raise IncompleteAudioError(
            f"cut short, the header promises {promised[0]} MPEG frames and {scan.n_frames} are "
            "there"
        )
    n_samples = scan.n_frames * scan.frame.samples
    if scan.frame.kind[1] == _LAYER_3:
        return _view(stream, scan)
    if told < n_samples:
        raise UndecodableError(
            f"{n_samples} samples of MPEG layer {scan.frame.kind[1]}, of which a decoder would "
            f"read {told}, since no header says how many there are"
        )
    return n_samples


def without_junk(stream: BinaryIO, size: int) -> BinaryIO | None:
    """A view of an MP3 that begins with junk, without it; None where no frames follow soon.

    Raises:
        IncompleteAudioError, UndecodableError: as `complete_frames`.
    """
    window = FileWindow(stream, size)
    begin = after_id3(window)
    if _next_frame(window, begin, _Scan()) > begin + _MOST_JUNK:
        return None
    scan = _scan(window, accept=False)
    known = scan.frame is not None and scan.frame.kind[1] == _LAYER_3
    return _view(stream, scan) if known else None


def _view(stream: BinaryIO, scan: _Scan) -> BinaryIO:
    return with_header(stream, _info_frame(scan), scan.ranges)


@cache
def _frame(header: int) -> _Frame | None:
    """Decode a header of 32 bits; None where it is none."""
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate, rate = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    if version == 3:
        table = (_V1_L1, _V1_L2, _V1_L3)[layer - 1]
    else:
        table = _V2_L1 if layer == 1 else _V2_L23
    hertz, padding = _RATES[version][rate], header >> 9 & 1
    bits = 1000 * table[bitrate - 1]
    mono = header >> 6 & 3 == 3
    if layer == 1:
        length, samples = (12 * bits // hertz + padding) * 4, 384
    else:
        samples = 576 if layer == 3 and version != 3 else 1152
        length = samples // 8 * bits // hertz + padding
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(length, samples, side, (version, layer, hertz, mono))


def _at(window: FileWindow, offset: int) -> tuple[bytes, _Frame | None]:
    head = window.at(offset, _HEAD)
    known = len(head) >= 4 and head[0] == 0xFF
    # What tells frames of one stream apart but the padding and a checksum is not looked at.
    return head, _frame(int.from_bytes(head[:4], "big") & 0xFFFEFEC0) if known else None


def _is_info(head: bytes, frame: _Frame) -> bool:
    """Whether a frame is no sound but what an encoder says of the stream."""
    at = 4 + frame.side
    names = head[at : at + 4], head[36:40]
    return frame.kind[1] == _LAYER_3 and (names[0] in _INFO_NAMES or names[1] == b"VBRI")


def _promised(window: FileWindow) -> tuple[int, int] | None:
    """Number of frames, and the offset where they end, by the header of the encoder."""
    begin = after_id3(window)
    head, frame = _at(window, begin)
    if frame is None or not _is_info(head, frame):
        return None
    at = begin + 4 + frame.side
    info = window.at(at, 16)
    if info[:4] not in _INFO_NAMES or info[7] & 1 == 0:
        return None
    end = begin + int.from_bytes(info[12:16], "big") if info[7] & 2 else -1
    return int.from_bytes(info[8:12], "big"), _after_tags(window, end)


def _after_tags(window: FileWindow, offset: int) -> int:
    """Offset behind tags of any kind, and behind zeros that fill up the file."""
    while 0 <= offset < window.size:
        head = window.at(offset, 32)
        if head[:3] == b"TAG":
            offset = min(offset + 128, window.size)
        elif head[:3] == b"ID3" and len(head) >= 10:
            offset = min(after_id3(window, offset), window.size)
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            offset = min(offset + 32 + int.from_bytes(head[12:16], "little"), window.size)
        elif head[:11] == b"LYRICSBEGIN":
            end = window.find(b"LYRICS200", offset)
            offset = window.size if end < 0 else end + 9
        else:
            break
    return offset


def _scan(window: FileWindow, *, accept: bool) -> _Scan:
    """Go from frame to frame, over tags and little junk."""
    scan = _Scan()
    offset = after_id3(window)
    while offset < window.size:
        head, frame = _at(window, offset)
        if frame is None or (scan.frame is not None and frame.kind != scan.frame.kind):
            offset = _next_frame(window, offset, scan, accept=accept)
            continue
        if offset + frame.length > window.size:
            if accept:
                break
            raise IncompleteAudioError(
                f"cut short, the last MPEG frame has {window.size - offset} of {frame.length} bytes"
            )
        if not _is_info(head, frame):
            if scan.frame is None:
                scan.first, scan.frame = head[:4], frame
            scan.add(offset, frame.length)
        offset += frame.length
    return scan


def _next_frame(window: FileWindow, begin: int, scan: _Scan, *, accept: bool = False) -> int:
    """Offset of the frame after tags or junk; the file's size where there is none."""
    offset = _after_tags(window, begin)
    if offset > begin:
        return offset
    frame = None
    while offset < window.size:
        frame = _confirmed(window, offset)
        if frame is not None or _after_tags(window, offset) > offset:
            break
        after = window.find(b"\xff", offset + 1)
        after = window.size if after < 0 else after
        tag = window.find(b"ID3", offset + 1, after)
        offset = after if tag < 0 else tag
    if scan.frame is not None and offset - begin > _MOST_JUNK and not accept:
        raise IncompleteAudioError(
            f"damaged, {offset - begin} bytes from byte {begin} on are no MPEG frames"
        )
    if frame is not None and scan.frame is not None and frame.kind != scan.frame.kind:
        raise UndecodableError(
            f"sounds of {scan.frame.kind[2]} Hz and {frame.kind[2]} Hz, or of one channel and two, "
            "were joined to one file"
        )
    return offset


def _confirmed(window: FileWindow, offset: int) -> _Frame | None:
    """The frame that begins here, if another of its kind follows it."""
    frame = _at(window, offset)[1]
    following = None if frame is None else _at(window, offset + frame.length)[1]
    return frame if frame and following and following.kind == frame.kind else None


def _info_frame(scan: _Scan) -> bytes:
    """A frame that tells a decoder how many follow."""
    version, second, third, fourth = scan.first
    header = bytes((version, second | 1, 14 << 4 | third & 0x0C, fourth))
    frame = _frame(int.from_bytes(header, "big") & 0xFFFEFEC0)
    assert frame is not None  # noqa: S101 - the first frame's header with another bitrate
    counts = scan.n_frames, frame.length + sum(length for _, length in scan.ranges)
    info = b"Info" + (3).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in counts)
    return (header + bytes(frame.side) + info).ljust(frame.length, b"\0")
