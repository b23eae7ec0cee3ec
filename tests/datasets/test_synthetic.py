"""Synthetic scenes: reproducible, consistent with their ground truth, and distinguishable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe import Concepts, Synthetic
from audioprobe.audio.filterbank import LTU
from audioprobe.datasets.synthetic import SAMPLE_RATE, SOURCES, ProceduralPalette
from audioprobe.datasets.synthetic.blocks import band, noise, oscillate, repeat, swell
from audioprobe.datasets.synthetic.scenes import MAX_PEAK, plan_scene, render_scene
from audioprobe.errors import InvalidInputError
from audioprobe.testing import check_dataset
from audioprobe.types import Float64Array, Waveform


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt((sound.astype(float) ** 2).mean()))


def test_every_source_is_a_concept() -> None:
    concepts = Concepts.shipped()
    assert all(concepts[source].id == source for source in SOURCES)
    assert len(Synthetic().labels) == len(SOURCES) == 58


def test_dataset_contract() -> None:
    check_dataset(Synthetic(n_clips=3, seconds=2.0))


@pytest.mark.parametrize("source", SOURCES)
def test_source_is_audible_reproducible_and_variable(source: str) -> None:
    first, same, other = (
        SOURCES[source](np.random.default_rng(seed), 3 * SAMPLE_RATE) for seed in (1, 1, 2)
    )
    assert first.shape == (3 * SAMPLE_RATE,)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)
    assert np.abs(first).max() > 1e-3


def test_scene_depends_only_on_seed_split_and_number() -> None:
    first, second = Synthetic(seconds=2.0), Synthetic(n_clips=9, seconds=2.0)
    sound = second.scene("train", 5).sound
    assert np.array_equal(first.scene("train", 5).sound, sound)
    clips = second.clips("train")
    assert len(clips) == 9
    assert [clip.id for clip in clips[7:]] == [clips[-2].id, clips[-1].id]
    assert clips[5].waveform is not None
    assert np.array_equal(clips[5].waveform.samples, sound)
    assert clips[5].id == "train-000005"
    sounds = {second.scene(split, 5).sound.tobytes() for split in second.splits}
    sounds.add(Synthetic(seconds=2.0, seed=1).scene("train", 5).sound.tobytes())
    assert len(sounds) == 4, "splits and seeds are independent"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_scene_sources_are_sorted_and_within_the_scene(number: int) -> None:
    scene = Synthetic(seconds=3.0, max_sources=3).scene("train", number)
    assert scene.sound.dtype == np.float32
    assert scene.sound.shape == (3 * SAMPLE_RATE,)
    assert 0 < np.abs(scene.sound).max() <= MAX_PEAK
    onsets = [source.onset for source in scene.sources]
    assert onsets == sorted(onsets)
    assert max(source.level_db for source in scene.sources) == 0
    assert len({source.concept for source in scene.sources}) == len(scene.sources) in (1, 2, 3)
    assert all(0 <= source.onset < source.offset <= 3.0 for source in scene.sources)


def test_scene_sources_are_known_without_rendering() -> None:
    scenes = Synthetic(seconds=2.0, isolated_fraction=0.5)
    isolated_lengths = []
    for number in range(12):
        sources, scene = scenes.scene_sources("test", number), scenes.scene("test", number)
        assert [s.concept for s in sources] == [s.concept for s in scene.sources]
        if np.isinf(scene.snr_db):
            isolated_lengths.append(len(scene.sound))
        else:
            assert sources == scene.sources
    assert 2 < len(isolated_lengths) < 10
    assert len(set(isolated_lengths)) == len(isolated_lengths), "each has its natural length"


def test_scene_is_nearly_silent_before_the_first_source() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sources = plan_scene(rng, ("siren", "vacuum-cleaner"), 6.0)
        scene = render_scene(rng, ProceduralPalette(), sources, 6.0, snr_db=60.0)
        first = scene.sources[0]
        before = scene.sound[: int(first.onset * SAMPLE_RATE)]
        during = scene.sound[int(first.onset * SAMPLE_RATE) : int(first.offset * SAMPLE_RATE)]
        if len(before) > SAMPLE_RATE // 10:
            assert rms(before) < 0.05 * rms(during)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_background_has_the_given_level(snr_db: float) -> None:
    sources = plan_scene(np.random.default_rng(7), ["organ"], 4.0)
    noisy, clean = (
        render_scene(
            np.random.default_rng(7), ProceduralPalette(), sources, 4.0, snr_db=level
        ).sound
        for level in (snr_db, 200.0)
    )
    gain = float(noisy @ clean / (clean @ clean))
    measured = 20 * np.log10(rms(gain * clean) / rms(noisy - gain * clean))
    assert measured == pytest.approx(snr_db, abs=0.3)


def test_sources_are_distinguishable_and_shuffled_labels_are_not() -> None:
    """Classification by the nearest mean of simple spectral statistics."""
    rows, targets = [], []
    for label, source in enumerate(list(SOURCES)[::2]):
        for seed in range(4):
            sound = SOURCES[source](np.random.default_rng([label, seed]), 3 * SAMPLE_RATE)
            rows.append(statistics(sound))
            targets.append(label)
    features, labels = np.array(rows), np.array(targets)
    features = (features - features.mean(0)) / features.std(0)
    train = np.arange(len(labels)) % 4 < 3
    assert accuracy(features, labels, train) > 0.5
    shuffled = labels.copy()
    shuffled[train] = np.random.default_rng(0).permutation(labels[train])
    assert accuracy(features, shuffled, train) < 0.1


def statistics(sound: Float64Array) -> Float64Array:
    scaled = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    mel = LTU.of(Waveform(scaled, SAMPLE_RATE))[:290].numpy().reshape(290, 32, 4).mean(2)
    change = np.abs(np.diff(mel, axis=0)).mean(0)
    features: Float64Array = np.concatenate([mel.mean(0), mel.std(0), change]).astype(np.float64)
    return features


def accuracy(features: Float64Array, labels: np.ndarray, train: np.ndarray) -> float:
    classes = np.unique(labels)
    centres = np.stack([features[train & (labels == label)].mean(0) for label in classes])
    distance = ((features[~train][:, None] - centres) ** 2).sum(-1)
    return float((classes[distance.argmin(1)] == labels[~train]).mean())


def test_building_blocks() -> None:
    rng = np.random.default_rng(0)
    sound = oscillate(np.full(SAMPLE_RATE, 440.0), [1.0])
    assert np.abs(np.fft.rfft(sound)).argmax() == 440
    too_high = oscillate(np.full(SAMPLE_RATE, 5000.0), [0, 1.0])
    assert rms(too_high) == 0, "harmonics above half the sample rate are omitted"
    low = np.abs(np.fft.rfft(band(noise(SAMPLE_RATE, rng), 100, 200)))
    assert low[120:180].mean() > 100 * low[400:].mean()
    brown = np.abs(np.fft.rfft(noise(SAMPLE_RATE, rng, 2.0)))
    assert brown[10:20].mean() > 20 * brown[1000:2000].mean()
    clicks = repeat(lambda: np.ones(1), SAMPLE_RATE, rng, 0.1, 0.0)
    assert set(np.diff(np.flatnonzero(clicks)).tolist()) <= {1599, 1600, 1601}
    envelope = swell(SAMPLE_RATE, 0.1, 0.1)
    assert envelope[0] == 0
    assert envelope[SAMPLE_RATE // 2] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"palette": ["crow", "unicorn"]}, "unicorn"),
        ({"palette": []}, "got none"),
        ({"n_clips": 0}, "n_clips >= 1"),
        ({"max_sources": 0}, "1 <= max_sources"),
        ({"palette": ["crow"], "max_sources": 2}, r"max_sources <= 1 \(number of sources\)"),
        ({"snr_db": (10.0, 0.0)}, "increasing"),
        ({"isolated_fraction": 1.5}, "isolated_fraction from 0 to 1"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        Synthetic(**options)  # type: ignore[arg-type]


def test_unknown_splits_and_negative_numbers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="train, validation, test, got 'all'"):
        Synthetic().clips("all")
    with pytest.raises(InvalidInputError, match="scene number >= 0"):
        Synthetic().scene("train", -1)
