"""Augmentations that keep the labels of a clip: gain, shift, speed, background.

Each function draws its parameter from a uniform distribution over a range; the range (6, 6) sets
the parameter to 6. The input is not modified.
"""

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import soxr

from audioprobe.audio.resample import QUALITY, resample
from audioprobe.errors import InvalidInputError
from audioprobe.types import Waveform

Range: TypeAlias = tuple[float, float]
Samples = TypeVar("Samples", bound=npt.NDArray[np.floating])


def gain(waveform: Waveform, rng: np.random.Generator, decibels: Range = (-12.0, 6.0)) -> Waveform:
    """Change the level by a random number of decibels; samples may exceed [-1, 1]."""
    factor = 10 ** (_uniform(rng, decibels) / 20)
    return Waveform(waveform.samples * np.float32(factor), waveform.sample_rate)


def shift(waveform: Waveform, rng: np.random.Generator, seconds: Range = (-1.0, 1.0)) -> Waveform:
    """Delay (or, for negative seconds, advance) a waveform; its length stays the same.

    Zeros replace the missing samples.
    """
    n = waveform.samples.size
    step = int(np.clip(round(_uniform(rng, seconds) * waveform.sample_rate), -n, n))
    padded = np.pad(waveform.samples, (max(step, 0), max(-step, 0)))
    return Waveform(padded[max(-step, 0) :][:n], waveform.sample_rate)


def speed(waveform: Waveform, rng: np.random.Generator, factors: Range = (0.9, 1.1)) -> Waveform:
    """Change speed and pitch together; the length stays the same.

    The end is cut off, or filled with zeros.

    Raises:
        InvalidInputError: for a factor outside [0.25, 4].
    """
    factor = _uniform(rng, factors)
    if not 0.25 <= factor <= 4:
        raise InvalidInputError(f"Expected a speed factor from 0.25 to 4, got {factor}.")
    samples = change_speed(waveform.samples, waveform.sample_rate, factor)
    fitted = np.zeros_like(waveform.samples)
    fitted[: samples.size] = samples[: fitted.size]
    return Waveform(fitted, waveform.sample_rate)


def change_speed(samples: Samples, rate: int, factor: float) -> Samples:
    """Change speed, pitch and length together, as if a tape were played faster or slower.

    Args:
        samples: audio samples, shape (n_samples,).
        rate: sample rate in Hz.
        factor: speed factor; above 1, the sound becomes faster and higher.

    Returns:
        About n_samples / factor samples.
    """
    resampled: Any = soxr.resample(samples, rate * factor, rate, quality=QUALITY)
    changed: Samples = resampled
    return changed


def mix(
    waveform: Waveform,
    background: Waveform,
    rng: np.random.Generator,
    snr_db: Range = (0.0, 20.0),
) -> Waveform:
    """Add background noise to a waveform, without changing its length and level.

    Args:
        waveform: the foreground.
        background: waveform of any rate and length; it starts at a random position and is repeated
            if it is too short.
        rng: random generator for the position and the signal-to-noise ratio.
        snr_db: range of the signal-to-noise ratio in dB.

    Raises:
        InvalidInputError: if the waveform or the background is silent, because the ratio is then
            undefined.
    """
    noise = resample(background, waveform.sample_rate).samples
    first = int(rng.integers(noise.size))
    noise = np.resize(np.roll(noise, -first), waveform.samples.size)
    powers = [float(np.mean(np.square(s, dtype=np.float64))) for s in (waveform.samples, noise)]
    if min(powers) == 0:
        raise InvalidInputError("Expected two waveforms with sound, got silence. Leave it out.")
    factor = (powers[0] / powers[1]) ** 0.5 * 10 ** (-_uniform(rng, snr_db) / 20)
    mixed = waveform.samples + (factor * noise).astype(np.float32)
    return Waveform(mixed, waveform.sample_rate)


def _uniform(rng: np.random.Generator, allowed: Range) -> float:
    low, high = allowed
    if not low <= high:
        raise InvalidInputError(f"Expected a range (low, high) with low <= high, got {allowed}.")
    return float(rng.uniform(low, high))
