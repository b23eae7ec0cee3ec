"""Spoken words come from a program, or from recordings."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.probing.known_models import CONCEPTS

from audioprobe import Waveform
from audioprobe.audio.transforms import wav_bytes
from audioprobe.errors import InvalidInputError
from audioprobe.probing.clips import ESPEAK, spoken_words

TWO = CONCEPTS.subset(["crow", "rain"])

SPEAKER = """#!{python}
import sys, wave
assert sys.argv[1:4] == ["-v", "en", "-w"] and sys.argv[5:] == ["--stdin"], sys.argv
phrase = sys.stdin.read()
with wave.open(sys.argv[4], "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(22050)
    file.writeframes(b"\\1\\0" * (100 * len(phrase)))
"""


def program(folder: Path, text: str) -> None:
    path = folder / ESPEAK
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)


def test_a_program_speaks_each_phrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, SPEAKER)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = spoken_words(ESPEAK, TWO)
    assert {name: len(wave.samples) for name, wave in words.items()} == {"crow": 600, "rain": 400}


@pytest.mark.skipif(shutil.which(ESPEAK) is None, reason="espeak-ng is not installed")
def test_the_real_program_speaks_audibly_and_differently() -> None:
    words = spoken_words(ESPEAK, TWO)
    assert all(np.abs(wave.samples).max() > 0.05 for wave in words.values())
    assert words["crow"].digest() != words["rain"].digest()
    assert words["crow"].digest() == spoken_words(ESPEAK, TWO)["crow"].digest()


def test_recordings_are_assigned_by_their_names(tmp_path: Path) -> None:
    wave = Waveform(np.full(800, 0.1, np.float32), 8000)
    (tmp_path / "crow.wav").write_bytes(wav_bytes(wave)[0])
    (tmp_path / "teapot.wav").write_bytes(wav_bytes(wave)[0])
    assert set(spoken_words(str(tmp_path), TWO)) == {"crow"}
    (tmp_path / "crow.wav").unlink()
    with pytest.raises(InvalidInputError, match="no recording is named after a concept"):
        spoken_words(str(tmp_path), TWO)


def test_a_missing_or_failing_program_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInputError, match=r"espeak-ng is not installed. Install it"):
        spoken_words(ESPEAK, TWO)
    program(tmp_path, "#!{python}\nraise SystemExit(3)\n")
    with pytest.raises(InvalidInputError, match="failed to speak 'a crow'"):
        spoken_words(ESPEAK, TWO)
