"""Synthesis of the sounds of birds, mammals, frogs and insects."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from audioprobe.datasets.synthetic.blocks import (
    SAMPLE_RATE,
    curve,
    decay,
    falling,
    formants,
    noise,
    oscillate,
    repeat,
    repeated,
    samples,
    silence,
    sine,
    swell,
    tone,
)
from audioprobe.types import Float64Array


@repeated(pitch=(320, 520), length=(0.22, 0.45), gap=(0.5, 1.1), jitter=0.15)
def crow(rng: Generator, pitch: float, length: float) -> Float64Array:
    """Return one hoarse call of a crow."""
    m = samples(length * rng.uniform(0.85, 1.15))
    bend = pitch * curve([0.85, 1.1, 1.0, 0.75], m) * (1 + 0.03 * noise(m, rng, 1.0))
    voice = oscillate(bend, falling(18, 0.4)) + 1.5 * noise(m, rng)
    rate = rng.uniform(55, 90)
    phase = np.cumsum(rate * (1 + 0.1 * noise(m, rng, 1.0))) / SAMPLE_RATE
    voice *= 1 - 0.7 * (0.5 + 0.5 * np.sin(2 * np.pi * phase))  # hoarse
    return formants(voice, (1400, 1900, 2800), 0.25) * swell(m, 0.03, 0.12)


@repeated(pitch=(260, 480), gap=(0.8, 2.0), jitter=0.4)
def owl(rng: Generator, pitch: float) -> Float64Array:
    """Return one low call of an owl, nearly a pure tone."""
    m = samples(rng.uniform(0.25, 0.7))
    bend = pitch * curve([0.94, 1.0, 0.97], m) * (1 + 0.01 * np.sin(np.arange(m) / 400))
    return oscillate(bend, [1, 0.12, 0.04]) * swell(m, 0.08, 0.15)


@repeated(pitch=(580, 720), ratio=(0.78, 0.85), length=(0.18, 0.26), gap=(1.0, 1.6), jitter=0.05)
def cuckoo(rng: Generator, pitch: float, ratio: float, length: float) -> Float64Array:
    """Return one call of a cuckoo: two notes, the second note about a third lower."""
    m = samples(length)
    high, low = (
        oscillate(note * curve([1, 1.02, 0.98], m), [1, 0.1, 0.05]) * swell(m, 0.03, 0.06)
        for note in (pitch, pitch * ratio)
    )
    return np.concatenate([high, silence(rng.uniform(0.08, 0.16)), low])


@repeated(centre=(2500, 5000), gap=(1.5, 3.0), jitter=0.3)
def songbird(rng: Generator, centre: float) -> Float64Array:
    """Return one phrase of a songbird: short whistles with changing pitch."""

    def syllable() -> Float64Array:
        m = samples(rng.uniform(0.04, 0.2))
        bend = centre * curve(rng.uniform(0.7, 1.4, rng.integers(2, 5)), m)
        trill = 1 + rng.choice([0, 0.08]) * sine(rng.uniform(20, 60), m)
        return oscillate(bend * trill, [1, 0.08]) * swell(m, 0.01, 0.03)

    syllables = [syllable() for _ in range(rng.integers(2, 5))]
    gap = silence(rng.uniform(0.02, 0.08))
    order = rng.integers(0, len(syllables), rng.integers(4, 12))
    return np.concatenate([part for k in order for part in (syllables[k], gap)])


@repeated(pitch=(180, 290), gap=(0.28, 0.6), jitter=0.2)
def duck(rng: Generator, pitch: float) -> Float64Array:
    """Return one call of a duck, a nasal buzz with falling pitch."""
    m = samples(rng.uniform(0.12, 0.25))
    voice = oscillate(pitch * curve([1.15, 1.05, 0.85], m), falling(25, 0.3)) + 0.3 * noise(m, rng)
    return formants(voice, (1100, 2300, 3300), 0.15) * swell(m, 0.01, 0.08)


@repeated(pitch=(430, 620), gap=(3.0, 5.0), jitter=0.2)
def rooster(rng: Generator, pitch: float) -> Float64Array:
    """Return one call of a rooster: four syllables, the last syllable long and high."""

    def syllable(length: float, contour: Sequence[float]) -> Float64Array:
        m = samples(length * rng.uniform(0.9, 1.1))
        voice = oscillate(pitch * curve(contour, m), falling(12, 0.6)) + 0.2 * noise(m, rng)
        return formants(voice, (1300, 2600), 0.3) * swell(m, 0.02, 0.05)

    last = rng.uniform(0.6, 1.0)
    contours = ((0.8, 1.0), (1.0, 1.05), (1.1, 1.2), (1.15, 1.35, 1.25, 0.8))
    syllables = [syllable(*s) for s in zip((0.18, 0.14, 0.2, last), contours, strict=True)]
    return np.concatenate([part for s in syllables for part in (s, silence(0.03))])


@repeated(wood=(700, 1500), rate=(14, 24), gap=(2.0, 4.0), jitter=0.3)
def woodpecker(rng: Generator, wood: float, rate: float) -> Float64Array:
    """Return one drum roll of a woodpecker: fast knocks on wood that fade out."""

    def knock() -> Float64Array:
        m = samples(0.04)
        click = 0.4 * noise(m, rng) * decay(m, 0.01)
        return tone(wood, m, [1, 0.6, 0.3]) * decay(m, 0.035) + click

    m = samples(rng.uniform(0.6, 1.2))
    return repeat(knock, m, rng, 1 / rate, 0.03) * curve([0.7, 1, 0.8, 0.4], m)


@repeated(pitch=(220, 700), size=(0.8, 1.3), gap=(0.3, 0.9), jitter=0.35)
def dog(rng: Generator, pitch: float, size: float) -> Float64Array:
    """Return one bark of a dog."""
    m = samples(rng.uniform(0.1, 0.2))
    voice = oscillate(pitch * curve([0.75, 1.15, 0.8], m), falling(16, 0.7)) + 1.2 * noise(m, rng)
    return formants(voice, (600 * size, 1300 * size, 2400 * size), 0.3) * swell(m, 0.012, 0.09)


@repeated(pitch=(320, 560), gap=(3.5, 6.0), jitter=0.3)
def wolf(rng: Generator, pitch: float) -> Float64Array:
    """Return one howl of a wolf: a rise in pitch, a long steady note and a slow fall."""
    m = samples(rng.uniform(2.0, 4.5))
    vibrato = 1 + 0.012 * sine(rng.uniform(3, 6), m)
    contour = pitch * curve([0.6, 1, 1.05, 1, 0.95, 0.7], m) * vibrato
    return oscillate(contour, [1, 0.45, 0.2, 0.08]) * swell(m, 0.3, 0.6)


@repeated(pitch=(420, 720), gap=(1.2, 2.5), jitter=0.3)
def cat(rng: Generator, pitch: float) -> Float64Array:
    """Return one call of a cat; the formants are those of a mouth that opens and closes."""
    m = samples(rng.uniform(0.5, 1.0))
    voice = oscillate(pitch * curve([0.85, 1.15, 1.1, 0.85], m), falling(12, 0.5))
    voice = voice + 0.05 * noise(m, rng)
    closed, opened = formants(voice, (700, 2300), 0.2), formants(voice, (1300, 2700), 0.25)
    mouth = curve([0, 1, 0.7, 0], m)
    return (closed * (1 - mouth) + opened * mouth) * swell(m, 0.08, 0.2)


@repeated(pitch=(95, 170), gap=(2.5, 4.5), jitter=0.3)
def cow(rng: Generator, pitch: float) -> Float64Array:
    """Return one long, low call of a cow."""
    m = samples(rng.uniform(1.0, 2.2))
    voice = oscillate(pitch * curve([0.9, 1.15, 1.1, 0.85], m), falling(30, 0.6))
    voice = voice + 0.1 * noise(m, rng, 1)
    closed, opened = formants(voice, (280, 900), 0.3), formants(voice, (600, 1100, 2400), 0.3)
    mouth = curve([0, 0.3, 1, 0.8], m)
    return (closed * (1 - mouth) + opened * mouth) * swell(m, 0.2, 0.3)


@repeated(pitch=(230, 420), gap=(1.2, 2.5), jitter=0.4)
def sheep(rng: Generator, pitch: float) -> Float64Array:
    """Return one call of a sheep with a trembling voice."""
    m = samples(rng.uniform(0.5, 1.1))
    tremor = sine(rng.uniform(7, 12), m)
    voice = oscillate(pitch * (1 + 0.06 * tremor), falling(20, 0.4)) + 0.2 * noise(m, rng)
    voice = formants(voice, (800, 1700, 2800), 0.2)
    return voice * (0.65 + 0.35 * tremor) * swell(m, 0.05, 0.15)


@repeated(pitch=(350, 1100), rate=(25, 60), gap=(0.6, 1.3), jitter=0.2)
def frog(rng: Generator, pitch: float, rate: float) -> Float64Array:
    """Return one call of a frog, a fast series of pulses."""

    def pulse() -> Float64Array:
        m = samples(0.03)
        return tone(pitch, m, [1, 0.5, 0.25]) * decay(m, 0.03)

    m = samples(rng.uniform(0.25, 0.6))
    return repeat(pulse, m, rng, 1 / rate, 0.05) * swell(m, 0.05, 0.08)


def cricket(rng: Generator, n: int) -> Float64Array:
    """Return calls of a cricket; each call is a few high pulses."""
    pitch, pulse = rng.uniform(3500, 5500), rng.uniform(0.016, 0.028)
    count = int(rng.integers(2, 6))

    def chirp() -> Float64Array:
        m = samples(pulse * 0.7)
        single = tone(pitch, m, [1, 0.1]) * swell(m, 0.003, 0.004)
        return np.concatenate([single, silence(pulse * 0.3)] * count)

    return repeat(chirp, n, rng, rng.uniform(0.25, 0.7), 0.03)


def bee(rng: Generator, n: int) -> Float64Array:
    """Return the buzz of a bee that flies past, with varying pitch and level."""
    pitch = rng.uniform(170, 260) * (1 + 0.06 * noise(n, rng, 2.0))
    level = np.abs(noise(n, rng, 2.4)) + 0.1
    return oscillate(pitch, falling(20, 0.7)) * level


ANIMALS = (
    *(crow, owl, cuckoo, songbird, duck, rooster, woodpecker),
    *(dog, wolf, cat, cow, sheep, frog, cricket, bee),
)
