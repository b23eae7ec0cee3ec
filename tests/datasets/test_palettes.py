"""Palettes of recorded sources, and blends with synthesised ones."""

from collections.abc import Sequence

import numpy as np
import pytest

from audioprobe import Synthetic
from audioprobe.datasets.synthetic import (
    SAMPLE_RATE,
    BlendedPalette,
    ProceduralPalette,
    RecordedPalette,
)
from audioprobe.errors import InvalidInputError
from audioprobe.testing import check_dataset
from audioprobe.types import Clip, ComponentInfo, Waveform


class Tones:
    """Data set of tones; the pitch identifies the clip."""

    info = ComponentInfo("dataset", "tones", "1")
    splits = ("train", "test")

    def __init__(self, seconds: float = 0.5) -> None:
        self._seconds = seconds

    @property
    def labels(self) -> tuple[str, ...]:
        return ("crow", "church bell", "unicorn")

    def clips(self, split: str) -> Sequence[Clip]:
        if split == "test":
            return [self._clip("t", 3000.0, ("crow",), "c")]
        few = [self._clip("one", 400.0, ("crow",), "a")]
        many = [self._clip(f"other{n}", 1000.0, ("crow",), "b") for n in range(9)]
        odd = [
            self._clip("bell", 2000.0, ("church bell",), None),
            self._clip("both", 5000.0, ("crow", "church bell"), "a"),
            self._clip("unknown", 6000.0, ("unicorn",), "a"),
        ]
        return [*few, *many, *odd]

    def _clip(self, name: str, hertz: float, labels: tuple[str, ...], group: str | None) -> Clip:
        time = np.arange(int(self._seconds * SAMPLE_RATE)) / SAMPLE_RATE
        samples = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        return Clip(id=name, waveform=Waveform(samples, SAMPLE_RATE), labels=labels, group=group)


def pitch(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * SAMPLE_RATE / len(sound))


def test_groups_have_equal_probability_and_other_clips_are_skipped() -> None:
    palette = RecordedPalette(Tones(), "train")
    assert palette.concepts == ("church-bell", "crow")
    pitches = [pitch(palette.render_isolated("crow", np.random.default_rng(n))) for n in range(60)]
    low = [hertz for hertz in pitches if hertz < 600]
    assert 20 <= len(low) <= 40, "a group of one clip is as likely as one of nine"
    assert all(300 < hertz < 1300 for hertz in pitches), "no clip of the test split"
    assert len({round(hertz) for hertz in low}) > 10, "at different speeds"


def test_recordings_are_repeated_or_cut_to_the_length_of_a_scene() -> None:
    short, long = RecordedPalette(Tones(0.5), "train"), RecordedPalette(Tones(20.0), "train")
    filled = [short.render("crow", np.random.default_rng(n), 3 * SAMPLE_RATE) for n in range(30)]
    assert all(sound.shape == (3 * SAMPLE_RATE,) for sound in filled)
    shares = [float((np.abs(sound) > 1e-3).mean()) for sound in filled]
    assert min(shares) < 0.25, "once"
    assert max(shares) > 0.4, "repeatedly"
    assert all(np.abs(sound).max() > 0.5 for sound in filled)
    assert long.render("crow", np.random.default_rng(0), SAMPLE_RATE).shape == (SAMPLE_RATE,)
    assert len(long.render_isolated("crow", np.random.default_rng(0))) == 10 * SAMPLE_RATE
    again = short.render("crow", np.random.default_rng(3), 3 * SAMPLE_RATE)
    np.testing.assert_array_equal(again, filled[3])


def test_blend_draws_from_all_palettes_with_the_concept() -> None:
    blend = BlendedPalette(ProceduralPalette(["crow", "rain"]), RecordedPalette(Tones(), "train"))
    assert blend.concepts == ("church-bell", "crow", "rain")
    lengths = {
        len(blend.render_isolated("crow", np.random.default_rng(n))) > SAMPLE_RATE
        for n in range(20)
    }
    assert lengths == {True, False}
    assert len(blend.render("rain", np.random.default_rng(0), 100)) == 100
    names = [part.name for part in blend.info.parts.values()]
    assert names == ["procedural", "recorded"]


def test_scenes_of_recordings_fulfil_the_dataset_contract() -> None:
    scenes = Synthetic(
        n_clips=3,
        palette=RecordedPalette(Tones(), "train"),
        seconds=2.0,
        max_sources=2,
        isolated_fraction=0.5,
    )
    check_dataset(scenes)
    assert scenes.labels == ("church bell", "crow")
    other = Synthetic(
        n_clips=3, palette=RecordedPalette(Tones(), "test"), seconds=2.0, max_sources=1
    )
    assert scenes.info != other.info, "the recordings are part of the provenance"


def test_palette_without_sources_is_refused() -> None:
    class Empty(Tones):
        def clips(self, split: str) -> Sequence[Clip]:
            return [self._clip("unknown", 600.0, ("unicorn",), "a")]

    with pytest.raises(InvalidInputError, match="expected clips with exactly one label"):
        RecordedPalette(Empty(), "train")
    with pytest.raises(InvalidInputError, match="at least one palette"):
        BlendedPalette()
