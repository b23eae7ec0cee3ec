"""Voices of birds, mammals, frogs and insects."""

from collections.abc import Sequence

import numpy as np

from audioprobe.datasets.synthetic.blocks import (
    SAMPLE_RATE,
    curve,
    decay,
    falling,
    formants,
    noise,
    oscillate,
    repeat,
    samples,
    silence,
    sine,
    swell,
    tone,
)
from audioprobe.types import Float64Array


def crow(rng: np.random.Generator, n: int) -> Float64Array:
    """Caws: hoarse bursts in groups."""
    pitch, length = rng.uniform(320, 520), rng.uniform(0.22, 0.45)

    def caw() -> Float64Array:
        m = samples(length * rng.uniform(0.85, 1.15))
        bend = pitch * curve([0.85, 1.1, 1.0, 0.75], m) * (1 + 0.03 * noise(m, rng, 1.0))
        voice = oscillate(bend, falling(18, 0.4)) + 1.5 * noise(m, rng)
        rate = rng.uniform(55, 90)
        phase = np.cumsum(rate * (1 + 0.1 * noise(m, rng, 1.0))) / SAMPLE_RATE
        voice *= 1 - 0.7 * (0.5 + 0.5 * np.sin(2 * np.pi * phase))  # hoarse
        return formants(voice, (1400, 1900, 2800), 0.25) * swell(m, 0.03, 0.12)

    return repeat(caw, n, rng, rng.uniform(0.5, 1.1), 0.15)


def owl(rng: np.random.Generator, n: int) -> Float64Array:
    """Low hoots, nearly pure tones."""
    pitch = rng.uniform(260, 480)

    def hoot() -> Float64Array:
        m = samples(rng.uniform(0.25, 0.7))
        bend = pitch * curve([0.94, 1.0, 0.97], m) * (1 + 0.01 * np.sin(np.arange(m) / 400))
        return oscillate(bend, [1, 0.12, 0.04]) * swell(m, 0.08, 0.15)

    return repeat(hoot, n, rng, rng.uniform(0.8, 2.0), 0.4)


def cuckoo(rng: np.random.Generator, n: int) -> Float64Array:
    """Two notes, the second a third lower."""
    high = rng.uniform(580, 720)
    low, length = high * rng.uniform(0.78, 0.85), rng.uniform(0.18, 0.26)

    def note(pitch: float) -> Float64Array:
        m = samples(length)
        return oscillate(pitch * curve([1, 1.02, 0.98], m), [1, 0.1, 0.05]) * swell(m, 0.03, 0.06)

    def call() -> Float64Array:
        return np.concatenate([note(high), silence(rng.uniform(0.08, 0.16)), note(low)])

    return repeat(call, n, rng, rng.uniform(1.0, 1.6), 0.05)


def songbird(rng: np.random.Generator, n: int) -> Float64Array:
    """Phrases of short whistles with changing pitch."""
    centre = rng.uniform(2500, 5000)

    def syllable() -> Float64Array:
        m = samples(rng.uniform(0.04, 0.2))
        bend = centre * curve(rng.uniform(0.7, 1.4, rng.integers(2, 5)), m)
        trill = 1 + rng.choice([0, 0.08]) * sine(rng.uniform(20, 60), m)
        return oscillate(bend * trill, [1, 0.08]) * swell(m, 0.01, 0.03)

    def phrase() -> Float64Array:
        syllables = [syllable() for _ in range(rng.integers(2, 5))]
        gap = silence(rng.uniform(0.02, 0.08))
        order = rng.integers(0, len(syllables), rng.integers(4, 12))
        return np.concatenate([part for k in order for part in (syllables[k], gap)])

    return repeat(phrase, n, rng, rng.uniform(1.5, 3.0), 0.3)


