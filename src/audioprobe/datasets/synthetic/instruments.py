"""Musical instruments and bells."""

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
    swell,
)
from audioprobe.types import Float64Array

_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones of a major scale


def _note(rng: np.random.Generator, low: float, octaves: float = 1.0) -> float:
    """A pitch in Hz, from a major scale above `low`."""
    steps = rng.choice(_SCALE) + 12 * rng.integers(0, max(1, round(octaves)))
    return float(low * 2 ** (steps / 12))


def bell(rng: np.random.Generator, n: int) -> Float64Array:
    """A small bell, rung again and again."""
    pitch = rng.uniform(900, 2600)
    partials = pitch * np.array([1, 2.0, 2.76, 4.1, 5.4])

    def stroke() -> Float64Array:
        m = samples(rng.uniform(0.8, 2.0))
        return ring(partials, rng.uniform(0.4, 1.8, 5), (1, 0.5, 0.6, 0.3, 0.25), m)

    return repeat(stroke, n, rng, rng.uniform(0.25, 1.5), 0.25)


def church_bell(rng: np.random.Generator, n: int) -> Float64Array:
    """A great bell: hum, prime, a minor third, fifth and octave, each beating a little."""
    prime = rng.uniform(180, 480)
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 3, 4.1])

    def stroke() -> Float64Array:
        m = samples(5.0)
        modes = np.concatenate([prime * ratios, prime * ratios * rng.uniform(1.001, 1.004, 8)])
        gains = np.tile([0.5, 0.7, 0.6, 0.3, 1, 0.3, 0.4, 0.3], 2)
        return ring(modes, np.tile([9, 6, 5, 4, 3.5, 2, 1.5, 1], 2), gains, m)

    return repeat(stroke, n, rng, rng.uniform(1.5, 3.0), 0.05)


def bass_drum(rng: np.random.Generator, n: int) -> Float64Array:
    """A kick: a low tone that falls, with a click."""
    pitch = rng.uniform(45, 75)

    def kick() -> Float64Array:
        m = samples(0.4)
        fall = pitch * (1 + 2.5 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.02))
        return oscillate(fall, [1, 0.2]) * decay(m, rng.uniform(0.2, 0.5)) + 0.2 * noise(
            m, rng
        ) * decay(m, 0.02)

    return repeat(kick, n, rng, rng.uniform(0.35, 0.8), 0.05)


def snare_drum(rng: np.random.Generator, n: int) -> Float64Array:
    """A skin and its wires; now and then a roll."""
    pitch, gap = rng.uniform(160, 260), rng.choice([rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.09)])

    def stroke() -> Float64Array:
        m = samples(0.25)
        skin = ring((pitch, 1.6 * pitch), (0.12, 0.1), (1, 0.6), m)
        return skin + band(noise(m, rng), 1200, 7800) * decay(m, rng.uniform(0.12, 0.25))

    return repeat(stroke, n, rng, float(gap), 0.08)


def tom_tom(rng: np.random.Generator, n: int) -> Float64Array:
    """Drums of several sizes in turn."""
    sizes = rng.uniform(80, 220, 3)

    def stroke() -> Float64Array:
        m, pitch = samples(0.6), rng.choice(sizes)
        fall = pitch * (1 + 0.4 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.05))
        return (
            oscillate(fall, [1, 0, 0.15]) * decay(m, 0.5)
            + 0.3 * ring((1.6 * pitch,), (0.25,), (1,), m)
            + 0.1 * noise(m, rng) * decay(m, 0.02)
        )

    return repeat(stroke, n, rng, rng.uniform(0.2, 0.6), 0.15)


def cymbal(rng: np.random.Generator, n: int) -> Float64Array:
    """A crash or a ride: dense high modes that shimmer."""
    long = rng.uniform(1.5, 4.0)
    modes = rng.uniform(300, 7900, 40)

    def stroke() -> Float64Array:
        m = samples(long)
        shimmer = ring(modes, rng.uniform(0.3, 1.0, 40) * long, rng.uniform(0.02, 0.15, 40), m)
        return shimmer + band(noise(m, rng), 2500, 7900) * decay(m, 0.6 * long)

    return repeat(stroke, n, rng, rng.uniform(0.8, 3.0), 0.3)


def guitar(rng: np.random.Generator, n: int) -> Float64Array:
    """Plucked strings: a melody, or chords."""
    chords = rng.random() < 0.4

    def sound() -> Float64Array:
        m = samples(1.5)
        roots = _note(rng, 110) * np.array([1, 1.26, 1.5] if chords else [1])
        total = np.zeros(m)
        for k, root in enumerate(roots):
            total += np.roll(pluck(float(root), m, rng, 1.6), k * samples(0.02))
        return total

    return repeat(sound, n, rng, rng.uniform(0.3, 0.9), 0.1)


