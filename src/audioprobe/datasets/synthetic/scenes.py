"""Scenes: one to three sources in a place, at a distance, over a background; with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE, band, noise, samples, swell
from audioprobe.datasets.synthetic.palettes import Palette
from audioprobe.types import Float64Array, FloatArray

LOUDEST = 0.95  # peak of a finished scene, at most


@dataclass(frozen=True, slots=True)
class SceneSource:
    """A source in a scene.

    Attributes:
        concept: id of its concept.
        onset: seconds from the beginning of the scene.
        offset: where it ends, seconds.
        level_db: its RMS against that of the loudest source of the scene, at most 0.
    """

    concept: str
    onset: float
    offset: float
    level_db: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A synthetic recording, and what is in it.

    Attributes:
        sound: shape (n_samples,), float32 in [-1, 1], at `SAMPLE_RATE`.
        heard: its sources, by onset.
        snr_db: RMS of all sources against that of the background; infinite where there is none.
    """

    sound: FloatArray
    heard: tuple[SceneSource, ...]
    snr_db: float


def plan(
    rng: np.random.Generator, concepts: Sequence[str], seconds: float
) -> tuple[SceneSource, ...]:
    """Draw when sources are to sound, and how loud; by onset.

    Args:
        rng: everything is drawn from it.
        concepts: ids, all different.
        seconds: length of the scene.
    """
    levels = np.concatenate([[0.0], rng.uniform(-12, 0, len(concepts) - 1)])
    rng.shuffle(levels)
    spans = _spans(rng, len(concepts), seconds)
    heard = [
        SceneSource(concept, samples(onset) / SAMPLE_RATE if onset else 0.0, offset, float(level))
        for concept, (onset, offset), level in zip(concepts, spans, levels, strict=True)
    ]
    return tuple(sorted(heard, key=lambda h: (h.onset, h.concept)))


def make_scene(
    rng: np.random.Generator,
    palette: Palette,
    heard: Sequence[SceneSource],
    seconds: float,
    *,
    snr_db: float,
) -> Scene:
    """Make a scene as it was planned.

    Args:
        rng: everything else is drawn from it.
        palette: what makes the sources.
        heard: the sources, each in the palette.
        seconds: its length.
        snr_db: loudness of the sources against the background.
    """
    n = samples(seconds)
    mixture = np.zeros(n)
    for source in heard:
        first, last = round(source.onset * SAMPLE_RATE), min(n, samples(source.offset))
        own = palette.fill(source.concept, rng, last - first)
        own = own * swell(len(own), 0.02, 0.1) * 10 ** (source.level_db / 20) / _rms(own)
        mixture[first:last] += own
    mixture = _place(rng, mixture)
    background = _background(rng, n)
    background *= _rms(mixture) / _rms(background) * 10 ** (-snr_db / 20)
    return Scene(_finish(rng, mixture + background), tuple(heard), snr_db)


def make_bare(rng: np.random.Generator, palette: Palette, concept: str) -> Scene:
    """Draw one source by itself, for as long as it naturally sounds: no place, no background."""
    sound = palette.alone(concept, rng)
    heard = (SceneSource(concept, 0.0, len(sound) / SAMPLE_RATE, 0.0),)
    return Scene(_finish(rng, sound), heard, np.inf)


def _finish(rng: np.random.Generator, sound: Float64Array) -> FloatArray:
    """At a random level."""
    peak = rng.uniform(0.1, LOUDEST)
    finished: FloatArray = (sound * peak / (np.abs(sound).max() + 1e-12)).astype(np.float32)
    return finished


def _spans(rng: np.random.Generator, n_sources: int, seconds: float) -> list[tuple[float, float]]:
    """When each source sounds: one fills most of the scene, several follow or overlap."""
    if n_sources == 1:
        onset = rng.uniform(0, 0.15) * seconds
        return [(onset, seconds - rng.uniform(0, 0.1) * seconds)]
    width = seconds / n_sources
    overlap = rng.uniform(0, 0.8) * width
    return [
        (
            max(0.0, k * width - overlap * rng.random()),
            min(seconds, (k + 1) * width + overlap * rng.random()),
        )
        for k in range(n_sources)
    ]


def _place(rng: np.random.Generator, sound: Float64Array) -> Float64Array:
    """Distance takes the highs, walls give an echo: exponentially decaying noise."""
    far = rng.random()
    if far > 0.4:
        sound = band(sound, 20, 7900 * (1.2 - far))
    length = rng.uniform(0.1, 1.5)
    n = samples(length)
    echo = noise(n, rng, 0.5) * 10 ** (-3 * np.arange(n) / n)
    echo *= rng.uniform(0.02, 0.5) * (0.3 + far) / np.sqrt((echo**2).sum())
    echo[0] += 1.0
    wet: Float64Array = fftconvolve(sound, echo)[: len(sound)]
    return wet


def _background(rng: np.random.Generator, n: int) -> Float64Array:
    """Noise of some colour, which may swell, and perhaps the hum of mains."""
    floor = noise(n, rng, rng.uniform(0.0, 2.0))
    if rng.random() < 0.5:
        floor *= 0.6 + 0.4 * noise(n, rng, 2.0)
    if rng.random() < 0.2:
        time = np.arange(n) / SAMPLE_RATE
        hum = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3))
        floor += rng.uniform(0.05, 0.3) * hum
    return floor


def _rms(sound: Float64Array) -> float:
    return float(np.sqrt((sound**2).mean())) + 1e-12
