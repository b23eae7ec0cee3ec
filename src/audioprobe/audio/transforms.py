"""Functions of one waveform: resampling, WAV encoding, and augmentations.

The augmentations `gain`, `shift`, `speed` and `mix` do not change the labels of a clip. Each draws
its parameter from a uniform distribution over a range (low, high). Inputs are not modified.
"""

import io
import wave
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import soxr

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.types import Waveform

Range: TypeAlias = tuple[float, float]
Samples = TypeVar("Samples", bound=npt.NDArray[np.floating])

_QUALITY = "HQ"  # soxr's default; 20-bit precision, the fastest setting above 16 bits
_FULL_SCALE = 32768  # decoders divide 16-bit samples by this value, so they stay exact


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform resampled to a rate in Hz; a waveform of this rate is returned unchanged.

    Raises:
        UnsupportedInputError: if the waveform is shorter than one sample at the new rate.
    """
    if waveform.sample_rate == sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality=_QUALITY)
    if not samples.size:
        raise UnsupportedInputError(
            f"A waveform of {waveform.samples.size} samples at {waveform.sample_rate} Hz is too "
            f"short to be resampled to {sample_rate} Hz."
        )
    return Waveform(samples, sample_rate)


def wav_bytes(waveform: Waveform) -> tuple[bytes, int]:
    """Return a waveform as a 16-bit WAV file, and the number of clipped samples.

    Samples are rounded to multiples of 1/32768, so 16-bit recordings stay exact. Samples beyond
    full scale are clipped.
    """
    steps = np.rint(waveform.samples.astype(np.float64) * _FULL_SCALE)
    # +1.0 is one step above the largest value; reducing it does not count as clipping.
    n_clipped = int(np.count_nonzero((steps > _FULL_SCALE) | (steps < -_FULL_SCALE)))
    samples = np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(waveform.sample_rate)
        stream.writeframes(samples.tobytes())
    return file.getvalue(), n_clipped


def gain(waveform: Waveform, rng: np.random.Generator, decibels: Range = (-12.0, 6.0)) -> Waveform:
    """Change the level of a waveform by a random number of decibels; samples may exceed [-1, 1]."""
    factor = 10 ** (_uniform(rng, decibels) / 20)
    return Waveform(waveform.samples * np.float32(factor), waveform.sample_rate)


def shift(waveform: Waveform, rng: np.random.Generator, seconds: Range = (-1.0, 1.0)) -> Waveform:
    """Delay a waveform by a random time, or advance it if the time is negative.

    The length stays the same; zeros fill the gap.
    """
    n = waveform.samples.size
    step = int(np.clip(round(_uniform(rng, seconds) * waveform.sample_rate), -n, n))
    padded = np.pad(waveform.samples, (max(step, 0), max(-step, 0)))
    return Waveform(padded[max(-step, 0) :][:n], waveform.sample_rate)


def speed(waveform: Waveform, rng: np.random.Generator, factors: Range = (0.9, 1.1)) -> Waveform:
    """Change speed and pitch by a random factor; the end is cropped or padded to the old length.

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
    """Change speed, pitch and length of audio, as if a tape were played faster or slower.

    Args:
        samples: audio samples, shape (n_samples,).
        rate: sample rate in Hz.
        factor: speed factor; above 1, the sound becomes faster and higher.

    Returns:
        About n_samples / factor samples.
    """
    resampled: Any = soxr.resample(samples, rate * factor, rate, quality=_QUALITY)
    changed: Samples = resampled
    return changed


def mix(
    waveform: Waveform,
    background: Waveform,
    rng: np.random.Generator,
    snr_db: Range = (0.0, 20.0),
) -> Waveform:
    """Add background noise to a waveform, whose length and level stay the same.

    Args:
        waveform: the foreground.
        background: noise of any rate and length. It is repeated if it is too short.
        rng: random generator for the start position in the noise and the signal-to-noise ratio.
        snr_db: range of the signal-to-noise ratio in dB.

    Raises:
        InvalidInputError: if one of the waveforms is silent, because the ratio is then undefined.
    """
    noise = resample(background, waveform.sample_rate).samples
    first = int(rng.integers(noise.size))
    noise = np.resize(np.roll(noise, -first), waveform.samples.size)
    powers = [float(np.mean(np.square(s, dtype=np.float64))) for s in (waveform.samples, noise)]
    if min(powers) == 0:
        raise InvalidInputError("Expected sound, got silence. Leave the silent waveform out.")
    factor = (powers[0] / powers[1]) ** 0.5 * 10 ** (-_uniform(rng, snr_db) / 20)
    mixed = waveform.samples + (factor * noise).astype(np.float32)
    return Waveform(mixed, waveform.sample_rate)


def _uniform(rng: np.random.Generator, allowed: Range) -> float:
    """Draw a number from the uniform distribution over a range."""
    low, high = allowed
    if not low <= high:
        raise InvalidInputError(f"Expected a range (low, high) with low <= high, got {allowed}.")
    return float(rng.uniform(low, high))
