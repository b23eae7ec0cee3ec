"""A data set of synthetic scenes, made when they are asked for."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE
from audioprobe.datasets.synthetic.palettes import Palette, ProceduralPalette
from audioprobe.datasets.synthetic.scenes import Scene, SceneSource, make_bare, make_scene, plan
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo, Option, Waveform

SPLITS = ("train", "validation", "test")
REVISION = "2"  # goes up with every change to what is heard


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
        palette: what scenes are made of; ids of concepts choose among the synthesised sources, and
            None takes all of these.
        seconds: length of a scene.
        bare: share of scenes that are one source alone, for as long as it naturally sounds.
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
        palette: Palette | Sequence[str] | None = None,
        seconds: float = 10.0,
        bare: float = 0.0,
        snr_db: tuple[float, float] = (0.0, 40.0),
        seed: int = 0,
    ) -> None:
        if palette is None or isinstance(palette, Sequence):
            palette = ProceduralPalette(palette)
        n_concepts = len(palette.concepts)
        if n_clips < 1 or not 1 <= most <= n_concepts or seconds < 1 or snr_db[0] > snr_db[1]:
            raise InvalidInputError(
                "Need n_clips >= 1, 1 <= most <= number of sources, seconds >= 1 and a rising "
                f"range of snr_db, got {n_clips}, {most}, {seconds} and {snr_db}."
            )
        if not 0 <= bare <= 1:
            raise InvalidInputError(f"bare is a share, from 0 to 1, got {bare}.")
        self._n_clips = n_clips
        self._most = most
        self.palette: Palette = palette
        self._seconds = seconds
        self._bare = bare
        self._snr_db = snr_db
        self._seed = seed

    @property
    def info(self) -> ComponentInfo:
        """What a scene depends on."""
        options: dict[str, Option] = {
            "n_clips": self._n_clips,
            "most": self._most,
            "seconds": self._seconds,
            "bare": self._bare,
            "snr_db": f"{self._snr_db[0]:g} to {self._snr_db[1]:g}",
            "seed": self._seed,
        }
        return ComponentInfo(
            "dataset", "synthetic", REVISION, options, {"palette": self.palette.info}
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts, in the order of the palette."""
        concepts = Concepts.shipped()
        return tuple(concepts[name].name for name in self.palette.concepts)

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
        return _Scenes(self._n_clips, partial(self._clip, split))

    def scene(self, split: str, number: int) -> Scene:
        """One scene, with times and levels of its sources.

        Args:
            split: one of `splits`.
            number: from 0; not bounded by `n_clips`.

        Raises:
            InvalidInputError: for an unknown split, or a number below 0.
        """
        heard, bare, rng = self._planned(split, number)
        if bare:
            return make_bare(rng, self.palette, heard[0].concept)
        snr_db = float(rng.uniform(*self._snr_db))
        return make_scene(rng, self.palette, heard, self._seconds, snr_db=snr_db)

    def scene_sources(self, split: str, number: int) -> tuple[SceneSource, ...]:
        """What is heard in a scene, without making its sound.

        A source alone may end before the time that is told here.

        Raises:
            InvalidInputError: as for `scene`.
        """
        return self._planned(split, number)[0]

    def _planned(
        self, split: str, number: int
    ) -> tuple[tuple[SceneSource, ...], bool, np.random.Generator]:
        """What is to be heard, whether it is bare, and the generator for all the rest."""
        self._check(split)
        if number < 0:
            raise InvalidInputError(f"Scenes are numbered from 0, got {number}.")
        rng = np.random.default_rng([self._seed, SPLITS.index(split), number])
        if rng.random() < self._bare:
            alone = SceneSource(str(rng.choice(self.palette.concepts)), 0.0, self._seconds, 0.0)
            return (alone,), True, rng
        n_sources = int(rng.integers(1, self._most + 1))
        concepts = rng.choice(self.palette.concepts, n_sources, replace=False)
        return plan(rng, [str(concept) for concept in concepts], self._seconds), False, rng

    def _clip(self, split: str, number: int) -> Clip:
        scene = self.scene(split, number)
        concepts = Concepts.shipped()
        return Clip(
            id=f"{split}-{number:06d}",
            waveform=Waveform(scene.sound, SAMPLE_RATE),
            labels=tuple(concepts[heard.concept].name for heard in scene.heard),
        )

    def _check(self, split: str) -> None:
        if split not in SPLITS:
            raise InvalidInputError(
                f"Synthetic scenes have the splits {', '.join(SPLITS)}, got {split!r}."
            )
