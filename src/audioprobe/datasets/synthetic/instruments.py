"""Musical instruments and bells."""

from collections.abc import Callable

import numpy as np

from audioprobe.datasets.synthetic.blocks import (
    SAMPLE_RATE,
    band,
    curve,
    decay,
    falling,
    formants,
    noise,
    oscillate,
    pluck,
    repeat,
    ring,
    samples,
    sine,
    swell,
    tone,
)
from audioprobe.types import Float64Array

_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones


def _note(rng: np.random.Generator, low: float, octaves: int = 1) -> float:
    """A pitch in Hz from the major scale of `low`."""
    semitones = rng.choice(_MAJOR_SCALE) + 12 * rng.integers(0, octaves)
    return float(low * 2 ** (semitones / 12))


def bell(rng: np.random.Generator, n: int) -> Float64Array:
    """A small bell, rung repeatedly."""
    partials = rng.uniform(900, 2600) * np.array([1, 2.0, 2.76, 4.1, 5.4])

    def stroke() -> Float64Array:
        m = samples(rng.uniform(0.8, 2.0))
        return ring(partials, rng.uniform(0.4, 1.8, 5), (1, 0.5, 0.6, 0.3, 0.25), m)

    return repeat(stroke, n, rng, rng.uniform(0.25, 1.5), 0.25)


def church_bell(rng: np.random.Generator, n: int) -> Float64Array:
    """A large bell: hum, prime, minor third, fifth and octave, each with beats."""
    prime = rng.uniform(180, 480)
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 3, 4.1])

    def stroke() -> Float64Array:
        modes = np.concatenate([prime * ratios, prime * ratios * rng.uniform(1.001, 1.004, 8)])
        gains = np.tile([0.5, 0.7, 0.6, 0.3, 1, 0.3, 0.4, 0.3], 2)
        return ring(modes, np.tile([9, 6, 5, 4, 3.5, 2, 1.5, 1], 2), gains, samples(5.0))

    return repeat(stroke, n, rng, rng.uniform(1.5, 3.0), 0.05)


def bass_drum(rng: np.random.Generator, n: int) -> Float64Array:
    """A low falling tone with a click."""
    pitch = rng.uniform(45, 75)

    def kick() -> Float64Array:
        m = samples(0.4)
        fall = pitch * (1 + 2.5 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.02))
        thump = oscillate(fall, [1, 0.2]) * decay(m, rng.uniform(0.2, 0.5))
        return thump + 0.2 * noise(m, rng) * decay(m, 0.02)

    return repeat(kick, n, rng, rng.uniform(0.35, 0.8), 0.05)


def snare_drum(rng: np.random.Generator, n: int) -> Float64Array:
    """A drum head and its wires, in single strokes or a roll."""
    pitch, gap = rng.uniform(160, 260), rng.choice([rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.09)])

    def stroke() -> Float64Array:
        m = samples(0.25)
        head = ring((pitch, 1.6 * pitch), (0.12, 0.1), (1, 0.6), m)
        return head + band(noise(m, rng), 1200, 7800) * decay(m, rng.uniform(0.12, 0.25))

    return repeat(stroke, n, rng, float(gap), 0.08)


def tom_tom(rng: np.random.Generator, n: int) -> Float64Array:
    """Drums of three sizes in random order."""
    sizes = rng.uniform(80, 220, 3)

    def stroke() -> Float64Array:
        m, pitch = samples(0.6), rng.choice(sizes)
        fall = pitch * (1 + 0.4 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.05))
        body = oscillate(fall, [1, 0, 0.15]) * decay(m, 0.5)
        head = 0.3 * ring((1.6 * pitch,), (0.25,), (1,), m)
        return body + head + 0.1 * noise(m, rng) * decay(m, 0.02)

    return repeat(stroke, n, rng, rng.uniform(0.2, 0.6), 0.15)


def cymbal(rng: np.random.Generator, n: int) -> Float64Array:
    """A crash or ride cymbal: dense high modes."""
    length = rng.uniform(1.5, 4.0)
    modes = rng.uniform(300, 7900, 40)

    def stroke() -> Float64Array:
        m = samples(length)
        decays = rng.uniform(0.3, 1.0, 40) * length
        shimmer = ring(modes, decays, rng.uniform(0.02, 0.15, 40), m)
        return shimmer + band(noise(m, rng), 2500, 7900) * decay(m, 0.6 * length)

    return repeat(stroke, n, rng, rng.uniform(0.8, 3.0), 0.3)


def guitar(rng: np.random.Generator, n: int) -> Float64Array:
    """Plucked strings: a melody or chords."""
    ratios = np.array([1, 1.26, 1.5] if rng.random() < 0.4 else [1])

    def strum() -> Float64Array:
        m = samples(1.5)
        total = np.zeros(m)
        for k, pitch in enumerate(_note(rng, 110) * ratios):
            total += np.roll(pluck(float(pitch), m, rng, 1.6), k * samples(0.02))
        return total

    return repeat(strum, n, rng, rng.uniform(0.3, 0.9), 0.1)


