"""Palettes, which are sets of synthesised or recorded sources for synthetic scenes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

from audioprobe.audio.transforms import change_speed, resample
from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic.animals import ANIMALS
from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE, Source, samples
from audioprobe.datasets.synthetic.instruments import INSTRUMENTS
from audioprobe.datasets.synthetic.machines import MACHINES
from audioprobe.datasets.synthetic.nature import NATURE
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.types import Clip, ComponentInfo, Float64Array

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.__name__.replace("_", "-"): source
        for source in (*ANIMALS, *NATURE, *MACHINES, *INSTRUMENTS)
    }
)
"""Functions that synthesise a sound source, by the id of its concept."""

_SHORTEST, _LONGEST = 0.5, 10.0  # seconds of an isolated source
_SPEEDS = (0.84, 1.19)  # three semitones down and up


class Palette(Protocol):
    """Interface of a set of sources; each source is named by the id of its concept."""

    @property
    def info(self) -> ComponentInfo:
        """Everything that determines the sounds, recorded in results."""
        ...

    @property
    def concepts(self) -> tuple[str, ...]:
        """Ids of the concepts for which there are sources."""
        ...

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Render n samples of a source at `SAMPLE_RATE`, at an arbitrary level."""
        ...

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Render a source with its natural length, which is at most 10 s."""
        ...


class ProceduralPalette:
    """Set of sound sources that code synthesises.

    Args:
        sources: ids of the concepts to synthesise; None means all of `SOURCES`.

    Raises:
        InvalidInputError: for unknown sources, or an empty list.
    """

    def __init__(self, sources: Sequence[str] | None = None) -> None:
        self.concepts = tuple(SOURCES) if sources is None else tuple(dict.fromkeys(sources))
        unknown = [source for source in self.concepts if source not in SOURCES]
        if unknown or not self.concepts:
            raise InvalidInputError(
                f"Expected sources among {', '.join(sorted(SOURCES))}, got "
                f"{', '.join(unknown) or 'none'}."
            )

    @property
    def info(self) -> ComponentInfo:
        """The ids of the sources."""
        return ComponentInfo("palette", "procedural", "1", {"sources": self.concepts})

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Render n samples of a source."""
        return SOURCES[concept](rng, n)

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Render a source with a random length."""
        return self.fill(concept, rng, samples(rng.uniform(_SHORTEST, _LONGEST)))


class RecordedPalette:
    """Palette of recordings with one label each, played at random speeds, once or repeatedly.

    Clips with several labels, and clips whose label is not a concept, are skipped. A group of clips
    is, for example, a package or a recording site; all groups of a concept have the same
    probability, regardless of their number of clips.

    Args:
        dataset: a data set whose labels are names of concepts.
        split: split of the data set; use a separate palette for each split of the scenes.

    Raises:
        InvalidInputError: if no clip remains.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        ids = {concept.name: concept.id for concept in Concepts.shipped()}
        self._clips: dict[str, dict[str | None, list[Clip]]] = {}
        for clip in dataset.clips(split):
            if clip.labels is not None and len(clip.labels) == 1 and clip.labels[0] in ids:
                groups = self._clips.setdefault(ids[clip.labels[0]], {})
                groups.setdefault(clip.group, []).append(clip)
        if not self._clips:
            raise InvalidInputError(
                f"{dataset.info.name}, split {split!r}: expected clips with exactly one label that "
                "is the name of a concept, got none."
            )
        self.concepts = tuple(sorted(self._clips))
        self._dataset, self._split = dataset, split
        self._waveforms: dict[str, Float64Array] = {}

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips that scenes may contain, ordered by concept and group."""
        return tuple(
            clip for groups in self._clips.values() for clips in groups.values() for clip in clips
        )

    @property
    def info(self) -> ComponentInfo:
        """The split, with the data set as a part."""
        return ComponentInfo(
            "palette", "recorded", "1", {"split": self._split}, {"dataset": self._dataset.info}
        )

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Return n samples: part of a long recording, or a short recording once or repeatedly."""
        sound = self._draw(concept, rng)
        if len(sound) >= n:
            first = int(rng.integers(len(sound) - n + 1))
            return sound[first : first + n]
        filled = np.zeros(n)
        once = rng.random() < 0.3
        onset = int(rng.integers(n - len(sound) + 1)) if once else 0
        pause = samples(rng.uniform(0.05, 1.5))
        while onset < n:
            piece = sound[: n - onset]
            filled[onset : onset + len(piece)] += piece
            onset += n if once else len(sound) + int(pause * rng.uniform(0.5, 1.5))
        return filled

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Return a recording, truncated to 10 s."""
        return self._draw(concept, rng)[: samples(_LONGEST)]

    def _draw(self, concept: str, rng: np.random.Generator) -> Float64Array:
        groups = list(self._clips[concept].values())
        clips = groups[int(rng.integers(len(groups)))]
        clip = clips[int(rng.integers(len(clips)))]
        if clip.id not in self._waveforms:
            waveform = resample(read_waveform(clip), SAMPLE_RATE)
            self._waveforms[clip.id] = waveform.samples.astype(np.float64)
        return change_speed(self._waveforms[clip.id], SAMPLE_RATE, rng.uniform(*_SPEEDS))


class BlendedPalette:
    """Union of several palettes.

    If several palettes have a concept, each of them is used with the same probability.

    Args:
        palettes: at least one palette.
    """

    def __init__(self, *palettes: Palette) -> None:
        if not palettes:
            raise InvalidInputError("Expected at least one palette, got none.")
        self._palettes = palettes
        self.concepts = tuple(sorted({name for palette in palettes for name in palette.concepts}))

    @property
    def info(self) -> ComponentInfo:
        """The palettes as parts."""
        parts = {str(n): palette.info for n, palette in enumerate(self._palettes)}
        return ComponentInfo("palette", "blend", "1", {}, parts)

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Render n samples of a source from one of its palettes."""
        return self._choose(concept, rng).fill(concept, rng, n)

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Render a source from one of its palettes, with its natural length."""
        return self._choose(concept, rng).alone(concept, rng)

    def _choose(self, concept: str, rng: np.random.Generator) -> Palette:
        candidates = [palette for palette in self._palettes if concept in palette.concepts]
        return candidates[int(rng.integers(len(candidates)))]
