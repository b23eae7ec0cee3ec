"""Sounds to learn from, with what is said of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.concepts import Concepts
from audioprobe.concepts.concept import with_article
from audioprobe.datasets.in_memory import InMemoryDataset
from audioprobe.errors import InvalidInputError
from audioprobe.probing.clips import clips_by_concept
from audioprobe.probing.relations.concept_set import from_concepts
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.small_ltu.questions import listed
from audioprobe.training.spectrogram_cache import SpectrogramCache
from audioprobe.types import Clip

ALL = "all"
"""Split of a data set that has no other."""


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedClips:
    """Spectrograms with what is heard in each.

    Attributes:
        pool: spectrograms.
        labels: names of what is heard, by clip.
        phrases: the same as they are said after "the sound of", with articles: "a crow".
        alone: rows of clips in which one concept is heard, by its id; see `probes.clips`.
    """

    pool: SpectrogramCache
    labels: tuple[tuple[str, ...], ...]
    phrases: tuple[tuple[str, ...], ...]
    alone: dict[str, tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.labels)


def captioned_clips(
    name: str,
    clips: Sequence[Clip],
    folder: str | Path,
    *,
    progress: ProgressCallback = ignore_progress,
) -> CaptionedClips:
    """Spectrograms of clips, computed once into a folder.

    Args:
        name: of the sounds.
        clips: with at least one label each.
        folder: of these alone.
        progress: called after every clip.

    Raises:
        InvalidInputError: if there are no clips, one has no labels, or the folder holds others.
    """
    silent = [clip.id for clip in clips if not clip.labels]
    if not clips or silent:
        raise InvalidInputError(
            f"{name}: {len(silent)} of {len(clips)} clips have no label to learn"
            f"{f', the first is {silent[0]!r}' if silent else ''}. Leave them out."
        )
    labels = tuple(tuple(clip.labels or ()) for clip in clips)
    known = sorted({label for some in labels for label in some})
    pool = SpectrogramCache(
        InMemoryDataset(name, {ALL: clips}, known), ALL, folder, progress=progress
    )
    rows = {clip.id: row for row, clip in enumerate(clips)}
    alone = {
        concept: tuple(rows[clip.id] for clip in own)
        for concept, own in clips_by_concept(clips, from_concepts()).by_concept.items()
    }
    phrase = {concept.name: concept.phrase for concept in Concepts.shipped()}
    phrases = tuple(
        tuple(phrase.get(label) or with_article(label) for label in some) for some in labels
    )
    return CaptionedClips(pool, labels, phrases, alone)


def said_of(phrases: Sequence[str]) -> str:
    """A caption: "The sound of a crow and rain."."""
    return f"The sound of {listed(phrases, ' and ')}."
