"""Assign clips to concepts, by the labels of the clips or by file names."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audioprobe.concepts.concept import without_article
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept
from audioprobe.texts import nfc
from audioprobe.types import Clip


@dataclass(frozen=True, slots=True)
class ClipsByConcept:
    """Assignment of clips to concepts.

    Attributes:
        by_concept: clips of each concept, by concept id; concepts without clips are absent.
        unassigned: clips whose labels or file name match no concept or several: the names that
            were found, by clip id.
        without_clips: ids of concepts without a clip.
    """

    by_concept: Mapping[str, tuple[Clip, ...]]
    unassigned: Mapping[str, str]
    without_clips: tuple[str, ...]


def clips_by_concept(clips: Iterable[Clip], concepts: ConceptSet) -> ClipsByConcept:
    """Assign clips to concepts by their labels; clips without labels by their file names.

    A clip belongs to a concept if one of its labels is the concept's id, phrase, synonym or
    `ProbeConcept.label` (if no other concept has the same label). All other labels of the clip
    must be ancestors of the concept (a clip with the labels "grouse", "bird" and "animal" belongs
    to "grouse") or be in `ProbeConcept.extra_labels`. A clip without labels belongs to the concept
    that its file is named after ("crow-2.wav"; final numbers are ignored), or else its folder.

    Args:
        clips: clips in any order.
        concepts: concepts to which clips are assigned.
    """
    by_name = _unique_labels(concepts) | {
        name: concept for concept in reversed(concepts.concepts) for name in names_of(concept)
    }
    classes = {
        _normalized(name): hypernym.id
        for concept in concepts.concepts
        for hypernym in concept.hypernyms
        for name in (hypernym.id, hypernym.phrase, without_article(hypernym.phrase))
    }
    assigned: dict[str, list[Clip]] = {}
    unassigned: dict[str, str] = {}
    for clip in clips:
        if clip.labels is None:
            names = _file_names(clip)
            matches = (by_name.get(_normalized(name)) for name in names)
            concept = next((match for match in matches if match), None)
        else:
            names = clip.labels
            concept = _most_specific([_normalized(name) for name in names], by_name, classes)
        if concept is None:
            unassigned[clip.id] = ", ".join(names) or "(nothing)"
        else:
            assigned.setdefault(concept.id, []).append(clip)
    ids = [concept.id for concept in concepts.concepts]
    return ClipsByConcept(
        {name: tuple(assigned[name]) for name in ids if name in assigned},
        unassigned,
        tuple(name for name in ids if name not in assigned),
    )


def names_of(concept: ProbeConcept) -> tuple[str, ...]:
    """Return all labels of a concept, normalised: its id, phrase and synonyms."""
    phrases = (concept.phrase, *concept.synonyms)
    names = (concept.id, *phrases, *map(without_article, phrases))
    return tuple(dict.fromkeys(map(_normalized, names)))


def _most_specific(
    labels: Sequence[str], by_name: Mapping[str, ProbeConcept], classes: Mapping[str, str]
) -> ProbeConcept | None:
    """Return the concept that all other labels are ancestors or extra labels of, if any."""
    named = {by_name[label].id: by_name[label] for label in labels if label in by_name}
    above = {ancestor for concept in named.values() for ancestor in concept.ancestors}
    lowest = [concept for name, concept in named.items() if name not in above]
    if len(lowest) != 1:
        return None
    (concept,) = lowest
    explained = {concept.id, *concept.ancestors}
    extra = set(map(_normalized, concept.extra_labels))
    for label in labels:
        label_id = by_name[label].id if label in by_name else classes.get(label, "")
        if label_id not in explained and label not in extra:
            return None
    return concept


def _unique_labels(concepts: ConceptSet) -> dict[str, ProbeConcept]:
    """Return concepts by `ProbeConcept.label`; labels that two concepts share are left out."""
    labels = [_normalized(concept.label) for concept in concepts.concepts]
    counts = Counter(labels)
    pairs = zip(labels, concepts.concepts, strict=True)
    return {label: concept for label, concept in pairs if label and counts[label] == 1}


def _file_names(clip: Clip) -> tuple[str, ...]:
    if clip.path is None:
        return ()
    return re.sub(r"[\W\d_]+$", "", clip.path.stem), clip.path.parent.name


def _normalized(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", nfc(name)).strip().casefold()