def piano(rng: np.random.Generator, n: int) -> Float64Array:
    """Struck strings, slightly stretched, the high partials soon gone."""
    low = rng.uniform(130, 262)

    def key() -> Float64Array:
        m, pitch = samples(1.8), _note(rng, low, 2)
        k = np.arange(1, 13)
        partials = pitch * k * np.sqrt(1 + 0.0004 * k**2)
        return ring(partials, 2.5 / k**0.7, k**-1.2, m) + 0.05 * noise(m, rng, 1) * decay(m, 0.05)

    return repeat(key, n, rng, rng.uniform(0.2, 0.7), 0.15)


def _melody(
    rng: np.random.Generator, n: int, low: float, gap: float, voice: object
) -> Float64Array:
    """Notes of a scale, each held until the next."""

    def note() -> Float64Array:
        m = samples(gap * rng.uniform(0.8, 1.0))
        return voice(_note(rng, low, 1), m)  # type: ignore[operator,no-any-return]

    return repeat(note, n, rng, gap, 0.02)


def _vibrato(pitch: float, m: int, rate: float, depth: float) -> Float64Array:
    late = np.minimum(1, np.arange(m) / SAMPLE_RATE / 0.2)
    wave: Float64Array = pitch * (
        1 + depth * late * np.sin(2 * np.pi * rate * np.arange(m) / SAMPLE_RATE)
    )
    return wave


def flute(rng: np.random.Generator, n: int) -> Float64Array:
    """A nearly pure tone with breath in it."""
    rate, breath = rng.uniform(4.5, 6), rng.uniform(0.05, 0.15)

    def voice(pitch: float, m: int) -> Float64Array:
        tone = oscillate(_vibrato(pitch, m, rate, 0.006), [1, 0.25, 0.1, 0.04])
        return (tone + breath * band(noise(m, rng), pitch, 6000)) * swell(m, 0.06, 0.08)

    return _melody(rng, n, rng.uniform(440, 620), rng.uniform(0.3, 0.9), voice)


def violin(rng: np.random.Generator, n: int) -> Float64Array:
    """A bowed string: many harmonics through a body, with vibrato."""
    body = rng.uniform(0.9, 1.1) * np.array([280, 460, 950, 2600])
    rate = rng.uniform(5, 7)

    def voice(pitch: float, m: int) -> Float64Array:
        string = oscillate(_vibrato(pitch, m, rate, 0.012), falling(20, 0.9)) + 0.04 * noise(m, rng)
        return formants(string, body.tolist(), 0.4) * swell(m, 0.1, 0.12)

    return _melody(rng, n, rng.uniform(196, 440), rng.uniform(0.4, 1.2), voice)


def trumpet(rng: np.random.Generator, n: int) -> Float64Array:
    """Brass: the louder a note, the more of its high harmonics."""

    def voice(pitch: float, m: int) -> Float64Array:
        swelling = swell(m, 0.04, 0.06)
        dull = oscillate(_vibrato(pitch, m, 5, 0.004), falling(8, 1.2))
        bright = oscillate(_vibrato(pitch, m, 5, 0.004), falling(16, 0.3))
        return formants(dull + swelling**2 * bright, (1200, 2300), 0.5) * swelling

    return _melody(rng, n, rng.uniform(233, 350), rng.uniform(0.25, 0.7), voice)


def organ(rng: np.random.Generator, n: int) -> Float64Array:
    """Pipes: steady chords without attack or decay."""
    stops = rng.uniform(0.2, 1, 6)

    def chord() -> Float64Array:
        m, root = samples(rng.uniform(0.9, 2.2)), _note(rng, rng.uniform(98, 196))
        pipes = sum(
            oscillate(
                np.full(m, root * ratio * detune),
                [stops[0], stops[1], stops[2], stops[3], 0, stops[4], 0, stops[5]],
            )
            for ratio in (1, 1.26, 1.5, 2)
            for detune in (1, 1.003)
        )
        return pipes * swell(m, 0.05, 0.08) * curve([1, 1], m)

    return repeat(chord, n, rng, rng.uniform(0.9, 2.0), 0.02)


def xylophone(rng: np.random.Generator, n: int) -> Float64Array:
    """Wooden bars: a fundamental and its twelfth, quickly gone."""
    low = rng.uniform(520, 800)

    def bar() -> Float64Array:
        m, pitch = samples(0.5), _note(rng, low, 2)
        return ring((pitch, 3 * pitch, 6.2 * pitch), (0.4, 0.2, 0.08), (1, 0.4, 0.2), m)

    return repeat(bar, n, rng, rng.uniform(0.12, 0.4), 0.1)


def maraca(rng: np.random.Generator, n: int) -> Float64Array:
    """A rattle of seeds, shaken in time."""

    def shake() -> Float64Array:
        m = samples(rng.uniform(0.06, 0.12))
        return band(noise(m, rng), 3500, 7900) * swell(m, 0.03, 0.05)

    return repeat(shake, n, rng, rng.uniform(0.13, 0.3), 0.08)
