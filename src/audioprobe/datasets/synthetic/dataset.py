"""Data set of synthetic scenes: mixtures of known sound sources, rendered on access."""

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
    render_isolated_scene,
    render_scene,
)
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip, ComponentInfo, InfoRepr, Option, Waveform

SPLITS = ("train", "validation", "test")
REVISION = "2"  # increased with every change of the rendered samples


class _LazyClips(Sequence[Clip]):
    """Sequence of clips; each clip is rendered when it is accessed."""

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


class Synthetic(InfoRepr):
    """Synthetic scenes: mixtures of everyday sound sources with known labels, times and levels.

    Seed, split and scene number determine a scene. Different splits have different scenes.

    Args:
        n_clips: number of scenes per split.
        max_sources: maximum number of sources in a scene; the minimum is 1.
        palette: set of sources, or ids of concepts to synthesise; None means all synthesised
            sources.
        seconds: length of a scene in seconds.
        isolated_fraction: fraction of scenes, from 0 to 1, that are a single source with its
            natural length, without background noise.
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
        max_sources: int = 3,
        palette: Palette | Sequence[str] | None = None,
        seconds: float = 10.0,
        isolated_fraction: float = 0.0,
        snr_db: tuple[float, float] = (0.0, 40.0),
        seed: int = 0,
    ) -> None:
        if palette is None or isinstance(palette, Sequence):
            palette = ProceduralPalette(palette)
        n_concepts = len(palette.concepts)
        if (
            n_clips < 1
            or not 1 <= max_sources <= n_concepts
            or seconds < 1
            or snr_db[0] > snr_db[1]
            or not 0 <= isolated_fraction <= 1
        ):
            raise InvalidInputError(
                f"Expected n_clips >= 1, 1 <= max_sources <= {n_concepts} (number of sources), "
                "seconds >= 1, an increasing snr_db and isolated_fraction from 0 to 1, got "
                f"{n_clips}, {max_sources}, {seconds}, {snr_db} and {isolated_fraction}."
            )
        self._n_clips = n_clips
        self._max_sources = max_sources
        self.palette: Palette = palette
        self._seconds = seconds
        self._isolated_fraction = isolated_fraction
        self._snr_db = snr_db
        self._seed = seed

    @property
    def info(self) -> ComponentInfo:
        """Name, options, and `info` of the palette; stored in results."""
        options: dict[str, Option] = {
            "n_clips": self._n_clips,
            "max_sources": self._max_sources,
            "seconds": self._seconds,
            "isolated_fraction": self._isolated_fraction,
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
        """Render a scene; `number` is its index from 0, and may exceed `n_clips`.

        Raises:
            InvalidInputError: for an unknown split, or a negative number.
        """
        sources, is_isolated, rng = self._plan(split, number)
        if is_isolated:
            return render_isolated_scene(rng, self.palette, sources[0].concept)
        snr_db = float(rng.uniform(*self._snr_db))
        return render_scene(rng, self.palette, sources, self._seconds, snr_db=snr_db)

    def scene_sources(self, split: str, number: int) -> tuple[SceneSource, ...]:
        """Return the sources of a scene, without rendering it.

        The natural length of an isolated source is known only after rendering. Therefore its
        `offset` is the option `seconds` of this data set.

        Raises:
            InvalidInputError: for an unknown split, or a negative number.
        """
        return self._plan(split, number)[0]

    def _plan(
        self, split: str, number: int
    ) -> tuple[tuple[SceneSource, ...], bool, np.random.Generator]:
        """Return the sources of a scene, whether it is isolated, and a random generator.

        An isolated scene is a single source without background. The generator is needed to render
        the scene.
        """
        _check_split(split)
        if number < 0:
            raise InvalidInputError(f"Expected a scene number >= 0, got {number}.")
        rng = np.random.default_rng([self._seed, SPLITS.index(split), number])
        if rng.random() < self._isolated_fraction:
            concept = str(rng.choice(self.palette.concepts))
            return (SceneSource(concept, 0.0, self._seconds, 0.0),), True, rng
        n_sources = int(rng.integers(1, self._max_sources + 1))
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