def duck(rng: np.random.Generator, n: int) -> Float64Array:
    """Quacks: a nasal buzz with falling pitch."""
    pitch = rng.uniform(180, 290)

    def quack() -> Float64Array:
        m = samples(rng.uniform(0.12, 0.25))
        voice = oscillate(pitch * curve([1.15, 1.05, 0.85], m), falling(25, 0.3))
        voice = voice + 0.3 * noise(m, rng)
        return formants(voice, (1100, 2300, 3300), 0.15) * swell(m, 0.01, 0.08)

    return repeat(quack, n, rng, rng.uniform(0.28, 0.6), 0.2)


def rooster(rng: np.random.Generator, n: int) -> Float64Array:
    """Calls of four syllables, the last long and high."""
    pitch = rng.uniform(430, 620)

    def syllable(length: float, contour: Sequence[float]) -> Float64Array:
        m = samples(length * rng.uniform(0.9, 1.1))
        voice = oscillate(pitch * curve(contour, m), falling(12, 0.6)) + 0.2 * noise(m, rng)
        return np.concatenate(
            [formants(voice, (1300, 2600), 0.3) * swell(m, 0.02, 0.05), silence(0.03)]
        )

    def call() -> Float64Array:
        last = rng.uniform(0.6, 1.0)
        syllables = (
            syllable(0.18, (0.8, 1.0)),
            syllable(0.14, (1.0, 1.05)),
            syllable(0.2, (1.1, 1.2)),
            syllable(last, (1.15, 1.35, 1.25, 0.8)),
        )
        return np.concatenate(syllables)

    return repeat(call, n, rng, rng.uniform(3.0, 5.0), 0.2)


def woodpecker(rng: np.random.Generator, n: int) -> Float64Array:
    """Drumming: a series of knocks on wood that fades out."""
    wood, rate = rng.uniform(700, 1500), rng.uniform(14, 24)

    def knock() -> Float64Array:
        m = samples(0.04)
        click = 0.4 * noise(m, rng) * decay(m, 0.01)
        return tone(wood, m, [1, 0.6, 0.3]) * decay(m, 0.035) + click

    def series() -> Float64Array:
        m = samples(rng.uniform(0.6, 1.2))
        return repeat(knock, m, rng, 1 / rate, 0.03) * curve([0.7, 1, 0.8, 0.4], m)

    return repeat(series, n, rng, rng.uniform(2.0, 4.0), 0.3)


def dog(rng: np.random.Generator, n: int) -> Float64Array:
    """Barks."""
    pitch, size = rng.uniform(220, 700), rng.uniform(0.8, 1.3)

    def bark() -> Float64Array:
        m = samples(rng.uniform(0.1, 0.2))
        voice = oscillate(pitch * curve([0.75, 1.15, 0.8], m), falling(16, 0.7))
        voice = voice + 1.2 * noise(m, rng)
        return formants(voice, (600 * size, 1300 * size, 2400 * size), 0.3) * swell(m, 0.012, 0.09)

    return repeat(bark, n, rng, rng.uniform(0.3, 0.9), 0.35)


def wolf(rng: np.random.Generator, n: int) -> Float64Array:
    """Howls: a rise, a long steady note, a slow fall."""
    pitch = rng.uniform(320, 560)

    def howl() -> Float64Array:
        m = samples(rng.uniform(2.0, 4.5))
        vibrato = 1 + 0.012 * sine(rng.uniform(3, 6), m)
        contour = pitch * curve([0.6, 1, 1.05, 1, 0.95, 0.7], m) * vibrato
        return oscillate(contour, [1, 0.45, 0.2, 0.08]) * swell(m, 0.3, 0.6)

    return repeat(howl, n, rng, rng.uniform(3.5, 6.0), 0.3)


