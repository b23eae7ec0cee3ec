"""Bad files are refused with their cause; good ones are read in every format."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprobe.audio.windowing import Windowing, read_waveform, read_windows
from audioprobe.errors import AudioReadError
from audioprobe.types import Clip

RATE = 16_000


def tone(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype("f4")


def clip(path: Path) -> Clip:
    return Clip(id=path.name, path=path)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(), RATE)
    return path


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", "PCM_16", 1e-4),
        (".wav", "PCM_24", 1e-6),
        (".wav", "FLOAT", 0.0),
        (".wav", "PCM_U8", 1e-2),
        (".flac", "PCM_24", 1e-6),
        (".ogg", "VORBIS", 0.1),
        (".mp3", "MPEG_LAYER_III", 0.1),
        (".aiff", "PCM_16", 1e-4),
    ],
)
def test_all_formats_are_decoded(
    tmp_path: Path, suffix: str, subtype: str, tolerance: float
) -> None:
    path = tmp_path / f"tone{suffix}"
    soundfile.write(path, tone(), RATE, subtype=subtype)
    decoded = read_waveform(clip(path))
    assert decoded.sample_rate == RATE
    assert decoded.samples.size == pytest.approx(RATE, abs=1200)  # MP3 frames have 1152 samples
    if suffix != ".mp3":
        assert np.abs(decoded.samples[:RATE] - tone()).max() <= tolerance


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_sample_rate_of_the_file_is_kept(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(0.5, rate), rate)
    decoded = read_waveform(clip(path))
    assert (decoded.sample_rate, decoded.samples.size) == (rate, rate // 2)


@pytest.mark.parametrize("n_channels", range(1, 9))
def test_channels_are_averaged_or_the_first_is_used(tmp_path: Path, n_channels: int) -> None:
    channels = np.stack([tone() * (k + 1) / 10 for k in range(n_channels)], axis=1)
    path = tmp_path / "many.wav"
    soundfile.write(path, channels, RATE, subtype="FLOAT")
    mixed = read_waveform(clip(path), Windowing(channels="mean", length="whole"))
    first = read_waveform(clip(path), Windowing(channels="first", length="whole"))
    np.testing.assert_allclose(mixed.samples, channels.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(first.samples, channels[:, 0])


def test_file_name_may_contain_unicode(tmp_path: Path) -> None:
    path = tmp_path / "Krähe – ворона 🐦.wav"
    soundfile.write(path, tone(), RATE)
    assert read_waveform(clip(path)).samples.size == RATE


def test_missing_file_error_suggests_a_similar_name(wav: Path) -> None:
    with pytest.raises(AudioReadError, match=r"tome\.wav: no such file. Did you mean 'tone.wav'"):
        read_waveform(clip(wav.with_name("tome.wav")))


def test_text_file_with_wav_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("these are notes, not sounds\n" * 50)
    with pytest.raises(AudioReadError, match="not readable as audio"):
        read_waveform(clip(path))


def test_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioReadError, match="neither a file nor a folder"):
        read_waveform(clip(tmp_path / "pipe.wav"))


def test_empty_file_and_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioReadError, match="empty file"):
        read_waveform(clip(tmp_path / "empty.wav"))
    with pytest.raises(AudioReadError, match="a folder"):
        read_waveform(clip(tmp_path))


@pytest.mark.parametrize("remaining", [0.5, 0.9, 0.999])
def test_truncated_wav_is_refused(wav: Path, remaining: float) -> None:
    complete = wav.read_bytes()
    wav.write_bytes(complete[: int(len(complete) * remaining)])
    with pytest.raises(AudioReadError, match="truncated"):
        read_waveform(clip(wav))


@pytest.mark.parametrize("kind", ["RF64", "RIFX"])
def test_truncated_rf64_and_rifx_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tone.wav"
    options = {"format": "RF64"} if kind == "RF64" else {"format": "WAV", "endian": "BIG"}
    soundfile.write(path, tone(), RATE, subtype="PCM_16", **options)
    assert path.read_bytes()[:4] == kind.encode()
    assert read_waveform(clip(path)).samples.size == RATE
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(AudioReadError, match="truncated"):
        read_waveform(clip(path))


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFFFFFF])
def test_wav_with_placeholder_size_is_read(wav: Path, size: int) -> None:
    content = bytearray(wav.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    wav.write_bytes(bytes(content))
    assert read_waveform(clip(wav)).samples.size == RATE


def test_truncated_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.flac"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * RATE)
    soundfile.write(path, noise, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioReadError, match=r"truncated|damaged"):
        list(read_windows(clip(path), Windowing(seconds=1.0)))


def test_file_truncated_during_reading_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(60.0), RATE)
    windows = read_windows(clip(path), Windowing(seconds=1.0))
    next(windows)
    os.truncate(path, 200_000)
    with pytest.raises(AudioReadError, match="declares 960000 samples"):
        list(windows)


def test_file_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0, "f4"), RATE)
    with pytest.raises(AudioReadError, match="expected audio samples"):
        read_waveform(clip(path))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_samples_are_refused_and_counted(tmp_path: Path, bad: float) -> None:
    samples = tone()
    samples[10:13] = bad
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioReadError, match="3 of 16000 are NaN or infinite"):
        read_waveform(clip(path))
