"""A recording is read to its end, or refused: never shorter in silence."""

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.audio.encoded import ACCEPT, LENGTHS, NOISE, RATE, WHOLE, Put, encoded, n_read

from audioprobe import CaptionClassifier, Scripted
from audioprobe.audio.windowing import Windowing, read_waveform
from audioprobe.errors import AudioReadError, IncompleteAudioError
from audioprobe.types import Clip

each = pytest.mark.parametrize
scratch = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


@scratch
@given(
    container=st.sampled_from([*LENGTHS, ("OGG", "OPUS"), ("PAF", "PCM_16"), ("IRCAM", "PCM_16")]),
    n=st.integers(1, 3 * RATE),
    channels=st.integers(1, 2),
    rate=st.sampled_from([8000, 16_000, 48_000]),
)
def test_all_written_samples_are_read(
    put: Put, container: tuple[str, str], n: int, channels: int, rate: int
) -> None:
    n_channels = 1 if container[0] == "SVX" else channels
    path = put(encoded(*container, np.repeat(NOISE[:n, None], n_channels, 1), rate))
    assert n_read(path) == n
    if container[1] in ("PCM_16", "PCM_24", "FLOAT"):
        samples = read_waveform(Clip(id="c", path=path), WHOLE)
        assert samples.sample_rate == rate
        np.testing.assert_allclose(samples.samples, NOISE[:n], atol=1e-4)


@scratch
@given(container=st.sampled_from(LENGTHS), remaining=st.floats(0, 1, exclude_max=True))
def test_truncated_file_is_refused_or_complete(
    put: Put, container: tuple[str, str], remaining: float
) -> None:
    content = encoded(*container)
    path = put(content[: int(remaining * len(content))], "sound.wav")
    try:
        n = n_read(path)
    except AudioReadError:
        return
    assert n == NOISE.size


@each("container", LENGTHS[:13])
@each("remaining", [0.3, 0.9])
def test_samples_of_a_truncated_file_can_be_accepted(
    put: Put, container: tuple[str, str], remaining: float
) -> None:
    content = encoded(*container)
    n = n_read(put(content[: int(remaining * len(content))]), ACCEPT)
    assert 0.8 * remaining * NOISE.size < n < NOISE.size


