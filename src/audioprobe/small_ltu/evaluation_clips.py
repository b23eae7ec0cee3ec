"""Amount and choice of the clips for the evaluation of a small LTU."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from audioprobe.concepts import Concepts
from audioprobe.datasets.synthetic import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

_SEARCHED = 200  # number of scenes to search for each single-source scene


@dataclass(frozen=True, slots=True)
class EvaluationScope:
    """Amount of evaluation data. A scene is a synthetic mixture of sound sources (concepts).

    Attributes:
        n_each: number of single-source scenes per concept.
        n_scenes: number of scenes with one or more sources.
        n_asked: number of single-source scenes, and of recordings, per concept for yes/no questions
            about relations.
        n_recorded: largest number of recordings with the same labels in the same package.
    """

    n_each: int = 4
    n_scenes: int = 200
    n_asked: int = 2
    n_recorded: int = 10


def single_source_scenes(scenes: Synthetic, split: str, n_each: int) -> dict[str, list[Clip]]:
    """Return the first `n_each` single-source scenes of each concept, keyed by concept id.

    Raises:
        InvalidInputError: if a concept has fewer than `n_each` single-source scenes.
    """
    numbers: dict[str, list[int]] = {name: [] for name in scenes.palette.concepts}
    n_missing = n_each * len(numbers)
    for number in range(_SEARCHED * n_missing):
        sources = scenes.scene_sources(split, number)
        if len(sources) == 1 and len(numbers[sources[0].concept]) < n_each:
            numbers[sources[0].concept].append(number)
            n_missing -= 1
        if not n_missing:
            clips = scenes.clips(split)
            return {name: [clips[n] for n in chosen] for name, chosen in numbers.items()}
    raise InvalidInputError(
        f"Some concepts have fewer than {n_each} scenes with a single source in the split "
        f"{split!r}. Lower n_each, or raise bare_share of the recipe."
    )


def first_of_each_group(clips: Sequence[Clip], n_each: int) -> list[Clip]:
    """Return the first `n_each` clips of every group (such as a package) with the same labels."""
    counts: Counter[tuple[str | None, tuple[str, ...] | None]] = Counter()
    chosen = []
    for clip in clips:
        counts[clip.group, clip.labels] += 1
        if counts[clip.group, clip.labels] <= n_each:
            chosen.append(clip)
    return chosen


def spread_clips(clips: Sequence[Clip], n_each: int) -> dict[str, list[Clip]]:
    """Return at most `n_each` clips of each concept, keyed by concept id.

    Clips with several labels are left out. The first clip of each group (such as a package) comes
    before the second clip of any group, so that the clips are as different as possible.
    """
    ids = {concept.name: concept.id for concept in Concepts.shipped()}
    ranked: dict[str, list[tuple[int, Clip]]] = {}
    n_in_group: Counter[tuple[str, str | None]] = Counter()
    for clip in clips:
        if clip.labels is not None and len(clip.labels) == 1 and clip.labels[0] in ids:
            concept = ids[clip.labels[0]]
            ranked.setdefault(concept, []).append((n_in_group[concept, clip.group], clip))
            n_in_group[concept, clip.group] += 1
    return {
        concept: [clip for _, clip in sorted(pairs, key=itemgetter(0))][:n_each]
        for concept, pairs in ranked.items()
    }
