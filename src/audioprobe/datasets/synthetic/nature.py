"""Synthesis of weather, water, fire and human sounds."""

import numpy as np
from numpy.random import Generator

from audioprobe.datasets.synthetic.blocks import (
    band,
    curve,
    decay,
    noise,
    oscillate,
    repeat,
    repeated,
    samples,
    scatter,
    silence,
    sine,
    swell,
)
from audioprobe.types import Float64Array


def rain(rng: Generator, n: int) -> Float64Array:
    """Return rain: noise of distant drops, and single drops nearby."""

    def drop() -> Float64Array:
        m = samples(0.02)
        return band(noise(m, rng), 1500, 7500) * decay(m, rng.uniform(0.008, 0.02))

    hiss = band(noise(n, rng, rng.uniform(0.0, 0.6)), 400, 7800)
    return rng.uniform(0.15, 0.5) * hiss + 0.8 * scatter(drop, n, rng, rng.uniform(20, 120))


def wind(rng: Generator, n: int) -> Float64Array:
    """Return wind: low noise of varying level, with a whistle when it is strong."""
    gust = np.clip(0.4 + 0.8 * noise(n, rng, 2.6), 0.05, None)
    low = band(noise(n, rng, 1.2), 40, rng.uniform(400, 900))
    whistle = rng.uniform(500, 1800)
    high = band(noise(n, rng), whistle, whistle * rng.uniform(1.1, 1.5))
    return gust * low + rng.uniform(0.05, 0.4) * gust**2 * high


@repeated(gap=(4.0, 7.0), jitter=0.3)
def thunder(rng: Generator) -> Float64Array:
    """Return one thunder: a crack of random level, then low noise that fades."""
    m = samples(rng.uniform(3.0, 6.0))
    level = np.abs(noise(m, rng, 2.2)) + 0.2
    rumble = band(noise(m, rng, 1.6), 25, rng.uniform(150, 350))
    rumble = rumble * level * curve([0.5, 1, 0.6, 0.3, 0], m)
    crack = band(noise(m, rng), 200, 5000) * decay(m, rng.uniform(0.4, 1.2))
    return 3 * rumble + rng.uniform(0, 1.2) * crack


def stream(rng: Generator, n: int) -> Float64Array:
    """Return running water: bubbles (short tones with rising pitch) and noise."""

    def bubble() -> Float64Array:
        m = samples(rng.uniform(0.02, 0.07))
        pitch = rng.uniform(400, 2500)
        rise = oscillate(pitch * curve([1, rng.uniform(1.05, 1.5)], m), [1])
        return rise * decay(m, rng.uniform(0.02, 0.07))

    murmur = band(noise(n, rng, 0.8), 200, 5000)
    return scatter(bubble, n, rng, rng.uniform(60, 160)) + rng.uniform(0.2, 0.6) * murmur


def surf(rng: Generator, n: int) -> Float64Array:
    """Return sea waves that break every few seconds and then fade."""

    def wave() -> Float64Array:
        m = samples(rng.uniform(4.0, 7.0))
        level = curve([0, 0.25, 1, 0.6, 0.3, 0], m) ** 1.5
        deep, foam = band(noise(m, rng, 1.0), 60, 900), band(noise(m, rng), 900, 7500)
        return level * (deep + curve([0.05, 0.2, 0.8, 1, 0.8, 0.3], m) * 0.7 * foam)

    return repeat(wave, n, rng, rng.uniform(3.5, 6.0), 0.3) + 0.03 * noise(n, rng, 1)


def fire(rng: Generator, n: int) -> Float64Array:
    """Return a fire: crackles over low noise."""

    def crackle() -> Float64Array:
        m = samples(0.015)
        burst = band(noise(m, rng), rng.uniform(800, 3000), 7800)
        return burst * decay(m, rng.uniform(0.003, 0.012))

    roar = band(noise(n, rng, 1.0), 40, 500) * (1 + 0.5 * noise(n, rng, 2.0))
    return 1.5 * scatter(crackle, n, rng, rng.uniform(8, 40)) + rng.uniform(0.1, 0.4) * roar


def applause(rng: Generator, n: int) -> Float64Array:
    """Return the claps of many hands; each pair of hands has a rhythm of its own."""
    total = np.zeros(n)
    for _ in range(int(rng.integers(8, 25))):
        centre = rng.uniform(900, 2500)

        def clap(centre: float = centre) -> Float64Array:
            m = samples(0.03)
            return band(noise(m, rng), 0.6 * centre, 1.8 * centre) * decay(m, 0.025)

        total += rng.uniform(0.3, 1) * repeat(clap, n, rng, rng.uniform(0.2, 0.35), 0.25)
    return total * swell(n, rng.uniform(0.2, 1.0), rng.uniform(0.5, 1.5))


@repeated(hardness=(0, 1), gap=(0.38, 0.75), jitter=0.06)
def footstep(rng: Generator, hardness: float) -> Float64Array:
    """Return one step on a hard or soft floor: the heel, then the sole."""
    m, delay = samples(0.18), samples(0.06)
    heel = band(noise(m, rng, 1.0), 60, 300 + 900 * hardness) * decay(m, 0.08)
    sole = band(noise(m, rng), 500, 2000 + 5000 * hardness) * np.roll(decay(m, 0.05), delay)
    sole[:delay] = 0
    return 1.5 * heel + rng.uniform(0.2, 0.5) * sole


def heart(rng: Generator, n: int) -> Float64Array:
    """Return heartbeats; each beat consists of two dull sounds."""
    pitch = rng.uniform(35, 65)

    def beat() -> Float64Array:
        m = samples(0.12)
        first = oscillate(pitch * curve([1.3, 1], m), [1, 0.5, 0.2]) * swell(m, 0.02, 0.08)
        second = oscillate(1.2 * pitch * curve([1.3, 1], m), [1, 0.5]) * swell(m, 0.02, 0.06)
        return np.concatenate([first, silence(0.12), 0.7 * second])

    return repeat(beat, n, rng, rng.uniform(0.6, 1.1), 0.03) + 0.01 * band(noise(n, rng), 30, 200)


@repeated(rattle=(25, 70), gap=(3.0, 4.0), jitter=0.1)
def snoring(rng: Generator, rattle: float) -> Float64Array:
    """Return one breath of a snoring person: inhaling with a rattle, then exhaling."""
    m = samples(rng.uniform(1.0, 1.6))
    pulse = np.maximum(0, sine(rattle, m)) ** 3
    inhale = band(noise(m, rng, 0.8), 100, 1500) * pulse * swell(m, 0.4, 0.3)
    exhale = 0.25 * band(noise(m, rng, 0.4), 300, 3000) * swell(m, 0.2, 0.6)
    return np.concatenate([inhale, exhale])


NATURE = (rain, wind, thunder, stream, surf, fire, applause, footstep, heart, snoring)