@each(("kind", "subtype"), [("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_decodable_part_of_a_truncated_file_can_be_accepted(
    put: Put, kind: str, subtype: str | None
) -> None:
    content = encoded(kind, subtype)
    path = put(content[: len(content) // 2])
    with pytest.raises(IncompleteAudioError):
        n_read(path)
    assert 0.2 * NOISE.size < n_read(path, ACCEPT) < 0.7 * NOISE.size


def size_field(content: bytes) -> tuple[int, str]:
    """Where and how a container says how many bytes of samples it has."""
    if content[:4] in (b"RIFF", b"RIFX"):
        return content.index(b"data") + 4, "<I" if content[:4] == b"RIFF" else ">I"
    if content[:4] == b"RF64":
        return 28, "<Q"
    if content[:4] == b"FORM":
        return content.index(b"SSND") + 4, ">I"
    if content[:4] == b"riff":
        return content.index(bytes.fromhex("64617461f3acd311")) + 16, "<Q"
    if content[:4] == b"caff":
        return content.index(b"data") + 4, ">Q"
    return 8, ">I"


SIZED: list[tuple[str, dict[str, Any]]] = [
    ("WAV", {}), ("WAV", {"endian": "BIG"}), ("RF64", {}), ("AIFF", {}), ("W64", {}), ("CAF", {}),
    ("AU", {}),
]  # fmt: skip


def with_size(content: bytes, change: Callable[[int], int]) -> bytes:
    """A file whose header gives another size of its samples."""
    at, how = size_field(content)
    (size,) = struct.unpack_from(how, content, at)
    changed = bytearray(content)
    struct.pack_into(how, changed, at, change(size) % 256 ** struct.calcsize(how))
    return bytes(changed)


@each(("kind", "options"), SIZED)
@each("share", [0.25, 0.5, 1.5, 10])
@each("name", ["sound.wav", "sound.mp3", "sound"])
def test_header_with_wrong_size_is_refused(
    put: Put, kind: str, options: dict[str, Any], share: float, name: str
) -> None:
    content = with_size(encoded(kind, "PCM_16", **options), lambda n: int(n * share) // 4 * 4)
    if kind == "AIFF" and share < 1:  # which also has the number of samples
        assert n_read(put(content, name)) == NOISE.size
    else:
        with pytest.raises(IncompleteAudioError):
            n_read(put(content, name))
    assert n_read(put(content, name), ACCEPT) == NOISE.size


@each(("kind", "options"), SIZED)
@each("unknown", [0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB, 2**64 - 1])
def test_placeholder_size_means_the_end_of_the_file(
    put: Put, kind: str, options: dict[str, Any], unknown: int
) -> None:
    content = encoded(kind, "PCM_16", **options)
    size = unknown & (2 ** (8 * struct.calcsize(size_field(content)[1])) - 1)
    assert n_read(put(with_size(content, lambda _: size))) == NOISE.size


@each("size", [0x7FFE0000, 3 * 2**30, 0xC0000000, 2**31 + 2**20])
def test_large_declared_size_is_not_a_placeholder(put: Put, size: int) -> None:
    with pytest.raises(IncompleteAudioError):
        n_read(put(with_size(encoded("WAV", "PCM_16"), lambda _: size)))


@each("excess", [36, 44, 8, 1, -8, -36, -44])
def test_size_off_by_a_header_is_accepted_if_the_file_size_is_correct(
    put: Put, excess: int
) -> None:
    content = with_size(encoded("WAV", "PCM_16"), lambda n: n + excess)
    assert n_read(put(content)) == NOISE.size
    # A file that lacks as many bytes is not whole: its own size in the header says so.
    with pytest.raises(IncompleteAudioError):
        n_read(put(encoded("WAV", "PCM_16")[: -abs(excess)]))


def test_metadata_after_samples_is_ignored_but_not_a_second_data_chunk(put: Put) -> None:
    content = encoded("WAV", "PCM_16")
    guano = b"guan" + struct.pack("<I", 5) + b"GUANO\0"
    assert n_read(put(content + guano)) == NOISE.size
    assert n_read(put(content + b"abc")) == NOISE.size
    with pytest.raises(IncompleteAudioError):
        n_read(put(content + content[36:]))


def test_wav_without_samples_is_refused_with_any_metadata(put: Put) -> None:
    content = encoded("WAV", "PCM_16", NOISE[:0])
    for rest in (b"", b"guan" + struct.pack("<I", 4) + b"GUAN", bytes(4)):
        with pytest.raises(AudioReadError, match="expected audio samples"):
            n_read(put(content + rest))


def test_bw64_is_read_like_rf64(put: Put) -> None:
    assert n_read(put(b"BW64" + encoded("RF64", "PCM_16")[4:])) == NOISE.size


@each("declared_size", [0, 0xFFFFFFFF])
def test_wav_of_more_than_4_gib_is_read_to_the_end(tmp_path: Path, declared_size: int) -> None:
    path, n_bytes = tmp_path / "night.wav", 5 * 2**30
    header = bytearray(encoded("WAV", "PCM_16", NOISE[:1]))[:44]
    header[40:44] = struct.pack("<I", declared_size)
    with path.open("wb") as file:  # sparse: it takes no room
        file.write(header)
        file.seek(44 + n_bytes - 2)
        file.write(struct.pack("<h", 16384))
    last = read_waveform(Clip(id="c", path=path, start=n_bytes / 2 / RATE - 0.5), WHOLE)
    assert (last.samples.size, last.samples[-1]) == (RATE // 2, 0.5)
    header[40:44] = struct.pack(
        "<I", n_bytes % 2**32
    )  # as recorders write it that count in 32 bits
    with path.open("r+b") as file:
        file.write(header)
    with pytest.raises(IncompleteAudioError):
        read_waveform(Clip(id="c", path=path, duration=1.0), WHOLE)


@each(("kind", "subtype"), [("WAV", "GSM610"), ("WAV", "G721_32"), ("XI", "DPCM_16")])
def test_codecs_without_seeking_are_read_forwards(put: Put, kind: str, subtype: str | None) -> None:
    path = put(encoded(kind, subtype))
    complete = read_waveform(Clip(id="c", path=path), WHOLE).samples
    assert NOISE.size <= complete.size < NOISE.size + 320
    rate = soundfile.info(path).samplerate
    part = read_waveform(Clip(id="c", path=path, start=8200 / rate, duration=500 / rate), WHOLE)
    np.testing.assert_array_equal(part.samples, complete[8200:8700])


@each("rate", [1, 44, 96])
def test_implausible_sample_rate_is_refused(put: Put, rate: int) -> None:
    with pytest.raises(AudioReadError, match=f"got {rate} Hz"):
        n_read(put(encoded("WAV", "PCM_16", NOISE[:100], rate)))
    assert n_read(put(encoded("WAV", "PCM_16", NOISE[:300], 250))) == 300


@scratch
@given(
    container=st.sampled_from([*LENGTHS, ("OGG", "OPUS"), ("AVR", "PCM_16"), ("HTK", "PCM_16")]),
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_header_is_read_or_refused(
    put: Put, container: tuple[str, str], changes: list[tuple[int, int]]
) -> None:
    content = bytearray(encoded(*container, NOISE[:400]))
    for at, value in changes:
        content[at] = value
    path = put(bytes(content))
    for reading in (WHOLE, ACCEPT):
        with suppress(AudioReadError):
            assert read_waveform(Clip(id="c", path=path), reading).samples.size


def test_results_record_that_incomplete_files_were_accepted(put: Put) -> None:
    path = put(encoded("WAV", "PCM_16")[:20_000], "cut.wav")
    strict = CaptionClassifier(Scripted("a crow"), "keyword")(path, ["crow"])
    assert [failure.stage for failure in strict.failures] == ["read"]
    assert "incomplete" not in strict.provenance.options
    reading = Windowing(incomplete="accept")
    lenient = CaptionClassifier(Scripted("a crow"), "keyword", windowing=reading)(path, ["crow"])
    assert lenient.counts["scored"] == 1
    assert lenient.provenance.options["incomplete"] == "accept"
