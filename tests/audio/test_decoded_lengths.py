"""Files whose length decoders only estimate (FLAC, OGG, MP3) are read to the end, or refused."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.audio.encoded import ACCEPT, ID3, NOISE, WHOLE, Put, encoded, n_read

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError, IncompleteAudioError
from audioprobe.types import Clip

each = pytest.mark.parametrize
scratch = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


# FLAC


def with_total(content: bytes, total: int) -> bytes:
    at = content.index(b"fLaC") + 21
    changed = bytearray(content)
    changed[at] = changed[at] & 0xF0 | total >> 32
    changed[at + 1 : at + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(changed)


@scratch
@given(n=st.integers(1, NOISE.size), tag=st.booleans(), channels=st.integers(1, 2))
def test_flac_without_length_is_read_to_the_end(put: Put, n: int, tag: bool, channels: int) -> None:
    content = with_total(encoded("FLAC", None, np.repeat(NOISE[:n, None], channels, 1)), 0)
    assert n_read(put(ID3 * tag + content)) == n
    with pytest.raises(AudioReadError):
        n_read(put(content[:-3]))


@each("total", [1, NOISE.size // 2, NOISE.size - 1])
def test_flac_with_too_small_length_is_read_to_the_end(put: Put, total: int) -> None:
    assert n_read(put(with_total(encoded("FLAC"), total))) == NOISE.size


@each("totals", [(None, None), (0, None), (None, 0), (0, 0)])
@each("lengths", [(20_000, 20_000), (20_000, 9000), (9000, 20_000), (300, 300)])
def test_joined_flac_files_are_refused(
    put: Put, totals: tuple[int | None, int | None], lengths: tuple[int, int]
) -> None:
    parts = [encoded("FLAC", None, NOISE[:n]) for n in lengths]
    joined = [p if t is None else with_total(p, t) for p, t in zip(parts, totals, strict=True)]
    with pytest.raises(AudioReadError):
        n_read(put(b"".join(joined)))


# OGG


def pages(content: bytes) -> list[bytes]:
    result = []
    while content:
        end = 27 + content[26] + sum(content[27 : 27 + content[26]])
        result.append(content[:end])
        content = content[end:]
    return result


@each("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_streams_are_refused(put: Put, subtype: str | None) -> None:
    content = encoded("OGG", subtype)
    for other in (content, encoded("OGG", "VORBIS", NOISE[::-1].copy())):
        with pytest.raises(AudioReadError, match="one after the other"):
            n_read(put(content + other))


@each("subtype", ["VORBIS", "OPUS"])
def test_ogg_without_last_page_is_refused(put: Put, subtype: str | None) -> None:
    complete = pages(encoded("OGG", subtype))
    assert len(complete) > 4
    path = put(b"".join(complete[:-1]))
    with pytest.raises(IncompleteAudioError):
        n_read(path)
    assert 0 < n_read(path, ACCEPT) < NOISE.size


# MP3

BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # of MPEG 1, layer III
LOUDER = np.concatenate([np.tile(NOISE, 3) * 0.01, np.tile(NOISE, 3)])  # 4 s at 44.1 kHz
PADDING = 4 * 1152  # samples that an encoder adds, at most


def mp3(mode: str = "VARIABLE", samples: Any = LOUDER, rate: int = 44_100) -> bytes:
    return encoded("MP3", None, samples, rate, compression_level=0.5, bitrate_mode=mode)


def first_frame(content: bytes) -> int:
    header = int.from_bytes(content[:4], "big")
    assert header >> 19 == 0x1FFF  # MPEG 1
    rate = (44_100, 48_000, 32_000)[header >> 10 & 3]
    return 144_000 * BITRATES[(header >> 12 & 15) - 1] // rate + (header >> 9 & 1)


def bare(content: bytes) -> bytes:
    """An MP3 without the frame in which the encoder says how long it is."""
    n = first_frame(content)
    assert b"Xing" in content[:n] or b"Info" in content[:n]
    return content[n:]


V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 40, 1, 0) + bytes(8 + 40)


@each(
    ("mode", "header", "parts", "around"),
    [
        ("VARIABLE", True, 1, (ID3 + ID3, V1)),
        ("VARIABLE", False, 1, (b"", b"")),
        ("CONSTANT", False, 1, (ID3, b"")),
        ("CONSTANT", True, 1, (b"", APE + V1)),
        ("CONSTANT", True, 2, (b"", b"")),
        ("VARIABLE", True, 3, (ID3, V1)),
        ("VARIABLE", False, 2, (b"", APE + V1)),
        ("CONSTANT", False, 2, (ID3, bytes(500))),
    ],
)
def test_mp3_is_read_to_the_end_with_and_without_headers_and_tags(
    put: Put, mode: str, parts: int, header: bool, around: tuple[bytes, bytes]
) -> None:
    content = mp3(mode) if header else bare(mp3(mode))
    n = n_read(put((around[0] + content + around[1]) * parts))
    assert parts * LOUDER.size <= n + 529  # the delay of a decoder
    assert n <= parts * (LOUDER.size + PADDING)


def test_mp3_without_info_header_has_the_same_samples(put: Put) -> None:
    with_header = read_waveform(Clip(id="a", path=put(mp3(), "a.mp3")), WHOLE).samples
    without = read_waveform(Clip(id="b", path=put(bare(mp3()), "b.mp3")), WHOLE).samples
    late = int(np.argmax(np.correlate(without[:4000], with_header[2000:2500], "valid"))) - 2000
    assert 0 <= late <= PADDING
    np.testing.assert_allclose(
        without[late + 5000 :][: with_header.size - 5000], with_header[5000:], atol=1e-3
    )


@each("rate", [8000, 16_000, 22_050, 48_000])
@each("channels", [1, 2])
def test_mp3_frames_of_all_versions_and_channels_are_counted(
    put: Put, rate: int, channels: int
) -> None:
    samples = np.repeat(LOUDER[: 2 * rate, None], channels, 1)
    content = mp3("VARIABLE", samples, rate)
    assert len(samples) <= n_read(put(content + content)) - len(samples) + 529 * 2
    assert n_read(put(content)) == len(samples)


@scratch
@given(remaining=st.floats(0.01, 1, exclude_max=True))
def test_truncated_mp3_with_length_is_refused_or_complete(put: Put, remaining: float) -> None:
    content = mp3("VARIABLE", LOUDER[:40_000])
    path = put(content[: int(remaining * len(content))])
    try:
        n = n_read(path)
    except AudioReadError:
        return
    assert n >= 40_000


def test_mp3_with_incomplete_last_frame_is_refused(put: Put) -> None:
    path = put(bare(mp3())[:-100])
    with pytest.raises(IncompleteAudioError):
        n_read(path)
    assert LOUDER.size - 2 * 1152 < n_read(path, ACCEPT) < LOUDER.size + PADDING


@each("header", [True, False])
def test_mp3_with_missing_frames_is_refused(put: Put, header: bool) -> None:
    content = mp3() if header else bare(mp3())
    middle = len(content) // 2
    with pytest.raises(AudioReadError):
        n_read(put(content[:middle] + bytes(20_000) + content[middle + 20_000 :]))


def test_joined_mp3_files_of_different_rates_are_refused(put: Put) -> None:
    with pytest.raises(AudioReadError, match="joined"):
        n_read(put(mp3() + mp3("VARIABLE", LOUDER[:40_000], 48_000)))


def test_junk_before_mp3_frames_is_skipped(put: Put) -> None:
    n = n_read(put(bytes(2000) + mp3("CONSTANT"), "junk.mp3"))
    assert LOUDER.size <= n + 529 <= LOUDER.size + PADDING


def test_an_invalid_tag_between_frames_is_skipped_as_junk(put: Put) -> None:
    content = bare(mp3("CONSTANT"))
    n_bytes = first_frame(content)
    path = put(content[:n_bytes] + b"ID3" + bytes(8) + b"\xff" * 9 + content[n_bytes:])
    assert LOUDER.size <= n_read(path) + 529 <= LOUDER.size + PADDING
