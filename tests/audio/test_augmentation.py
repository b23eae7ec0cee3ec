"""Laws of augmentation: what each change keeps, and what it changes by how much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.audio.transforms import gain, mix, shift, speed
from audioprobe.errors import InvalidInputError
from audioprobe.types import Waveform

SEEDS = st.integers(0, 2**32)
RATE = 16_000


def noise(seed: int, n: int = 4000, rate: int = RATE) -> Waveform:
    values = 0.1 * np.random.default_rng(seed).standard_normal(n)
    return Waveform(values.astype(np.float32), rate)


def tone(hertz: float) -> Waveform:
    time = np.arange(RATE) / RATE
    return Waveform((0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), RATE)


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


@given(SEEDS, st.floats(-40, 40))
def test_gain_is_exact_in_decibels(seed: int, decibels: float) -> None:
    sound = noise(seed)
    louder = gain(sound, np.random.default_rng(seed), (decibels, decibels))
    assert power_db(louder.samples) - power_db(sound.samples) == pytest.approx(decibels, abs=1e-3)


@given(SEEDS, st.floats(-20, 40), st.integers(10, 9000), st.sampled_from([8000, 16_000, 48_000]))
def test_signal_to_noise_ratio_is_exact(seed: int, snr: float, n: int, rate: int) -> None:
    sound, behind = noise(seed), noise(seed + 1, n, rate)
    mixed = mix(sound, behind, np.random.default_rng(seed), (snr, snr))
    rest = mixed.samples.astype(np.float64) - sound.samples
    assert mixed.samples.size == sound.samples.size
    assert power_db(sound.samples) - power_db(rest) == pytest.approx(snr, abs=0.1)


@given(SEEDS, st.floats(-0.5, 0.5))
def test_shift_delays_the_samples(seed: int, seconds: float) -> None:
    sound = noise(seed)
    moved = shift(sound, np.random.default_rng(seed), (seconds, seconds)).samples
    step = round(seconds * RATE)
    assert moved.size == sound.samples.size
    remaining = max(0, moved.size - abs(step))
    assert np.count_nonzero(moved) <= remaining
    first, old = max(0, step), max(0, -step)
    assert np.array_equal(moved[first : first + remaining], sound.samples[old : old + remaining])


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.0, 1.3])
def test_speed_changes_the_pitch_and_keeps_the_length(factor: float) -> None:
    played = speed(tone(1000), np.random.default_rng(0), (factor, factor)).samples
    assert played.size == RATE
    peak = np.argmax(np.abs(np.fft.rfft(played[: RATE // 2])))
    assert peak * 2 == pytest.approx(1000 * factor, abs=4)


@settings(max_examples=10)
@given(SEEDS)
def test_augmentation_depends_on_the_seed_only(seed: int) -> None:
    sound, behind = noise(1, 3 * RATE), noise(2)
    for change in (gain, shift, speed, lambda s, rng: mix(s, behind, rng)):
        first, same, other = (
            change(sound, np.random.default_rng(s)).samples for s in (seed, seed, seed + 1)
        )
        assert np.array_equal(first, same)
        assert not np.array_equal(first, other)


def test_invalid_ranges_and_silence_are_refused() -> None:
    rng = np.random.default_rng(0)
    silence = Waveform(np.zeros(100, np.float32), RATE)
    for first, other in ((silence, noise(0)), (noise(0), silence)):
        with pytest.raises(InvalidInputError, match="got silence"):
            mix(first, other, rng)
    with pytest.raises(InvalidInputError, match="speed"):
        speed(noise(0), rng, (5, 5))
    with pytest.raises(InvalidInputError, match="low <= high"):
        gain(noise(0), rng, (1, 0))