def cat(rng: np.random.Generator, n: int) -> Float64Array:
    """Meows: a mouth that opens and closes while the pitch rises and falls."""
    pitch = rng.uniform(420, 720)

    def meow() -> Float64Array:
        m = samples(rng.uniform(0.5, 1.0))
        voice = oscillate(pitch * curve([0.85, 1.15, 1.1, 0.85], m), falling(12, 0.5))
        voice = voice + 0.05 * noise(m, rng)
        closed, opened = formants(voice, (700, 2300), 0.2), formants(voice, (1300, 2700), 0.25)
        mouth = curve([0, 1, 0.7, 0], m)
        return (closed * (1 - mouth) + opened * mouth) * swell(m, 0.08, 0.2)

    return repeat(meow, n, rng, rng.uniform(1.2, 2.5), 0.3)


def cow(rng: np.random.Generator, n: int) -> Float64Array:
    """Long low moos."""
    pitch = rng.uniform(95, 170)

    def moo() -> Float64Array:
        m = samples(rng.uniform(1.0, 2.2))
        voice = oscillate(pitch * curve([0.9, 1.15, 1.1, 0.85], m), falling(30, 0.6))
        voice = voice + 0.1 * noise(m, rng, 1)
        closed, opened = formants(voice, (280, 900), 0.3), formants(voice, (600, 1100, 2400), 0.3)
        mouth = curve([0, 0.3, 1, 0.8], m)
        return (closed * (1 - mouth) + opened * mouth) * swell(m, 0.2, 0.3)

    return repeat(moo, n, rng, rng.uniform(2.5, 4.5), 0.3)


def sheep(rng: np.random.Generator, n: int) -> Float64Array:
    """Bleats: a trembling voice."""
    pitch = rng.uniform(230, 420)

    def bleat() -> Float64Array:
        m = samples(rng.uniform(0.5, 1.1))
        tremor = sine(rng.uniform(7, 12), m)
        voice = oscillate(pitch * (1 + 0.06 * tremor), falling(20, 0.4)) + 0.2 * noise(m, rng)
        voice = formants(voice, (800, 1700, 2800), 0.2)
        return voice * (0.65 + 0.35 * tremor) * swell(m, 0.05, 0.15)

    return repeat(bleat, n, rng, rng.uniform(1.2, 2.5), 0.4)


def frog(rng: np.random.Generator, n: int) -> Float64Array:
    """Croaks: fast trains of pulses."""
    pitch, rate = rng.uniform(350, 1100), rng.uniform(25, 60)

    def pulse() -> Float64Array:
        m = samples(0.03)
        return tone(pitch, m, [1, 0.5, 0.25]) * decay(m, 0.03)

    def croak() -> Float64Array:
        m = samples(rng.uniform(0.25, 0.6))
        return repeat(pulse, m, rng, 1 / rate, 0.05) * swell(m, 0.05, 0.08)

    return repeat(croak, n, rng, rng.uniform(0.6, 1.3), 0.2)


def cricket(rng: np.random.Generator, n: int) -> Float64Array:
    """Chirps of a few high pulses each."""
    pitch, pulse = rng.uniform(3500, 5500), rng.uniform(0.016, 0.028)
    count = int(rng.integers(2, 6))

    def chirp() -> Float64Array:
        m = samples(pulse * 0.7)
        single = tone(pitch, m, [1, 0.1]) * swell(m, 0.003, 0.004)
        return np.concatenate([single, silence(pulse * 0.3)] * count)

    return repeat(chirp, n, rng, rng.uniform(0.25, 0.7), 0.03)


def bee(rng: np.random.Generator, n: int) -> Float64Array:
    """A buzz whose pitch and level vary as it flies past."""
    pitch = rng.uniform(170, 260) * (1 + 0.06 * noise(n, rng, 2.0))
    level = np.abs(noise(n, rng, 2.4)) + 0.1
    return oscillate(pitch, falling(20, 0.7)) * level


ANIMALS = (
    *(crow, owl, cuckoo, songbird, duck, rooster, woodpecker),
    *(dog, wolf, cat, cow, sheep, frog, cricket, bee),
)
