"""Data set of synthetic scenes, which are rendered when they are accessed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic.blocks import SAMPLE_RATE
from audioprobe.datasets.synthetic.palettes import Palette, ProceduralPalette
from audioprobe.datasets.synthetic.scenes import (
    Scene,
    SceneSource,
    plan_scene,
    render_isolated,
    render_scene,
)
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo, Option, Waveform

SPLITS = ("train", "validation", "test")
REVISION = "2"  # increased whenever the rendered samples change


class _LazyClips(Sequence[Clip]):
    """Sequence of clips that are rendered when they are accessed."""

    def __init__(self, n_clips: int, render: Callable[[int], Clip]) -> None:
        self._numbers = range(n_clips)
        self._render = render

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self._render(number) for number in self._numbers[index]]
        return self._render(self._numbers[index])


class Synthetic:
    """Synthetic scenes of everyday sound sources, with complete ground truth.

    A scene is determined by seed, split and scene number; scenes are independent of each other, and
    different splits contain different scenes.

    Args:
        n_clips: number of scenes per split.
        most: maximum number of sources in a scene; the minimum is 1.
        palette: sources of the scenes, or ids of synthesised sources; None means all synthesised
            sources.
        seconds: length of a scene in seconds.
        bare: fraction of scenes, from 0 to 1, that contain a single source with its natural length
            and no background.
        snr_db: lower and upper limit of the signal-to-noise ratio in dB.
        seed: random seed of the data set.

    Raises:
        InvalidInputError: for unknown sources, or values out of range.
    """

    splits = SPLITS
    """Names of the splits: train, validation and test."""

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
                f"Expected n_clips >= 1, 1 <= most <= {n_concepts} (number of sources), seconds >= "
                f"1 and an increasing snr_db, got {n_clips}, {most}, {seconds} and {snr_db}."
            )
        if not 0 <= bare <= 1:
            raise InvalidInputError(f"Expected bare from 0 to 1, got {bare}.")
        self._n_clips = n_clips
        self._most = most
        self.palette: Palette = palette
        self._seconds = seconds
        self._bare = bare
        self._snr_db = snr_db
        self._seed = seed

    @property
    def info(self) -> ComponentInfo:
        """The options, with the palette as a part."""
        options: dict[str, Option] = {
            "n_clips": self._n_clips,
            "most": self._most,
            "seconds": self._seconds,
            "bare": self._bare,
            "snr_db": f"{self._snr_db[0]:g} to {self._snr_db[1]:g}",
            "seed": self._seed,
        }
        parts = {"palette": self.palette.info}
        return ComponentInfo("dataset", "synthetic", REVISION, options, parts)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the concepts, in the order of the palette."""
        concepts = Concepts.shipped()
        return tuple(concepts[name].name for name in self.palette.concepts)

    def clips(self, split: str = "train") -> Sequence[Clip]:
        """Return the scenes of a split as clips, labelled with the names of their sources.

        Raises:
            InvalidInputError: for an unknown split.
        """
        _check_split(split)
        return _LazyClips(self._n_clips, partial(self._clip, split))

    def scene(self, split: str, number: int) -> Scene:
        """Render a scene and return it with the times and levels of its sources.

        Args:
            split: one of `splits`.
            number: index of the scene, from 0; it may exceed `n_clips`.

        Raises:
            InvalidInputError: for an unknown split, or a negative number.
        """
        sources, is_isolated, rng = self._plan(split, number)
        if is_isolated:
            return render_isolated(rng, self.palette, sources[0].concept)
        snr_db = float(rng.uniform(*self._snr_db))
        return render_scene(rng, self.palette, sources, self._seconds, snr_db=snr_db)

    def scene_sources(self, split: str, number: int) -> tuple[SceneSource, ...]:
        """Return the sources of a scene without rendering it.

        If a scene is a single source with its natural length, the returned offset may be later than
        the end of the rendered sound.

        Raises:
            InvalidInputError: for an unknown split, or a negative number.
        """
        return self._plan(split, number)[0]

    def _plan(
        self, split: str, number: int
    ) -> tuple[tuple[SceneSource, ...], bool, np.random.Generator]:
        """Return the sources, whether this is a single source, and the random generator."""
        _check_split(split)
        if number < 0:
            raise InvalidInputError(f"Expected a scene number >= 0, got {number}.")
        rng = np.random.default_rng([self._seed, SPLITS.index(split), number])
        if rng.random() < self._bare:
            concept = str(rng.choice(self.palette.concepts))
            return (SceneSource(concept, 0.0, self._seconds, 0.0),), True, rng
        n_sources = int(rng.integers(1, self._most + 1))
        concepts = rng.choice(self.palette.concepts, n_sources, replace=False)
        sources = plan_scene(rng, [str(concept) for concept in concepts], self._seconds)
        return sources, False, rng

    def _clip(self, split: str, number: int) -> Clip:
        scene = self.scene(split, number)
        concepts = Concepts.shipped()
        return Clip(
            id=f"{split}-{number:06d}",
            waveform=Waveform(scene.sound, SAMPLE_RATE),
            labels=tuple(concepts[source.concept].name for source in scene.sources),
        )


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise InvalidInputError(f"Expected one of the splits {', '.join(SPLITS)}, got {split!r}.")
