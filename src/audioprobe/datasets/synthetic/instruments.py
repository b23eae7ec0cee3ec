"""Synthesis of musical instruments and bells."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

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
    repeated,
    ring,
    samples,
    sine,
    swell,
    tone,
)
from audioprobe.types import Float64Array

_MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)  # semitones


def _note(rng: Generator, low: float, octaves: int = 1) -> float:
    """Return a random pitch in Hz from a major scale of `octaves` octaves above `low` Hz."""
    semitones = rng.choice(_MAJOR_SCALE) + 12 * rng.integers(0, octaves)
    return float(low * 2 ** (semitones / 12))


@repeated(pitch=(900, 2600), gap=(0.25, 1.5), jitter=0.25)
def bell(rng: Generator, pitch: float) -> Float64Array:
    """Return one stroke of a small bell."""
    m = samples(rng.uniform(0.8, 2.0))
    partials = pitch * np.array([1, 2.0, 2.76, 4.1, 5.4])
    return ring(partials, rng.uniform(0.4, 1.8, 5), (1, 0.5, 0.6, 0.3, 0.25), m)


@repeated(prime=(180, 480), gap=(1.5, 3.0), jitter=0.05)
def church_bell(rng: Generator, prime: float) -> Float64Array:
    """Return one stroke of a church bell: hum, prime, minor third, fifth, octave and more."""
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 3, 4.1])
    modes = np.concatenate([prime * ratios, prime * ratios * rng.uniform(1.001, 1.004, 8)])
    gains = np.tile([0.5, 0.7, 0.6, 0.3, 1, 0.3, 0.4, 0.3], 2)
    return ring(modes, np.tile([9, 6, 5, 4, 3.5, 2, 1.5, 1], 2), gains, samples(5.0))


@repeated(pitch=(45, 75), gap=(0.35, 0.8), jitter=0.05)
def bass_drum(rng: Generator, pitch: float) -> Float64Array:
    """Return one stroke of a bass drum: a low tone with falling pitch, and a click."""
    m = samples(0.4)
    fall = pitch * (1 + 2.5 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.02))
    thump = oscillate(fall, [1, 0.2]) * decay(m, rng.uniform(0.2, 0.5))
    return thump + 0.2 * noise(m, rng) * decay(m, 0.02)


def snare_drum(rng: Generator, n: int) -> Float64Array:
    """Return single strokes or a roll of a snare drum, whose wires rattle."""
    pitch, gap = rng.uniform(160, 260), rng.choice([rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.09)])

    def stroke() -> Float64Array:
        m = samples(0.25)
        head = ring((pitch, 1.6 * pitch), (0.12, 0.1), (1, 0.6), m)
        return head + band(noise(m, rng), 1200, 7800) * decay(m, rng.uniform(0.12, 0.25))

    return repeat(stroke, n, rng, float(gap), 0.08)


@repeated(sizes=(80, 220, 3), gap=(0.2, 0.6), jitter=0.15)
def tom_tom(rng: Generator, sizes: Float64Array) -> Float64Array:
    """Return one stroke of a tom-tom drum of one of three sizes."""
    m, pitch = samples(0.6), rng.choice(sizes)
    fall = pitch * (1 + 0.4 * np.exp(-np.arange(m) / SAMPLE_RATE / 0.05))
    body = oscillate(fall, [1, 0, 0.15]) * decay(m, 0.5)
    head = 0.3 * ring((1.6 * pitch,), (0.25,), (1,), m)
    return body + head + 0.1 * noise(m, rng) * decay(m, 0.02)


@repeated(length=(1.5, 4.0), modes=(300, 7900, 40), gap=(0.8, 3.0), jitter=0.3)
def cymbal(rng: Generator, length: float, modes: Float64Array) -> Float64Array:
    """Return one stroke of a cymbal, which has many high modes."""
    m = samples(length)
    decays = rng.uniform(0.3, 1.0, 40) * length
    shimmer = ring(modes, decays, rng.uniform(0.02, 0.15, 40), m)
    return shimmer + band(noise(m, rng), 2500, 7900) * decay(m, 0.6 * length)


@repeated(kind=(0, 1), gap=(0.3, 0.9), jitter=0.1)
def guitar(rng: Generator, kind: float) -> Float64Array:
    """Return one plucked guitar string, or a chord of three strings."""
    m = samples(1.5)
    ratios = np.array([1, 1.26, 1.5] if kind < 0.4 else [1])
    total = np.zeros(m)
    for k, pitch in enumerate(_note(rng, 110) * ratios):
        total += np.roll(pluck(float(pitch), m, rng, 1.6), k * samples(0.02))
    return total


@repeated(low=(130, 262), gap=(0.2, 0.7), jitter=0.15)
def piano(rng: Generator, low: float) -> Float64Array:
    """Return one piano note with slightly stretched partials; high partials decay faster."""
    m, pitch = samples(1.8), _note(rng, low, 2)
    k = np.arange(1, 13)
    partials = pitch * k * np.sqrt(1 + 0.0004 * k**2)
    return ring(partials, 2.5 / k**0.7, k**-1.2, m) + 0.05 * noise(m, rng, 1) * decay(m, 0.05)


def _melody(
    rng: Generator,
    n: int,
    low: float,
    gap: float,
    voice: Callable[[float, int], Float64Array],
) -> Float64Array:
    """Return n samples of random notes from a major scale, with one note every `gap` seconds.

    `low` is the lowest pitch of the scale in Hz. `voice` returns one note; its arguments are the
    pitch in Hz and the number of samples.
    """

    def note() -> Float64Array:
        m = samples(gap * rng.uniform(0.8, 1.0))
        return voice(_note(rng, low), m)

    return repeat(note, n, rng, gap, 0.02)


def _vibrato(pitch: float, m: int, rate: float, depth: float) -> Float64Array:
    """Return a pitch curve in Hz with a vibrato that grows in the first 0.2 s."""
    onset = np.minimum(1, np.arange(m) / SAMPLE_RATE / 0.2)
    contour: Float64Array = pitch * (1 + depth * onset * sine(rate, m))
    return contour


def flute(rng: Generator, n: int) -> Float64Array:
    """Return a melody of a flute: nearly pure tones with breath noise."""
    rate, breath = rng.uniform(4.5, 6), rng.uniform(0.05, 0.15)

    def voice(pitch: float, m: int) -> Float64Array:
        pure = oscillate(_vibrato(pitch, m, rate, 0.006), [1, 0.25, 0.1, 0.04])
        return (pure + breath * band(noise(m, rng), pitch, 6000)) * swell(m, 0.06, 0.08)

    return _melody(rng, n, rng.uniform(440, 620), rng.uniform(0.3, 0.9), voice)


def violin(rng: Generator, n: int) -> Float64Array:
    """Return a melody of a violin, with resonances of the body and vibrato."""
    body = rng.uniform(0.9, 1.1) * np.array([280, 460, 950, 2600])
    rate = rng.uniform(5, 7)

    def voice(pitch: float, m: int) -> Float64Array:
        string = oscillate(_vibrato(pitch, m, rate, 0.012), falling(20, 0.9)) + 0.04 * noise(m, rng)
        return formants(string, body.tolist(), 0.4) * swell(m, 0.1, 0.12)

    return _melody(rng, n, rng.uniform(196, 440), rng.uniform(0.4, 1.2), voice)


def trumpet(rng: Generator, n: int) -> Float64Array:
    """Return a melody of a trumpet; louder notes have stronger high harmonics."""

    def voice(pitch: float, m: int) -> Float64Array:
        envelope = swell(m, 0.04, 0.06)
        contour = _vibrato(pitch, m, 5, 0.004)
        dull, bright = oscillate(contour, falling(8, 1.2)), oscillate(contour, falling(16, 0.3))
        return formants(dull + envelope**2 * bright, (1200, 2300), 0.5) * envelope

    return _melody(rng, n, rng.uniform(233, 350), rng.uniform(0.25, 0.7), voice)


@repeated(stops=(0.2, 1, 6), gap=(0.9, 2.0), jitter=0.02)
def organ(rng: Generator, stops: Float64Array) -> Float64Array:
    """Return one steady chord of organ pipes."""
    m, root = samples(rng.uniform(0.9, 2.2)), _note(rng, rng.uniform(98, 196))
    weights = [stops[0], stops[1], stops[2], stops[3], 0, stops[4], 0, stops[5]]
    pipes = sum(
        tone(root * ratio * detune, m, weights)
        for ratio in (1, 1.26, 1.5, 2)
        for detune in (1, 1.003)
    )
    return pipes * swell(m, 0.05, 0.08) * curve([1, 1], m)


@repeated(low=(520, 800), gap=(0.12, 0.4), jitter=0.1)
def xylophone(rng: Generator, low: float) -> Float64Array:
    """Return one stroke of a xylophone: fundamental and twelfth with fast decay."""
    m, pitch = samples(0.5), _note(rng, low, 2)
    return ring((pitch, 3 * pitch, 6.2 * pitch), (0.4, 0.2, 0.08), (1, 0.4, 0.2), m)


@repeated(gap=(0.13, 0.3), jitter=0.08)
def maraca(rng: Generator) -> Float64Array:
    """Return one shake of a maraca (rattle)."""
    m = samples(rng.uniform(0.06, 0.12))
    return band(noise(m, rng), 3500, 7900) * swell(m, 0.03, 0.05)


INSTRUMENTS = (
    *(bell, church_bell, bass_drum, snare_drum, tom_tom, cymbal, guitar, piano),
    *(flute, violin, trumpet, organ, xylophone, maraca),
)
