"""Palettes: sets of sound sources for synthetic scenes, synthesised or recorded."""

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
from audioprobe.types import Clip, ComponentInfo, Float64Array, InfoRepr, Option

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.__name__.replace("_", "-"): source
        for source in (*ANIMALS, *NATURE, *MACHINES, *INSTRUMENTS)
    }
)
"""Functions that synthesise sound sources, keyed by concept id."""

_SHORTEST, _LONGEST = 0.5, 10.0  # seconds of an isolated source
_SPEEDS = (0.84, 1.19)  # three semitones down and up


class Palette(Protocol):
    """Interface of a palette, which renders the sounds of a set of concepts for scenes.

    Concepts are identified by their ids, such as "dog" or "church-bell".
    """

    @property
    def info(self) -> ComponentInfo:
        """Name and options that determine the sounds; stored in results."""
        ...

    @property
    def concepts(self) -> tuple[str, ...]:
        """Ids of the concepts whose sounds the palette can render."""
        ...

    def render(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Return n samples of a concept's sound at `SAMPLE_RATE`; scenes set the level."""
        ...

    def render_isolated(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Return a concept's sound with its natural length, at most 10 s."""
        ...


class ProceduralPalette(InfoRepr):
    """Palette of synthesised sounds.

    Args:
        sources: ids of the concepts to synthesise; None means all concepts in `SOURCES`.

    Raises:
        InvalidInputError: for unknown ids, or an empty list.
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
        """Name of the palette, and ids of its concepts; stored in results."""
        return ComponentInfo("palette", "procedural", "1", {"sources": self.concepts})

    def render(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Synthesise n samples of a concept's sound."""
        return SOURCES[concept](rng, n)

    def render_isolated(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Synthesise a concept's sound with a random length from 0.5 to 10 s."""
        return self.render(concept, rng, samples(rng.uniform(_SHORTEST, _LONGEST)))


class RecordedPalette(InfoRepr):
    """Palette of recordings, played at random speeds, once or repeatedly.

    Clips with several labels, and clips whose label is not the name of a concept, are not used. All
    groups of clips (such as recording sites) of a concept have the same probability, regardless of
    their number of clips.

    Args:
        dataset: a data set whose labels are names of concepts.
        split: split of the data set; use a separate palette for each split of the scenes.

    Raises:
        InvalidInputError: if the split has no usable clip.
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
                "is the name of a shipped concept, got none. Rename the labels, for example with "
                "RelabelledDataset."
            )
        self.concepts = tuple(sorted(self._clips))
        self._dataset, self._split = dataset, split
        self._waveforms: dict[str, Float64Array] = {}

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Clips that may be played in scenes, ordered by concept, then by group."""
        return tuple(
            clip for groups in self._clips.values() for clips in groups.values() for clip in clips
        )

    @property
    def info(self) -> ComponentInfo:
        """Name of the palette, split, and `info` of the data set; stored in results."""
        return ComponentInfo(
            "palette", "recorded", "1", {"split": self._split}, {"dataset": self._dataset.info}
        )

    def render(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Return n samples of a random recording of a concept.

        If the recording is longer, return a random part. A shorter recording is played once at a
        random time, or repeatedly; pauses are silent.
        """
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

    def render_isolated(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Return a random recording of a concept, cut after 10 s."""
        return self._draw(concept, rng)[: samples(_LONGEST)]

    def _draw(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Return a random recording of a concept, at a random speed."""
        groups = list(self._clips[concept].values())
        clips = groups[int(rng.integers(len(groups)))]
        clip = clips[int(rng.integers(len(clips)))]
        if clip.id not in self._waveforms:
            waveform = resample(read_waveform(clip), SAMPLE_RATE)
            self._waveforms[clip.id] = waveform.samples.astype(np.float64)
        return change_speed(self._waveforms[clip.id], SAMPLE_RATE, rng.uniform(*_SPEEDS))


class BlendedPalette(InfoRepr):
    """Palette with the concepts of several palettes.

    If several palettes have a concept, each sound comes from one of them, chosen at random.

    Args:
        palettes: at least one palette.
        weights: relative probability of each palette, at least 0; None means equal probabilities.
            The only palette that has a concept is always used for it.
    """

    def __init__(self, *palettes: Palette, weights: Sequence[float] | None = None) -> None:
        if not palettes:
            raise InvalidInputError("Expected at least one palette, got none. Add a palette.")
        self._palettes = palettes
        self._weights = tuple(weights or (1.0,) * len(palettes))
        if len(self._weights) != len(palettes) or min(self._weights) < 0:
            raise InvalidInputError(
                f"Expected {len(palettes)} weights (one per palette) of at least 0, got "
                f"{self._weights}."
            )
        self.concepts = tuple(sorted({name for palette in palettes for name in palette.concepts}))

    @property
    def info(self) -> ComponentInfo:
        """Name, weights if they differ, and `info` of each palette; stored in results."""
        parts = {str(n): palette.info for n, palette in enumerate(self._palettes)}
        listed = ", ".join(f"{weight:g}" for weight in self._weights)
        options: dict[str, Option] = {"weights": listed} if len(set(self._weights)) > 1 else {}
        return ComponentInfo("palette", "blend", "1", options, parts)

    def render(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        """Return n samples of a concept's sound from a random palette that has the concept."""
        return self._choose(concept, rng).render(concept, rng, n)

    def render_isolated(self, concept: str, rng: np.random.Generator) -> Float64Array:
        """Return a concept's sound with its natural length, at most 10 s.

        The sound comes from a random palette that has the concept.
        """
        return self._choose(concept, rng).render_isolated(concept, rng)

    def _choose(self, concept: str, rng: np.random.Generator) -> Palette:
        """Return a random palette that has a concept."""
        candidates = [n for n, palette in enumerate(self._palettes) if concept in palette.concepts]
        weights = np.array([self._weights[n] for n in candidates])
        if len(set(weights.tolist())) == 1:  # includes a single palette of weight 0
            return self._palettes[candidates[int(rng.integers(len(candidates)))]]
        return self._palettes[int(rng.choice(candidates, p=weights / weights.sum()))]
