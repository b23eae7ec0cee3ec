"""Changes that leave a sound what it is: louder, later, faster, in noise.

Each draws from a generator, evenly within a range; a range of one value, (6, 6), does just that.
What went in stays as it was.
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
    """Louder or softer by a number of decibels; samples may leave [-1, 1]."""
    factor = 10 ** (_within(rng, decibels) / 20)
    return Waveform(waveform.samples * np.float32(factor), waveform.sample_rate)


def shift(waveform: Waveform, rng: np.random.Generator, seconds: Range = (-1.0, 1.0)) -> Waveform:
    """Later (or earlier, if negative), as long as before: what is free is zeros."""
    n = waveform.samples.size
    step = int(np.clip(round(_within(rng, seconds) * waveform.sample_rate), -n, n))
    moved = np.zeros_like(waveform.samples)
    if step >= 0:
        moved[step:] = waveform.samples[: n - step]
    else:
        moved[: n + step] = waveform.samples[-step:]
    return Waveform(moved, waveform.sample_rate)


def speed(waveform: Waveform, rng: np.random.Generator, factors: Range = (0.9, 1.1)) -> Waveform:
    """Faster and higher (factor above 1) or slower and lower, as a tape would be.

    As long as before: what is too long is cut off at the end, what is free is zeros.

    Raises:
        InvalidInputError: for a factor outside [0.25, 4].
    """
    factor = _within(rng, factors)
    if not 0.25 <= factor <= 4:
        raise InvalidInputError(f"A speed must be 0.25 to 4 times the old one, got {factor}.")
    sound = played(waveform.samples, waveform.sample_rate, factor)
    fitted = np.zeros_like(waveform.samples)
    fitted[: sound.size] = sound[: fitted.size]
    return Waveform(fitted, waveform.sample_rate)


def played(samples: Samples, rate: int, factor: float) -> Samples:
    """Samples as a tape plays them, faster and higher (factor above 1); the length changes too.

    Args:
        samples: shape (n_samples,).
        rate: their sample rate, in Hz.
        factor: speed.
    """
    resampled: Any = soxr.resample(samples, rate * factor, rate, quality=QUALITY)
    sound: Samples = resampled
    return sound


def mix(
    waveform: Waveform,
    background: Waveform,
    rng: np.random.Generator,
    snr_db: Range = (0.0, 20.0),
) -> Waveform:
    """In front of a background, as long and as loud as before.

    Args:
        waveform: what is to be heard.
        background: any rate and length; begins at random, and starts again where it ends.
        rng: for the beginning and the ratio.
        snr_db: mean power of the waveform over that of the background, in dB.

    Raises:
        InvalidInputError: if either is silent, for then there is no ratio.
    """
    behind = resample(background, waveform.sample_rate).samples
    first = int(rng.integers(behind.size))
    behind = np.resize(np.roll(behind, -first), waveform.samples.size)
    powers = [float(np.mean(np.square(s, dtype=np.float64))) for s in (waveform.samples, behind)]
    if min(powers) == 0:
        raise InvalidInputError("Silence cannot be mixed at a signal-to-noise ratio: leave it out.")
    factor = (powers[0] / powers[1]) ** 0.5 * 10 ** (-_within(rng, snr_db) / 20)
    mixed = waveform.samples + (factor * behind).astype(np.float32)
    return Waveform(mixed, waveform.sample_rate)


def _within(rng: np.random.Generator, allowed: Range) -> float:
    low, high = allowed
    if not low <= high:
        raise InvalidInputError(f"A range goes from low to high, got {allowed}.")
    return float(rng.uniform(low, high))
