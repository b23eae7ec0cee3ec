"""A data set of synthetic scenes, made when they are asked for."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic.blocks import RATE
from audioprobe.datasets.synthetic.scenes import Scene, make_scene
from audioprobe.datasets.synthetic.sources import SOURCES
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo, Option, Waveform

SPLITS = ("train", "validation", "test")
REVISION = "1"  # goes up with every change to what is heard


class _Scenes(Sequence[Clip]):
    """Clips that are made when they are asked for, so that memory holds one."""

    def __init__(self, n_clips: int, make: Callable[[int], Clip]) -> None:
        self._numbers = range(n_clips)
        self._make = make

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, which: int) -> Clip: ...
    @overload
    def __getitem__(self, which: slice) -> list[Clip]: ...
    def __getitem__(self, which: int | slice) -> Clip | list[Clip]:
        if isinstance(which, slice):
            return [self._make(number) for number in self._numbers[which]]
        return self._make(self._numbers[which])


class Synthetic:
    """Scenes of everyday sources, synthesised: an endless supply of sound that is fully known.

    A scene follows from seed, split and number alone: never from the order or number of scenes that
    were made. No scene is in two splits.

    Args:
        n_clips: scenes per split.
        most: sources in a scene, from 1 to so many.
        sources: ids of concepts to choose from; None is all of `SOURCES`.
        seconds: length of a scene.
        snr_db: range from which the loudness of sources against the background is drawn.
        seed: another seed is another data set.

    Raises:
        InvalidInputError: for unknown sources, or numbers that make no sense.
    """

    def __init__(
        self,
        *,
        n_clips: int = 1000,
        most: int = 3,
        sources: Sequence[str] | None = None,
        seconds: float = 10.0,
        snr_db: tuple[float, float] = (0.0, 40.0),
        seed: int = 0,
    ) -> None:
        chosen = tuple(SOURCES) if sources is None else tuple(dict.fromkeys(sources))
        unknown = [source for source in chosen if source not in SOURCES]
        if unknown or not chosen:
            raise InvalidInputError(
                f"Unknown sources: {', '.join(unknown) or 'none given'}. There are "
                f"{', '.join(sorted(SOURCES))}."
            )
        if n_clips < 1 or not 1 <= most <= len(chosen) or seconds < 1 or snr_db[0] > snr_db[1]:
            raise InvalidInputError(
                "Need n_clips >= 1, 1 <= most <= number of sources, seconds >= 1 and a rising "
                f"range of snr_db, got {n_clips}, {most}, {seconds} and {snr_db}."
            )
        self._n_clips = n_clips
        self._most = most
        self._sources = chosen
        self._seconds = seconds
        self._snr_db = snr_db
        self._seed = seed

    @property
    def info(self) -> ComponentInfo:
        """What a scene depends on."""
        options: dict[str, Option] = {
            "n_clips": self._n_clips,
            "most": self._most,
            "sources": self._sources,
            "seconds": self._seconds,
            "snr_db": f"{self._snr_db[0]:g} to {self._snr_db[1]:g}",
            "seed": self._seed,
        }
        return ComponentInfo("dataset", "synthetic", REVISION, options)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts, in the order of the sources."""
        concepts = Concepts.shipped()
        return tuple(concepts[source].name for source in self._sources)

    @property
    def splits(self) -> tuple[str, ...]:
        """Training, validation and test."""
        return SPLITS

    def clips(self, split: str = "train") -> Sequence[Clip]:
        """Scenes as clips, each made whenever it is asked for; their sources are the labels.

        Raises:
            InvalidInputError: for an unknown split.
        """
        self._check(split)
        return _Scenes(self._n_clips, lambda number: self._clip(split, number))

    def scene(self, split: str, number: int) -> Scene:
        """One scene, with times and levels of its sources.

        Args:
            split: one of `splits`.
            number: from 0; not bounded by `n_clips`.

        Raises:
            InvalidInputError: for an unknown split, or a number below 0.
        """
        self._check(split)
        if number < 0:
            raise InvalidInputError(f"Scenes are numbered from 0, got {number}.")
        rng = np.random.default_rng([self._seed, SPLITS.index(split), number])
        n_sources = int(rng.integers(1, self._most + 1))
        chosen = rng.choice(len(self._sources), n_sources, replace=False)
        concepts = [self._sources[k] for k in chosen]
        return make_scene(rng, concepts, self._seconds, snr_db=float(rng.uniform(*self._snr_db)))

    def _clip(self, split: str, number: int) -> Clip:
        scene = self.scene(split, number)
        names = dict(zip(self._sources, self.labels, strict=True))
        return Clip(
            id=f"{split}-{number:06d}",
            waveform=Waveform(scene.sound, RATE),
            labels=tuple(names[heard.concept] for heard in scene.heard),
        )

    def _check(self, split: str) -> None:
        if split not in SPLITS:
            raise InvalidInputError(
                f"Synthetic scenes have the splits {', '.join(SPLITS)}, got {split!r}."
            )
