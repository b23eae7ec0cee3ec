"""Building blocks of synthetic sounds: oscillators, noise, filters, envelopes and events.

All sounds are mono arrays of shape (n,), float64, at `SAMPLE_RATE`. Their level is arbitrary;
the module `scenes` sets the levels of the sources in a scene.
"""

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from audioprobe.types import Float64Array

SAMPLE_RATE = 16_000  # Hz; the audio encoder of LTU expects this rate

Event = Callable[[], Float64Array]
"""Function that renders a short sound; its details are random and differ between calls."""

Source = Callable[[np.random.Generator, int], Float64Array]
"""Function that renders n samples of a sound source with random parameters."""


def samples(seconds: float) -> int:
    """Convert a duration in seconds to a number of samples, at least 1."""
    return max(1, round(seconds * SAMPLE_RATE))


def silence(seconds: float) -> Float64Array:
    """Return samples that are zero for a duration in seconds."""
    return np.zeros(samples(seconds))


def curve(points: npt.ArrayLike, n: int) -> Float64Array:
    """Return n values of a curve, interpolated linearly between evenly spaced `points`."""
    values = np.asarray(points, float)
    line: Float64Array = np.interp(
        np.linspace(0, len(values) - 1, n), np.arange(len(values)), values
    )
    return line


def sine(frequency: float, n: int) -> Float64Array:
    """Return a sine wave with a frequency in Hz and amplitude 1."""
    wave: Float64Array = np.sin(2 * np.pi * frequency * np.arange(n) / SAMPLE_RATE)
    return wave


def oscillate(pitch: Float64Array, weights: Sequence[float]) -> Float64Array:
    """Return a sum of sine waves at multiples of a fundamental frequency.

    Args:
        pitch: fundamental frequency of each sample in Hz, shape (n,).
        weights: amplitude of each harmonic, beginning with the fundamental; harmonics above half of
            `SAMPLE_RATE` are omitted.
    """
    phasor = np.exp(2j * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    harmonic = np.ones_like(phasor)
    total = np.zeros(len(pitch))
    for number, weight in enumerate(weights, 1):
        if number * pitch.min() >= SAMPLE_RATE / 2:
            break
        harmonic *= phasor  # a product is faster than a sine
        if weight:
            total += weight * (number * pitch < SAMPLE_RATE / 2) * np.imag(harmonic)
    return total


def tone(frequency: float, n: int, weights: Sequence[float] = (1,)) -> Float64Array:
    """Return a sum of harmonics with amplitudes `weights` and a constant fundamental in Hz."""
    return oscillate(np.full(n, frequency), weights)


def falling(n_harmonics: int, power: float) -> list[float]:
    """Return the amplitudes of harmonics 1 to `n_harmonics`, which fall as 1 / number**power."""
    return [number**-power for number in range(1, n_harmonics + 1)]


def noise(n: int, rng: np.random.Generator, slope: float = 0.0) -> Float64Array:
    """Return n samples of noise with power spectrum 1 / frequency**slope and peak amplitude 1.

    Slope 0 is white noise, 1 is pink noise and 2 is brown noise.
    """
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.arange(len(spectrum)), 1.0)
    shaped: Float64Array = np.fft.irfft(spectrum * frequency ** (-slope / 2), n)
    shaped /= np.abs(shaped).max() + 1e-12
    return shaped


def band(sound: Float64Array, low: float, high: float) -> Float64Array:
    """Return the sound after a band-pass filter from `low` to `high`, in Hz.

    The gain rises and falls over 0.4 octaves at each end of the band.
    """
    spectrum = np.fft.rfft(sound)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), 1e-3))
    gain = _smooth_step((octave - np.log2(low)) * 5) * _smooth_step((np.log2(high) - octave) * 5)
    filtered: Float64Array = np.fft.irfft(spectrum * gain, len(sound))
    return filtered


def formants(sound: Float64Array, centres: Sequence[float], width: float = 0.12) -> Float64Array:
    """Apply resonances at `centres` in Hz with relative bandwidth `width`.

    The gain far from all resonances is 0.05.
    """
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    gain = np.full(len(frequency), 0.05)
    for rank, centre in enumerate(centres):
        gain += 0.7**rank / (1 + ((frequency - centre) / (width * centre)) ** 2)
    filtered: Float64Array = np.fft.irfft(spectrum * gain, len(sound))
    return filtered


def swell(n: int, attack: float, release: float) -> Float64Array:
    """Return an envelope that rises from 0 to 1 in `attack` s and falls to 0 in `release` s."""
    time = np.arange(n) / SAMPLE_RATE
    rise = np.minimum(1.0, time / max(attack, 1e-4))
    fall = np.minimum(1.0, (n / SAMPLE_RATE - time) / max(release, 1e-4))
    envelope: Float64Array = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
    return envelope