def piano(rng: np.random.Generator, n: int) -> Float64Array:
    """Struck strings with slightly stretched partials; high partials decay faster."""
    low = rng.uniform(130, 262)

    def key() -> Float64Array:
        m, pitch = samples(1.8), _note(rng, low, 2)
        k = np.arange(1, 13)
        partials = pitch * k * np.sqrt(1 + 0.0004 * k**2)
        return ring(partials, 2.5 / k**0.7, k**-1.2, m) + 0.05 * noise(m, rng, 1) * decay(m, 0.05)

    return repeat(key, n, rng, rng.uniform(0.2, 0.7), 0.15)


def _melody(
    rng: np.random.Generator,
    n: int,
    low: float,
    gap: float,
    voice: Callable[[float, int], Float64Array],
) -> Float64Array:
    """Notes of a scale in direct succession, rendered by a voice from pitch and length."""

    def note() -> Float64Array:
        m = samples(gap * rng.uniform(0.8, 1.0))
        return voice(_note(rng, low), m)

    return repeat(note, n, rng, gap, 0.02)


def _vibrato(pitch: float, m: int, rate: float, depth: float) -> Float64Array:
    """A pitch curve with a vibrato that begins after the onset."""
    onset = np.minimum(1, np.arange(m) / SAMPLE_RATE / 0.2)
    contour: Float64Array = pitch * (1 + depth * onset * sine(rate, m))
    return contour


def flute(rng: np.random.Generator, n: int) -> Float64Array:
    """A nearly pure tone with breath noise."""
    rate, breath = rng.uniform(4.5, 6), rng.uniform(0.05, 0.15)

    def voice(pitch: float, m: int) -> Float64Array:
        pure = oscillate(_vibrato(pitch, m, rate, 0.006), [1, 0.25, 0.1, 0.04])
        return (pure + breath * band(noise(m, rng), pitch, 6000)) * swell(m, 0.06, 0.08)

    return _melody(rng, n, rng.uniform(440, 620), rng.uniform(0.3, 0.9), voice)


def violin(rng: np.random.Generator, n: int) -> Float64Array:
    """A bowed string with body resonances and vibrato."""
    body = rng.uniform(0.9, 1.1) * np.array([280, 460, 950, 2600])
    rate = rng.uniform(5, 7)

    def voice(pitch: float, m: int) -> Float64Array:
        string = oscillate(_vibrato(pitch, m, rate, 0.012), falling(20, 0.9)) + 0.04 * noise(m, rng)
        return formants(string, body.tolist(), 0.4) * swell(m, 0.1, 0.12)

    return _melody(rng, n, rng.uniform(196, 440), rng.uniform(0.4, 1.2), voice)


def trumpet(rng: np.random.Generator, n: int) -> Float64Array:
    """Brass, with stronger high harmonics at higher levels."""

    def voice(pitch: float, m: int) -> Float64Array:
        envelope = swell(m, 0.04, 0.06)
        contour = _vibrato(pitch, m, 5, 0.004)
        dull, bright = oscillate(contour, falling(8, 1.2)), oscillate(contour, falling(16, 0.3))
        return formants(dull + envelope**2 * bright, (1200, 2300), 0.5) * envelope

    return _melody(rng, n, rng.uniform(233, 350), rng.uniform(0.25, 0.7), voice)


def organ(rng: np.random.Generator, n: int) -> Float64Array:
    """Steady chords of pipes."""
    stops = rng.uniform(0.2, 1, 6)
    weights = [stops[0], stops[1], stops[2], stops[3], 0, stops[4], 0, stops[5]]

    def chord() -> Float64Array:
        m, root = samples(rng.uniform(0.9, 2.2)), _note(rng, rng.uniform(98, 196))
        pipes = sum(
            tone(root * ratio * detune, m, weights)
            for ratio in (1, 1.26, 1.5, 2)
            for detune in (1, 1.003)
        )
        return pipes * swell(m, 0.05, 0.08) * curve([1, 1], m)

    return repeat(chord, n, rng, rng.uniform(0.9, 2.0), 0.02)


def xylophone(rng: np.random.Generator, n: int) -> Float64Array:
    """Wooden bars: a fundamental and its twelfth, with fast decay."""
    low = rng.uniform(520, 800)

    def bar() -> Float64Array:
        m, pitch = samples(0.5), _note(rng, low, 2)
        return ring((pitch, 3 * pitch, 6.2 * pitch), (0.4, 0.2, 0.08), (1, 0.4, 0.2), m)

    return repeat(bar, n, rng, rng.uniform(0.12, 0.4), 0.1)


def maraca(rng: np.random.Generator, n: int) -> Float64Array:
    """A rattle, shaken rhythmically."""

    def shake() -> Float64Array:
        m = samples(rng.uniform(0.06, 0.12))
        return band(noise(m, rng), 3500, 7900) * swell(m, 0.03, 0.05)

    return repeat(shake, n, rng, rng.uniform(0.13, 0.3), 0.08)


INSTRUMENTS = (
    *(bell, church_bell, bass_drum, snare_drum, tom_tom, cymbal, guitar, piano),
    *(flute, violin, trumpet, organ, xylophone, maraca),
)
