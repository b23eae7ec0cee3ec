"""What scenes are made of: synthesised sources, recorded ones, or both."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from audioprobe.audio.augmentation import played
from audioprobe.audio.resample import resample
from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE, samples
from audioprobe.datasets.synthetic.sources import SOURCES
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.types import Clip, ComponentInfo, Float64Array

_SHORTEST, _LONGEST = 0.5, 10.0  # seconds of a source by itself
_SPEEDS = (0.84, 1.19)  # three semitones either way


class Palette(Protocol):
    """Sources to draw from, by the id of their concept."""

    @property
    def info(self) -> ComponentInfo:
        """What its sounds depend on."""
        ...

    @property
    def concepts(self) -> tuple[str, ...]:
        """Ids of what can be heard."""
        ...

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """A source for so many samples at `SAMPLE_RATE`; any loudness."""
        ...

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """A source for as long as it naturally sounds, at most 10 s."""
        ...


class ProceduralPalette:
    """Synthesised sources.

    Args:
        sources: ids of concepts; None is all of `SOURCES`.

    Raises:
        InvalidInputError: for unknown ones, or none.
    """

    def __init__(self, sources: Sequence[str] | None = None) -> None:
        chosen = tuple(SOURCES) if sources is None else tuple(dict.fromkeys(sources))
        unknown = [source for source in chosen if source not in SOURCES]
        if unknown or not chosen:
            raise InvalidInputError(
                f"Unknown sources: {', '.join(unknown) or 'none given'}. There are "
                f"{', '.join(sorted(SOURCES))}."
            )
        self.concepts: tuple[str, ...] = chosen

    @property
    def info(self) -> ComponentInfo:
        """The sources."""
        return ComponentInfo("palette", "procedural", "1", {"sources": self.concepts})

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """As the protocol says."""
        return SOURCES[concept](rng, n)

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """As the protocol says; any length is natural."""
        return self.fill(concept, rng, samples(rng.uniform(_SHORTEST, _LONGEST)))


class RecordedPalette:
    """Recordings with one known source each, faster or slower, once or again and again.

    Clips with several labels, and labels that are no concepts, are left out. Each group of clips
    (a package, a site) is drawn as often as any other, however many clips it has.

    Args:
        dataset: labels are names of concepts.
        split: of the data set; scenes of another split need a palette of their own.

    Raises:
        InvalidInputError: if no clip is left.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        concepts = Concepts.shipped()
        ids = {concept.name: concept.id for concept in concepts}
        self._clips: dict[str, dict[str | None, list[Clip]]] = {}
        for clip in dataset.clips(split):
            if clip.labels is not None and len(clip.labels) == 1 and clip.labels[0] in ids:
                groups = self._clips.setdefault(ids[clip.labels[0]], {})
                groups.setdefault(clip.group, []).append(clip)
        if not self._clips:
            raise InvalidInputError(
                f"{dataset.info.name}, split {split!r}: no clip has exactly one label that is the "
                "name of a concept."
            )
        self.concepts: tuple[str, ...] = tuple(sorted(self._clips))
        self._dataset, self._split = dataset, split
        self._read: dict[str, Float64Array] = {}

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every clip that scenes can be made of, by concept and group."""
        return tuple(
            clip for groups in self._clips.values() for clips in groups.values() for clip in clips
        )

    @property
    def info(self) -> ComponentInfo:
        """The data set and its split."""
        return ComponentInfo(
            "palette", "recorded", "1", {"split": self._split}, {"dataset": self._dataset.info}
        )

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """As the protocol says: a piece of a long recording, a short one once or repeatedly."""
        sound = self._draw(concept, rng)
        if len(sound) >= n:
            first = int(rng.integers(len(sound) - n + 1))
            return sound[first : first + n]
        filled = np.zeros(n)
        once = rng.random() < 0.3
        at = int(rng.integers(n - len(sound) + 1)) if once else 0
        pause = samples(rng.uniform(0.05, 1.5))
        while at < n:
            piece = sound[: n - at]
            filled[at : at + len(piece)] += piece
            at += n if once else len(sound) + int(pause * rng.uniform(0.5, 1.5))
        return filled

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """As the protocol says: the recording."""
        return self._draw(concept, rng)[: samples(_LONGEST)]

    def _draw(self, concept: str, rng: np.random.Generator) -> Float64Array:
        groups = list(self._clips[concept].values())
        clips = groups[int(rng.integers(len(groups)))]
        sound = self._waveform(clips[int(rng.integers(len(clips)))])
        return played(sound, SAMPLE_RATE, rng.uniform(*_SPEEDS))

    def _waveform(self, clip: Clip) -> Float64Array:
        if clip.id not in self._read:
            sound = resample(read_waveform(clip), SAMPLE_RATE).samples
            self._read[clip.id] = sound.astype(np.float64)
        return self._read[clip.id]


class BlendedPalette:
    """Several palettes; a concept that more than one has is drawn from each as often.

    Args:
        palettes: at least one.
    """

    def __init__(self, *palettes: Palette) -> None:
        if not palettes:
            raise InvalidInputError("A blend needs at least one palette.")
        self._palettes = palettes
        known = {name for palette in palettes for name in palette.concepts}
        self.concepts: tuple[str, ...] = tuple(sorted(known))

    @property
    def info(self) -> ComponentInfo:
        """Those of its palettes."""
        parts = {str(n): palette.info for n, palette in enumerate(self._palettes)}
        return ComponentInfo("palette", "blend", "1", {}, parts)

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """As the protocol says."""
        return self._choose(concept, rng).fill(concept, rng, n)

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """As the protocol says."""
        return self._choose(concept, rng).alone(concept, rng)

    def _choose(self, concept: str, rng: np.random.Generator) -> Palette:
        having = [palette for palette in self._palettes if concept in palette.concepts]
        return having[int(rng.integers(len(having)))]
