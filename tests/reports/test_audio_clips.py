"""Spectrograms of report pages: pixels, axes, and clips that cannot be read."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audioprobe.audio.transforms import wav_bytes
from audioprobe.reports.audio_clips import AudioClips, to_data_uri
from audioprobe.types import Clip, Waveform


def tone(frequency: float, seconds: float = 2.0, rate: int = 16_000) -> Waveform:
    time = np.arange(round(seconds * rate)) / rate
    return Waveform(np.sin(2 * np.pi * frequency * time).astype(np.float32), rate)


def pixels(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.array(Image.open(io.BytesIO(content)).convert("L"))


@pytest.mark.parametrize("frequency", [500.0, 2000.0, 7000.0])
def test_darkest_row_is_at_the_frequency_of_a_tone(frequency: float) -> None:
    image = pixels(to_data_uri(tone(frequency)))
    assert image.shape[0] <= 80
    assert image.shape[1] <= 280
    row = int(image.mean(axis=1).argmin())
    from_below = (image.shape[0] - 1 - row + 0.5) / image.shape[0] * 8000
    assert from_below == pytest.approx(frequency, abs=8000 / image.shape[0])
    assert image.min() == 0


def test_silence_is_white() -> None:
    assert (pixels(to_data_uri(Waveform(np.zeros(4001, np.float32), 16_000))) == 255).all()


def test_media_states_duration_and_highest_frequency(tmp_path: Path) -> None:
    media = AudioClips(tmp_path)(Clip(id="a", waveform=tone(440, 1.5, 22_050), labels=()))
    assert media.seconds == pytest.approx(1.5)
    assert media.kilohertz == pytest.approx(11.025)
    assert (tmp_path / media.sound).read_bytes() == wav_bytes(tone(440, 1.5, 22_050))[0]


def test_missing_file_has_no_picture_and_no_player(tmp_path: Path) -> None:
    media = AudioClips(tmp_path)(Clip(id="a", path=tmp_path / "gone.wav", labels=()))
    assert (media.picture, media.sound) == ("", "")
