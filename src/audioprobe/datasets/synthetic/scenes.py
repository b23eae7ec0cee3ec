"""Scenes: mixtures of sound sources in a simulated room, with background noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE, band, noise, samples, swell
from audioprobe.datasets.synthetic.palettes import Palette
from audioprobe.types import Float64Array, FloatArray

MAX_PEAK = 0.95
"""Largest absolute sample value of a scene."""


@dataclass(frozen=True, slots=True)
class SceneSource:
    """A sound source in a scene.

    Attributes:
        concept: id of the concept that sounds, such as "dog".
        onset: seconds from the beginning of the scene.
        offset: end of the source, in seconds from the beginning of the scene.
        level_db: RMS level in dB relative to the loudest source of the scene; at most 0.
    """

    concept: str
    onset: float
    offset: float
    level_db: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A synthetic recording with its sources.

    Attributes:
        sound: samples at `SAMPLE_RATE`, shape (n_samples,), float32 in [-1, 1].
        sources: sources in the scene, sorted by onset.
        snr_db: RMS level of the mixture of all sources relative to the background noise, in dB;
            infinite without background noise.
    """

    sound: FloatArray
    sources: tuple[SceneSource, ...]
    snr_db: float


def plan_scene(
    rng: np.random.Generator, concepts: Sequence[str], seconds: float
) -> tuple[SceneSource, ...]:
    """Draw times and levels of sources in a scene, and return the sources sorted by onset.

    `concepts` has the concept id of each source, without repetitions. `seconds` is the length of
    the scene.
    """
    levels = np.concatenate([[0.0], rng.uniform(-12, 0, len(concepts) - 1)])
    rng.shuffle(levels)
    spans = _draw_spans(rng, len(concepts), seconds)
    sources = [
        SceneSource(concept, samples(onset) / SAMPLE_RATE if onset else 0.0, offset, float(level))
        for concept, (onset, offset), level in zip(concepts, spans, levels, strict=True)
    ]
    return tuple(sorted(sources, key=lambda source: (source.onset, source.concept)))


def render_scene(
    rng: np.random.Generator,
    palette: Palette,
    sources: Sequence[SceneSource],
    seconds: float,
    *,
    snr_db: float,
) -> Scene:
    """Render a scene: the sounds of `sources` in a simulated room, with background noise.

    `seconds` is the length of the scene. `snr_db` is the RMS level of the mixture of all sources,
    relative to the background noise.
    """
    n = samples(seconds)
    mixture = np.zeros(n)
    for source in sources:
        first, last = round(source.onset * SAMPLE_RATE), min(n, samples(source.offset))
        sound = palette.render(source.concept, rng, last - first)
        level = 10 ** (source.level_db / 20)
        mixture[first:last] += sound * swell(len(sound), 0.02, 0.1) * level / _rms(sound)
    mixture = _add_room(rng, mixture)
    background = _background(rng, n)
    background *= _rms(mixture) / _rms(background) * 10 ** (-snr_db / 20)
    return Scene(_normalized(rng, mixture + background), tuple(sources), snr_db)


def render_isolated_scene(rng: np.random.Generator, palette: Palette, concept: str) -> Scene:
    """Render a scene of one source with its natural length, without room and background noise."""
    sound = palette.render_isolated(concept, rng)
    source = SceneSource(concept, 0.0, len(sound) / SAMPLE_RATE, 0.0)
    return Scene(_normalized(rng, sound), (source,), np.inf)


def _normalized(rng: np.random.Generator, sound: Float64Array) -> FloatArray:
    """Scale a sound to a random peak amplitude between 0.1 and `MAX_PEAK`."""
    peak = rng.uniform(0.1, MAX_PEAK)
    scaled: FloatArray = (sound * peak / (np.abs(sound).max() + 1e-12)).astype(np.float32)
    return scaled


def _draw_spans(
    rng: np.random.Generator, n_sources: int, seconds: float
) -> list[tuple[float, float]]:
    """Draw onset and offset of each source in seconds.

    A single source lasts for most of the scene. Several sources follow each other or overlap.
    """
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


def _add_room(rng: np.random.Generator, sound: Float64Array) -> Float64Array:
    """Simulate a room: attenuate high frequencies with distance, and add a decaying echo."""
    distance = rng.random()
    if distance > 0.4:
        sound = band(sound, 20, 7900 * (1.2 - distance))
    n = samples(rng.uniform(0.1, 1.5))
    echo = noise(n, rng, 0.5) * 10 ** (-3 * np.arange(n) / n)
    echo *= rng.uniform(0.02, 0.5) * (0.3 + distance) / np.sqrt((echo**2).sum())
    echo[0] += 1.0
    wet: Float64Array = fftconvolve(sound, echo)[: len(sound)]
    return wet


def _background(rng: np.random.Generator, n: int) -> Float64Array:
    """Return noise with a random spectral slope, sometimes with varying level or mains hum."""
    background = noise(n, rng, rng.uniform(0.0, 2.0))
    if rng.random() < 0.5:
        background *= 0.6 + 0.4 * noise(n, rng, 2.0)
    if rng.random() < 0.2:
        time = np.arange(n) / SAMPLE_RATE
        hum = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3))
        background += rng.uniform(0.05, 0.3) * hum
    return background


def _rms(sound: Float64Array) -> float:
    """Return the root mean square of the samples."""
    return float(np.sqrt((sound**2).mean())) + 1e-12