def decay(n: int, seconds: float) -> Float64Array:
    """Return an envelope with an attack of 2 ms, then a decay by 60 dB within `seconds`."""
    time = np.arange(n) / SAMPLE_RATE
    envelope: Float64Array = np.minimum(1.0, time / 0.002) * 10 ** (-3 * time / seconds)
    return envelope


def ring(
    frequencies: npt.ArrayLike, decays: npt.ArrayLike, gains: npt.ArrayLike, n: int
) -> Float64Array:
    """Return the sound of a struck body, which is one decaying sine wave per vibration mode.

    Args:
        frequencies: frequency of each mode in Hz.
        decays: time in seconds in which each mode decays by 60 dB.
        gains: amplitude of each mode.
        n: number of samples.
    """
    total = np.zeros(n)
    modes = np.stack([np.asarray(part, float) for part in (frequencies, decays, gains)], axis=1)
    for frequency, seconds, gain in modes:
        if frequency < SAMPLE_RATE / 2:
            m = min(n, samples(seconds))
            total[:m] += gain * _resonance(frequency, seconds, m)
    attack = min(n, samples(0.002))
    total[:attack] *= np.linspace(0, 1, attack)
    return total


def _resonance(frequency: float, seconds: float, n: int) -> Float64Array:
    """Return the impulse response of a two-pole resonator, which is a decaying sine wave."""
    angle, radius = 2 * np.pi * frequency / SAMPLE_RATE, 10 ** (-3 / SAMPLE_RATE / seconds)
    impulse = np.zeros(n)
    impulse[0] = np.sin(angle)
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    response: Float64Array = lfilter([1.0], poles, impulse)
    return response


def pluck(pitch: float, n: int, rng: np.random.Generator, seconds: float) -> Float64Array:
    """Return a plucked string (Karplus and Strong, 1983) that decays by 60 dB within `seconds`."""
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
    """Return n samples with an event that is repeated at random intervals.

    Args:
        event: function that renders one event.
        n: total number of samples.
        rng: random generator for the intervals.
        gap: mean time between the onsets of two events in seconds.
        jitter: largest relative deviation from `gap`, from 0 to 1.
    """
    total = np.zeros(n)
    onset = rng.uniform(0, 0.3 * gap)
    while samples(onset) < n:
        _add(total, event(), samples(onset))
        onset += max(0.01, gap * (1 + jitter * rng.uniform(-1, 1)))
    return total


def repeated(
    *, gap: tuple[float, float], jitter: float, **parameters: tuple[float, ...]
) -> Callable[[Callable[..., Float64Array]], Source]:
    """Return a decorator that makes a `Source` of repeated events from a function for one event.

    The decorated function receives a random generator and the parameters. The parameters are drawn
    once per sound, so that all events of a sound have the same parameters.

    Args:
        gap: range of the mean time between the onsets of two events in seconds.
        jitter: largest relative deviation from the mean time, from 0 to 1.
        parameters: lower and upper limit of the uniform distribution of each parameter, and
            optionally the number of values to draw. Parameters are drawn in the given order,
            before the mean time.
    """

    def decorate(render: Callable[..., Float64Array]) -> Source:
        @wraps(render)
        def source(rng: np.random.Generator, n: int) -> Float64Array:
            values = {
                name: rng.uniform(low, high, int(size[0]) if size else None)
                for name, (low, high, *size) in parameters.items()
            }
            mean_gap = rng.uniform(*gap)
            return repeat(lambda: render(rng, **values), n, rng, mean_gap, jitter)

        return source

    return decorate


def scatter(event: Event, n: int, rng: np.random.Generator, rate: float) -> Float64Array:
    """Return n samples with events at random times, on average `rate` per second.

    The amplitudes of the events are random, too.
    """
    total = np.zeros(n)
    for onset in rng.uniform(0, n, max(1, rng.poisson(rate * n / SAMPLE_RATE))):
        _add(total, rng.uniform(0.2, 1.0) * event(), int(onset))
    return total


def _add(total: Float64Array, sound: Float64Array, start: int) -> None:
    """Add a sound to `total` from sample `start`; cut the sound at the end of `total`."""
    end = min(len(total), start + len(sound))
    total[start:end] += sound[: end - start]


def _smooth_step(x: Float64Array) -> Float64Array:
    """Return 0 for x below -1, 1 for x above 1, and a smooth transition between them."""
    smooth: Float64Array = 0.5 + 0.5 * np.sin(np.pi / 2 * np.clip(x, -1, 1))
    return smooth
