"""What synthetic sounds are made of: oscillators, noises, resonances, events.

Everything is mono, float64, at `SAMPLE_RATE`; loudness is set at the end, in `scenes`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from audioprobe.types import Float64Array

SAMPLE_RATE = 16_000  # Hz: what LTU's encoder hears

Event = Callable[[], Float64Array]


def samples(seconds: float) -> int:
    """Samples in so many seconds, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def curve(points: npt.ArrayLike, n: int) -> Float64Array:
    """Values at evenly spaced points, joined by straight lines; shape (n,)."""
    values = np.asarray(points, float)
    line: Float64Array = np.interp(
        np.linspace(0, len(values) - 1, n), np.arange(len(values)), values
    )
    return line


def oscillate(pitch: Float64Array, weights: Sequence[float]) -> Float64Array:
    """A sum of harmonics.

    Args:
        pitch: of the fundamental at each sample, Hz, shape (n,).
        weights: amplitude of each harmonic, the fundamental first; what would lie above half of
            `SAMPLE_RATE` is silent.

    Returns:
        Shape (n,).
    """
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    harmonic = np.ones_like(turn)
    total = np.zeros(len(pitch))
    for number, weight in enumerate(weights, 1):
        if number * pitch.min() >= SAMPLE_RATE / 2:
            break
        harmonic *= turn  # a product costs less than a sine
        if weight:
            total += weight * (number * pitch < SAMPLE_RATE / 2) * np.imag(harmonic)
    return total


def falling(n_harmonics: int, power: float) -> list[float]:
    """Amplitudes of harmonics that fall as 1 / number ** power."""
    return [number**-power for number in range(1, n_harmonics + 1)]


def noise(n: int, rng: np.random.Generator, slope: float = 0.0) -> Float64Array:
    """Gaussian noise whose power falls with frequency to the power of `slope`: 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    shaped: Float64Array = np.fft.irfft(spectrum * frequency ** (-slope / 2), n)
    shaped /= np.abs(shaped).max() + 1e-12
    return shaped


def band(sound: Float64Array, low: float, high: float) -> Float64Array:
    """What lies between two frequencies in Hz, with edges a fifth of an octave wide."""
    spectrum = np.fft.rfft(sound)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), 1e-3))
    gain = _step((octave - np.log2(low)) * 5) * _step((np.log2(high) - octave) * 5)
    filtered: Float64Array = np.fft.irfft(spectrum * gain, len(sound))
    return filtered


def formants(sound: Float64Array, centres: Sequence[float], width: float = 0.12) -> Float64Array:
    """Resonances at `centres` Hz, each `width` of that wide; the rest is 26 dB lower."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    gain = np.full(len(frequency), 0.05)
    for rank, centre in enumerate(centres):
        gain += 0.7**rank / (1 + ((frequency - centre) / (width * centre)) ** 2)
    filtered: Float64Array = np.fft.irfft(spectrum * gain, len(sound))
    return filtered


def swell(n: int, attack: float, release: float) -> Float64Array:
    """An envelope: a rise and a fall of so many seconds, flat between; shape (n,)."""
    time = np.arange(n) / SAMPLE_RATE
    rise = np.minimum(1.0, time / max(attack, 1e-4))
    fall = np.minimum(1.0, (n / SAMPLE_RATE - time) / max(release, 1e-4))
    envelope: Float64Array = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
    return envelope


def decay(n: int, seconds: float) -> Float64Array:
    """An envelope that falls by 60 dB in so many seconds, after a rise of 2 ms; shape (n,)."""
    time = np.arange(n) / SAMPLE_RATE
    envelope: Float64Array = np.minimum(1.0, time / 0.002) * 10 ** (-3 * time / seconds)
    return envelope


def ring(
    frequencies: npt.ArrayLike, decays: npt.ArrayLike, gains: npt.ArrayLike, n: int
) -> Float64Array:
    """A struck body: its modes, each with its own decay (60 dB, in seconds); shape (n,)."""
    total = np.zeros(n)
    modes = np.stack([np.asarray(part, float) for part in (frequencies, decays, gains)], axis=1)
    for frequency, seconds, gain in modes:
        if frequency < SAMPLE_RATE / 2:
            m = min(n, samples(seconds))  # down by 60 dB, it ends
            total[:m] += gain * _resonance(frequency, seconds, m)
    soft = min(n, samples(0.002))
    total[:soft] *= np.linspace(0, 1, soft)
    return total


def _resonance(frequency: float, seconds: float, n: int) -> Float64Array:
    """What a resonator of two poles answers to an impulse: a sine that decays."""
    angle, radius = 2 * np.pi * frequency / SAMPLE_RATE, 10 ** (-3 / SAMPLE_RATE / seconds)
    impulse = np.zeros(n)
    impulse[0] = np.sin(angle)
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    answer: Float64Array = lfilter([1.0], poles, impulse)
    return answer


def pluck(pitch: float, n: int, rng: np.random.Generator, seconds: float) -> Float64Array:
    """A plucked string (Karplus and Strong, 1983) that rings for so many seconds; shape (n,)."""
    period = max(2, round(SAMPLE_RATE / pitch))
    burst = np.zeros(n)
    burst[: min(n, period)] = rng.uniform(-1, 1, min(n, period))
    loss = 10 ** (-3 * period / SAMPLE_RATE / seconds)
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1, -loss / 2, -loss / 2
    string: Float64Array = lfilter([1.0], feedback, burst)
    return string


def repeat(
    event: Event, n: int, rng: np.random.Generator, gap: float, jitter: float = 0.2
) -> Float64Array:
    """Events one after another, `gap` seconds from start to start, give or take `jitter` of it.

    Args:
        event: makes one; called anew each time.
        n: samples in all.
        rng: for the gaps.
        gap: seconds.
        jitter: 0 is a clock, 1 as irregular as it gets.
    """
    total = np.zeros(n)
    at = rng.uniform(0, 0.3 * gap)
    while samples(at) < n:
        _add(total, event(), samples(at))
        at += max(0.01, gap * (1 + jitter * rng.uniform(-1, 1)))
    return total


def strew(event: Event, n: int, rng: np.random.Generator, rate: float) -> Float64Array:
    """Events at random, `rate` a second on average."""
    total = np.zeros(n)
    for at in rng.uniform(0, n, max(1, rng.poisson(rate * n / SAMPLE_RATE))):
        _add(total, rng.uniform(0.2, 1.0) * event(), int(at))
    return total


def _add(total: Float64Array, sound: Float64Array, at: int) -> None:
    end = min(len(total), at + len(sound))
    total[at:end] += sound[: end - at]


def _step(octaves: Float64Array) -> Float64Array:
    """0 below -1, 1 above 1, smooth between."""
    smooth: Float64Array = 0.5 + 0.5 * np.sin(np.pi / 2 * np.clip(octaves, -1, 1))
    return smooth
