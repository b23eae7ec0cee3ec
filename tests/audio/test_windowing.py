"""Windows cover recordings of every length, and only one is in memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.audio.transforms import resample
from audioprobe.audio.windowing import Windowing, read_waveform, read_windows
from audioprobe.errors import AudioReadError, InvalidInputError, UnsupportedInputError
from audioprobe.types import Clip, Waveform

RATE = 100  # Hz: small arrays, easy numbers


def ramp(n_samples: int) -> Waveform:
    return Waveform(np.arange(n_samples, dtype=np.float32), RATE)


def clip(n_samples: int, **options: float) -> Clip:
    return Clip(id="ramp", waveform=ramp(n_samples), **options)  # type: ignore[arg-type]


@given(n_samples=st.integers(1, 700), seconds=st.floats(0.05, 3.0))
def test_windows_cover_all_samples_and_have_full_length(n_samples: int, seconds: float) -> None:
    windows = list(read_windows(clip(n_samples), Windowing(seconds=seconds)))
    size = max(1, round(seconds * RATE))
    decoded = np.concatenate([window.waveform.samples for window in windows])
    assert set(decoded.tolist()) == set(range(n_samples))
    assert all(w.waveform.samples.size == min(size, n_samples) for w in windows)
    for window in windows:
        assert window.waveform.samples[0] == round(window.start * RATE)


@given(n_samples=st.integers(1, 700), seconds=st.floats(0.05, 3.0))
def test_file_and_waveform_have_equal_windows(
    tmp_path_factory: pytest.TempPathFactory, n_samples: int, seconds: float
) -> None:
    path = tmp_path_factory.mktemp("windows") / "ramp.wav"
    soundfile.write(path, ramp(n_samples).samples, RATE, subtype="FLOAT")
    reading = Windowing(seconds=seconds)
    from_file = list(read_windows(Clip(id="file", path=path), reading))
    in_memory = list(read_windows(clip(n_samples), reading))
    assert [w.start for w in from_file] == [w.start for w in in_memory]
    for first, other in zip(from_file, in_memory, strict=True):
        np.testing.assert_array_equal(first.waveform.samples, other.waveform.samples)


@pytest.mark.parametrize(
    ("length", "n_samples", "expected"),
    [
        ("crop", 50, 50),
        ("crop", 500, 200),
        ("pad", 50, 200),
        ("pad", 500, 200),
        ("whole", 500, 500),
    ],
)
def test_crop_pad_and_whole_give_one_window(length: str, n_samples: int, expected: int) -> None:
    reading = Windowing(length=length, seconds=2.0)  # type: ignore[arg-type]
    (window,) = read_windows(clip(n_samples), reading)
    samples = window.waveform.samples
    assert samples.size == expected
    np.testing.assert_array_equal(samples[:n_samples], np.arange(n_samples)[:expected])
    assert not samples[n_samples:].any()


def test_clip_is_a_part_of_its_recording() -> None:
    part = read_waveform(clip(1000, start=2.0, duration=3.0))
    np.testing.assert_array_equal(part.samples, np.arange(200, 500))


@pytest.mark.parametrize(("start", "duration"), [(10.0, None), (9.0, 2.0)])
def test_span_outside_the_recording_is_refused(start: float, duration: float | None) -> None:
    with pytest.raises(AudioReadError, match=r"within the recording of 10\.00 s"):
        read_waveform(clip(1000, start=start, duration=duration))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": "left"},
        {"length": "all"},
        {"pooling": "sum"},
        {"seconds": 0.0},
        {"seconds": float("inf")},
    ],
)
def test_invalid_windowing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Windowing(**wrong)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "night.flac"
    rate = 8000
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(120):
            file.write(np.zeros(60 * rate, "i2"))
    tracemalloc.start()
    n_windows = sum(1 for _ in read_windows(Clip(id="night", path=path), Windowing()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_windows == 720
    assert peak < 5 * 10 * rate * 4  # a few windows of 10 s; the whole would be 720


def test_resampling_keeps_duration_and_frequency() -> None:
    time = np.arange(48_000) / 48_000
    tone = Waveform(np.sin(2 * np.pi * 1000 * time).astype(np.float32), 48_000)
    decoded = resample(tone, 16_000)
    assert decoded.duration == pytest.approx(1.0)
    spectrum = np.abs(np.fft.rfft(decoded.samples))
    assert spectrum.argmax() == 1000
    assert resample(tone, 48_000) is tone


def test_waveform_too_short_to_resample_is_refused() -> None:
    with pytest.raises(UnsupportedInputError, match="too short"):
        resample(Waveform(np.zeros(1, np.float32), 192_000), 8_000)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((2, 3), np.float32), "shape"),
        (np.zeros(0, np.float32), "at least one"),
        (np.zeros(3, np.int16), "32768"),
        (np.array([0.0, np.nan], np.float32), "1 of 2"),
    ],
)
def test_invalid_waveform_is_refused(samples: np.ndarray, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        Waveform(samples, RATE)
    with pytest.raises(InvalidInputError, match="sample_rate"):
        Waveform(np.zeros(3, np.float32), 0)


def test_samples_of_a_waveform_are_read_only_and_finite() -> None:
    waveform = ramp(5)
    with pytest.raises(ValueError, match="read-only"):
        waveform.samples[0] = np.nan
    with pytest.raises(InvalidInputError, match="NaN or infinite"):
        Waveform(np.array([1e39]), RATE)


def test_digest_depends_on_samples_and_rate() -> None:
    assert ramp(5).digest() == ramp(5).digest()
    assert ramp(5).digest() != ramp(6).digest()
    assert ramp(5).digest() != Waveform(ramp(5).samples, RATE + 1).digest()


@pytest.mark.parametrize("written", ["bl\u00e4ss.wav", "bla\u0308ss.wav"])
@pytest.mark.parametrize("requested", ["bl\u00e4ss.wav", "bla\u0308ss.wav"])
def test_file_name_may_have_either_unicode_form(
    tmp_path: Path, written: str, requested: str
) -> None:
    soundfile.write(tmp_path / written, np.zeros(200), 100)
    path = tmp_path / requested
    assert read_waveform(Clip(id="a", path=path)).samples.size == 200


def test_windows_are_resampled_to_a_given_rate() -> None:
    """Positions and the length of a window stay in seconds; only the rate changes."""
    time = np.arange(3 * 8000) / 8000
    tone = Waveform(np.sin(2 * np.pi * 300 * time).astype(np.float32), 8000)
    source = Clip(id="tone", waveform=tone)
    at_file_rate = list(read_windows(source, Windowing(seconds=2.0)))
    resampled = list(read_windows(source, Windowing(seconds=2.0, sample_rate=2000)))
    assert [window.start for window in resampled] == [window.start for window in at_file_rate]
    for window, original in zip(resampled, at_file_rate, strict=True):
        assert window.waveform.sample_rate == 2000
        expected = resample(original.waveform, 2000).samples
        np.testing.assert_array_equal(window.waveform.samples, expected)
    assert Windowing(sample_rate=2000).options["sample_rate"] == 2000
    assert "sample_rate" not in Windowing().options
    with pytest.raises(InvalidInputError, match="sample_rate must be positive"):
        Windowing(sample_rate=0)
    with pytest.raises(AudioReadError, match="too short to be resampled"):
        read_waveform(Clip(id="one", waveform=ramp(1)), Windowing(length="crop", sample_rate=1))


@pytest.mark.parametrize("n_channels", [2, 3, 9])
def test_channels_are_averaged_as_by_numpy(tmp_path: Path, n_channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (5000, n_channels)).astype(np.float32)
    soundfile.write(tmp_path / "many.wav", samples, 1000, subtype="FLOAT")
    waveform = read_waveform(Clip(id="many", path=tmp_path / "many.wav"))
    expected = samples.mean(axis=1, dtype=np.float32)
    np.testing.assert_array_equal(waveform.samples, expected)
