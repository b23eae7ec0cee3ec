"""Check of MPEG audio files (MP3), whose length is computed by counting the frames.

If a file has no encoder header (Xing, Info), decoders estimate its length from the first frame, and
ignore the audio after this length. The estimate is too small for variable bitrates and for files
that were joined.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO, NamedTuple

from audioprobe.audio.containers.byte_access import (
    ByteReader,
    UndecodableError,
    after_id3,
    with_header,
)
from audioprobe.errors import IncompleteAudioError

_KBIT_PER_S = {  # keys: (is MPEG 1, layer); indices in frame headers start at 1
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {  # keys: MPEG version 1, 2, 2.5
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
_MAX_JUNK = 4096  # bytes between frames, as in joined files; more: frames are missing
_HEAD = 48  # bytes of a frame with its header and the name of an encoder header
_INFO_NAMES = (b"Xing", b"Info")


class _MpegFrame(NamedTuple):
    """Content of the header of a frame, which is a block of 384 to 1152 samples."""

    length: int  # bytes
    samples: int  # per channel
    side: int  # bytes of layer III's side information
    kind: tuple[int, int, int, bool]  # version, layer, sample rate, mono

    @property
    def layer(self) -> int:
        return self.kind[1]


@dataclass(slots=True)
class _Scan:
    """Complete frames of a file, excluding encoder headers.

    Attributes:
        n_frames: number of frames.
        first: header of the first frame as bytes.
        frame: decoded header of the first frame.
        ranges: (offset, length) in bytes of the frames; adjacent frames are one range.
    """

    n_frames: int = 0
    first: bytes = b""
    frame: _MpegFrame | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, offset: int, length: int) -> None:
        self.n_frames += 1
        if self.ranges and sum(self.ranges[-1]) == offset:
            offset, previous = self.ranges.pop()
            length += previous
        self.ranges.append((offset, length))


def complete_frames(
    stream: BinaryIO, size: int, n_decoded: int, *, accept: bool = False
) -> BinaryIO | int:
    """Check that a decoder reads all frames of an MPEG file.

    Args:
        stream: file opened for reading.
        size: length of the file in bytes.
        n_decoded: number of samples per channel that the decoder would read.
        accept: whether to accept files in which frames are missing.

    Returns:
        The number of samples per channel if the file can be decoded as it is. Otherwise a stream
        to decode instead of the file, with a header that declares the correct number of frames.

    Raises:
        IncompleteAudioError: if frames are missing, unless `accept` is True.
        UndecodableError: if a decoder cannot read all frames.
    """
    reader = ByteReader(stream, size)
    declared = _declared(reader)
    if declared is not None and declared[1] == size:  # the header covers the whole file
        return n_decoded
    scan = _scan(reader, accept=accept)
    if scan.frame is None or (declared is not None and abs(scan.n_frames - declared[0]) <= 1):
        return n_decoded
    if declared is not None and scan.n_frames < declared[0] and not accept:
        raise IncompleteAudioError(
            f"truncated: the header declares {declared[0]} MPEG frames, but {scan.n_frames} are "
            "present"
        )
    n_samples = scan.n_frames * scan.frame.samples
    if scan.frame.layer == 3:
        return with_header(stream, _info_frame(scan), scan.ranges)
    if n_decoded < n_samples:
        raise UndecodableError(
            f"has {n_samples} samples of MPEG layer {scan.frame.layer}, of which a decoder would "
            f"read {n_decoded}, because no header declares their number"
        )
    return n_samples


def without_junk(stream: BinaryIO, size: int) -> BinaryIO | None:
    """Return an MP3 file as a stream from which bytes that are not audio frames are removed.

    The result is None if the file is not an MP3.

    Raises:
        IncompleteAudioError: if frames are missing.
        UndecodableError: if a decoder cannot read all frames.
    """
    reader = ByteReader(stream, size)
    begin = after_id3(reader)
    if _next_frame(reader, begin, _Scan()) > begin + _MAX_JUNK:
        return None
    scan = _scan(reader, accept=False)
    if scan.frame is None or scan.frame.layer != 3:
        return None
    return with_header(stream, _info_frame(scan), scan.ranges)


@cache
def _frame(header: int) -> _MpegFrame | None:
    """Decode a frame header, given as an integer of 32 bits; return None if it is invalid."""
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate, rate = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    is_mpeg_1, mono = version == 3, header >> 6 & 3 == 3
    hertz, padding = _SAMPLE_RATES[version][rate], header >> 9 & 1
    bits = 1000 * _KBIT_PER_S[is_mpeg_1, layer][bitrate - 1]
    if layer == 1:
        length, samples = (12 * bits // hertz + padding) * 4, 384
    else:
        samples = 576 if layer == 3 and not is_mpeg_1 else 1152
        length = samples // 8 * bits // hertz + padding
    side = (17 if mono else 32) if is_mpeg_1 else (9 if mono else 17)
    return _MpegFrame(length, samples, side, (version, layer, hertz, mono))


def _frame_at(reader: ByteReader, offset: int) -> tuple[bytes, _MpegFrame | None]:
    """Return the bytes at an offset, and their frame header (None if they have no valid one)."""
    head = reader.at(offset, _HEAD)
    possible = len(head) >= 4 and head[0] == 0xFF
    # Bits that can differ between the frames of a stream are masked, except padding.
    return head, _frame(int.from_bytes(head[:4], "big") & 0xFFFEFEC0) if possible else None


def _is_info(head: bytes, frame: _MpegFrame) -> bool:
    """Return whether a frame contains an encoder header instead of audio."""
    at = 4 + frame.side
    has_name = head[at : at + 4] in _INFO_NAMES or head[36:40] == b"VBRI"
    return frame.layer == 3 and has_name


def _declared(reader: ByteReader) -> tuple[int, int] | None:
    """Return the number of frames and the offset of their end, as the encoder header declares.

    The offset is -1 if it is not declared. The result is None if the file has no encoder header, or
    if the header does not declare the number of frames.
    """
    begin = after_id3(reader)
    head, frame = _frame_at(reader, begin)
    if frame is None or not _is_info(head, frame):
        return None
    info = reader.at(begin + 4 + frame.side, 16)
    if info[:4] not in _INFO_NAMES or info[7] & 1 == 0:
        return None
    end = begin + int.from_bytes(info[12:16], "big") if info[7] & 2 else -1
    return int.from_bytes(info[8:12], "big"), _after_tags(reader, end)


def _after_tags(reader: ByteReader, offset: int) -> int:
    """Return the offset after all tags (title, lyrics, ...) that begin at an offset."""
    while 0 <= offset < reader.size:
        head = reader.at(offset, 32)
        end = offset
        if head[:3] == b"TAG":
            end += 128
        elif head[:3] == b"ID3":
            end = after_id3(reader, offset)
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            end += 32 + int.from_bytes(head[12:16], "little")
        elif head[:11] == b"LYRICSBEGIN":
            last = reader.find(b"LYRICS200", offset)
            end = reader.size if last < 0 else last + 9
        if end == offset:
            break
        offset = min(end, reader.size)
    return offset


def _scan(reader: ByteReader, *, accept: bool) -> _Scan:
    """Read all frame headers of a file; skip tags and short sequences of other bytes."""
    scan = _Scan()
    offset = after_id3(reader)
    while offset < reader.size:
        head, frame = _frame_at(reader, offset)
        if frame is None or (scan.frame is not None and frame.kind != scan.frame.kind):
            offset = _next_frame(reader, offset, scan, accept=accept)
            continue
        if offset + frame.length > reader.size:
            if accept:
                break
            raise IncompleteAudioError(
                f"truncated: the last MPEG frame has {reader.size - offset} of {frame.length} bytes"
            )
        if not _is_info(head, frame):
            if scan.frame is None:
                scan.first, scan.frame = head[:4], frame
            scan.add(offset, frame.length)
        offset += frame.length
    return scan


def _next_frame(reader: ByteReader, begin: int, scan: _Scan, *, accept: bool = False) -> int:
    """Return the offset of the next frame or tag; the size of the file if none follows.

    Raises:
        IncompleteAudioError: if many bytes between two frames are not audio, unless
            `accept` is True.
        UndecodableError: if the next frame has another sample rate or number of channels.
    """
    offset = _after_tags(reader, begin)
    if offset > begin:
        return offset
    frame = None
    while offset < reader.size:
        frame = _confirmed_frame(reader, offset)
        if frame is not None or _after_tags(reader, offset) > offset:
            break
        following = reader.find(b"\xff", offset + 1)
        following = reader.size if following < 0 else following
        tag = reader.find(b"ID3", offset + 1, following)
        offset = following if tag < 0 else tag
    if scan.frame is not None and offset - begin > _MAX_JUNK and not accept:
        raise IncompleteAudioError(
            f"damaged: the {offset - begin} bytes from byte {begin} on are not MPEG frames"
        )
    if frame is not None and scan.frame is not None and frame.kind != scan.frame.kind:
        raise UndecodableError(
            "consists of joined files with different formats: "
            f"{scan.frame.kind[2]} Hz and {frame.kind[2]} Hz, or mono and stereo"
        )
    return offset


def _confirmed_frame(reader: ByteReader, offset: int) -> _MpegFrame | None:
    """Return the frame at an offset if a frame of the same kind follows it; otherwise None."""
    frame = _frame_at(reader, offset)[1]
    following = None if frame is None else _frame_at(reader, offset + frame.length)[1]
    return frame if frame and following and following.kind == frame.kind else None


def _info_frame(scan: _Scan) -> bytes:
    """Return a new frame without audio, whose encoder header declares the number of frames."""
    version, second, third, fourth = scan.first
    header = bytes((version, second | 1, 14 << 4 | third & 0x0C, fourth))
    frame = _frame(int.from_bytes(header, "big") & 0xFFFEFEC0)
    assert frame is not None  # noqa: S101 - the first frame's header with another bitrate
    counts = scan.n_frames, frame.length + sum(length for _, length in scan.ranges)
    info = b"Info" + (3).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in counts)
    return (header + bytes(frame.side) + info).ljust(frame.length, b"\0")
