"""Synthetic scenes are repeatable, loud where the truth says so, and can be told apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe import Concepts, Synthetic
from audioprobe.audio.filterbank import LTU
from audioprobe.datasets.synthetic import SOURCES, ProceduralPalette
from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE, band, noise, oscillate, repeat, swell
from audioprobe.datasets.synthetic.scenes import LOUDEST, make_scene, plan
from audioprobe.errors import InvalidInputError
from audioprobe.testing import check_dataset
from audioprobe.types import Float64Array, Waveform


def test_every_source_is_a_concept() -> None:
    concepts = Concepts.shipped()
    assert all(concepts[source].id == source for source in SOURCES)
    assert len(Synthetic().labels) == len(SOURCES) >= 40


def test_it_keeps_the_contract_of_data_sets() -> None:
    check_dataset(Synthetic(n_clips=3, seconds=2.0))


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_makes_sound_that_varies_and_repeats(source: str) -> None:
    one, same, other = (
        SOURCES[source](np.random.default_rng(n), 3 * SAMPLE_RATE) for n in (1, 1, 2)
    )
    assert one.shape == (3 * SAMPLE_RATE,)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert np.abs(one).max() > 1e-3, "audible"


def test_a_scene_depends_on_its_number_alone() -> None:
    one, other = Synthetic(seconds=2.0), Synthetic(n_clips=9, seconds=2.0)
    later = other.scene("train", 5).sound
    assert np.array_equal(one.scene("train", 5).sound, later)
    clips = other.clips("train")
    assert len(clips) == 9
    assert [clip.id for clip in clips[7:]] == [clips[-2].id, clips[-1].id]
    assert clips[5].waveform is not None
    assert np.array_equal(clips[5].waveform.samples, later)
    assert clips[5].id == "train-000005"
    sounds = {other.scene(split, 5).sound.tobytes() for split in other.splits}
    sounds.add(Synthetic(seconds=2.0, seed=1).scene("train", 5).sound.tobytes())
    assert len(sounds) == 4, "splits and seeds share nothing"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_truth_is_sorted_loud_and_within_the_scene(number: int) -> None:
    scene = Synthetic(seconds=3.0, most=3).scene("train", number)
    assert scene.sound.dtype == np.float32
    assert scene.sound.shape == (3 * SAMPLE_RATE,)
    assert 0 < np.abs(scene.sound).max() <= LOUDEST
    assert [h.onset for h in scene.heard] == sorted(h.onset for h in scene.heard)
    assert max(h.level_db for h in scene.heard) == 0
    assert len({h.concept for h in scene.heard}) == len(scene.heard) in (1, 2, 3)
    assert all(0 <= h.onset < h.offset <= 3.0 for h in scene.heard)


def test_the_truth_is_known_without_the_sound() -> None:
    scenes = Synthetic(seconds=2.0, bare=0.5)
    alone = []
    for number in range(12):
        truth, scene = scenes.scene_sources("test", number), scenes.scene("test", number)
        assert [h.concept for h in truth] == [h.concept for h in scene.heard]
        if np.isinf(scene.snr_db):
            alone.append(len(scene.sound))
        else:
            assert truth == scene.heard
    assert 2 < len(alone) < 10
    assert len(set(alone)) == len(alone), "each as long as it naturally sounds"


def test_a_source_is_heard_where_the_truth_says() -> None:
    """A steady source, early or late, against silence elsewhere."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        heard = plan(rng, ("siren", "vacuum-cleaner"), 6.0)
        scene = make_scene(rng, ProceduralPalette(), heard, 6.0, snr_db=60.0)
        first = scene.heard[0]
        before = scene.sound[: int(first.onset * SAMPLE_RATE)]
        during = scene.sound[int(first.onset * SAMPLE_RATE) : int(first.offset * SAMPLE_RATE)]
        if len(before) > SAMPLE_RATE // 10:
            assert rms(before) < 0.05 * rms(during)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_the_background_is_as_loud_as_asked(snr_db: float) -> None:
    """The same draw without background leaves the sources, up to the last gain."""
    heard = plan(np.random.default_rng(7), ["organ"], 4.0)
    noisy, clean = (
        make_scene(np.random.default_rng(7), ProceduralPalette(), heard, 4.0, snr_db=level).sound
        for level in (snr_db, 200.0)
    )
    gain = float(noisy @ clean / (clean @ clean))
    found = 20 * np.log10(rms(gain * clean) / rms(noisy - gain * clean))
    assert found == pytest.approx(snr_db, abs=0.3)


def test_sources_can_be_told_apart_and_shuffled_names_cannot() -> None:
    """By the nearest mean of simple statistics; so a network has something to learn."""
    means, truth = [], []
    for label, source in enumerate(SOURCES):
        for seed in range(8):
            sound = SOURCES[source](np.random.default_rng([label, seed]), 3 * SAMPLE_RATE)
            means.append(statistics(sound))
            truth.append(label)
    features, labels = np.array(means), np.array(truth)
    features = (features - features.mean(0)) / features.std(0)
    train = np.arange(len(labels)) % 8 < 5
    assert accuracy(features, labels, train) > 0.6
    shuffled = np.random.default_rng(0).permutation(labels)
    assert accuracy(features, shuffled, train) < 0.1


def statistics(sound: Float64Array) -> Float64Array:
    normal = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    mel = LTU.of(Waveform(normal, SAMPLE_RATE))[:290].numpy().reshape(290, 32, 4).mean(2)
    change = np.abs(np.diff(mel, axis=0)).mean(0)
    found: Float64Array = np.concatenate([mel.mean(0), mel.std(0), change]).astype(np.float64)
    return found


def accuracy(features: Float64Array, labels: np.ndarray, train: np.ndarray) -> float:
    kinds = np.unique(labels)
    centres = np.stack([features[train & (labels == kind)].mean(0) for kind in kinds])
    distance = ((features[~train][:, None] - centres) ** 2).sum(-1)
    return float((kinds[distance.argmin(1)] == labels[~train]).mean())


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt((sound.astype(float) ** 2).mean()))


def test_building_blocks_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    tone = oscillate(np.full(SAMPLE_RATE, 440.0), [1.0])
    assert np.abs(np.fft.rfft(tone)).argmax() == 440
    assert rms(oscillate(np.full(SAMPLE_RATE, 5000.0), [0, 1.0])) == 0, (
        "above half the rate is silence"
    )
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
        ({"palette": []}, "none given"),
        ({"n_clips": 0}, "n_clips >= 1"),
        ({"most": 0}, "1 <= most"),
        ({"palette": ["crow"], "most": 2}, "number of sources"),
        ({"snr_db": (10.0, 0.0)}, "rising"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        Synthetic(**options)  # type: ignore[arg-type]


def test_unknown_splits_and_numbers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="train, validation, test, got 'all'"):
        Synthetic().clips("all")
    with pytest.raises(InvalidInputError, match="from 0"):
        Synthetic().scene("train", -1)
