"""What an exam is held on: scenes that were never trained on, of every source as many."""

from collections.abc import Sequence
from dataclasses import replace

from audioprobe.datasets.synthetic import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.small_ltu.curriculum import build_scenes
from audioprobe.small_ltu.recipe import SceneConfig
from audioprobe.types import Clip

_ENDLESS = 10**9  # scenes are made when they are asked for
_FAR = 200  # times as many scenes as are wanted are looked through for single sources


def unseen(config: SceneConfig) -> Synthetic:
    """Scenes of the synthesised sources of a recipe.

    Recorded sources are left out: those of the training would be familiar in every scene.
    """
    return build_scenes(replace(config, n_train=_ENDLESS))


def alone(scenes: Synthetic, split: str, n_each: int) -> dict[str, list[int]]:
    """Numbers of the first scenes with a single source, so many for each concept.

    Raises:
        InvalidInputError: if some concept is not often enough alone.
    """
    found: dict[str, list[int]] = {name: [] for name in scenes.palette.concepts}
    missing = n_each * len(found)
    for number in range(_FAR * missing):
        truth = scenes.scene_sources(split, number)
        if len(truth) == 1 and len(found[truth[0].concept]) < n_each:
            found[truth[0].concept].append(number)
            missing -= 1
        if not missing:
            return found
    raise InvalidInputError(
        f"Not every concept is alone in {n_each} scenes of the split {split!r}. Ask for fewer, or "
        "make more scenes bare."
    )


def clips_at(scenes: Synthetic, split: str, numbers: Sequence[int]) -> list[Clip]:
    """The scenes of these numbers."""
    made = scenes.clips(split)
    return [made[number] for number in numbers]
