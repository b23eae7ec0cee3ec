"""Which clip is of which concept."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audioprobe.concepts.concept import without_article
from audioprobe.normalization import nfc
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept
from audioprobe.types import Clip


@dataclass(frozen=True, slots=True)
class ClipsByConcept:
    """Clips by concept, and what could not be sorted.

    Attributes:
        by_concept: clips in their order, by the id of the concept; concepts without clips are left
            out.
        unsorted: ids of clips that name no concept, or several, with what they name.
        silent: ids of concepts that no clip is of.
    """

    by_concept: Mapping[str, tuple[Clip, ...]]
    unsorted: Mapping[str, str]
    silent: tuple[str, ...]


def clips_by_concept(clips: Iterable[Clip], subjects: ConceptSet) -> ClipsByConcept:
    """Sort clips by what they are labelled with, or else by the names of their files.

    A clip counts for a concept if it is labelled with its id, name or synonym, or with a label that
    only this concept has in a data set, and besides only with what lies above it ("grouse", "bird"
    and "animal" are a grouse) and what a data set labels it with, too (`ProbeConcept.also`). A clip
    that nobody has annotated is taken by the name of its file without numbers at its end
    ("crow-2.wav"), or else by that of its folder.

    Args:
        clips: in any order.
        subjects: whose names count.
    """
    known = _labelled(subjects) | {
        name: s for s in reversed(subjects.subjects) for name in names_of(s)
    }
    classes = {
        _plain(name): rung.id
        for subject in subjects.subjects
        for rung in subject.hypernyms
        for name in (rung.id, rung.phrase, without_article(rung.phrase))
    }
    found: dict[str, list[Clip]] = {}
    unsorted: dict[str, str] = {}
    for clip in clips:
        if clip.labels is None:
            names = _of_file(clip)
            subject = next((known[name] for name in map(_plain, names) if name in known), None)
        else:
            names = clip.labels
            subject = _lowest([_plain(name) for name in names], known, classes)
        if subject is None:
            unsorted[clip.id] = ", ".join(names) or "(nothing)"
        else:
            found.setdefault(subject.id, []).append(clip)
    order = [subject.id for subject in subjects.subjects]
    return ClipsByConcept(
        {name: tuple(found[name]) for name in order if name in found},
        unsorted,
        tuple(name for name in order if name not in found),
    )


def _lowest(
    names: Sequence[str], known: Mapping[str, ProbeConcept], classes: Mapping[str, str]
) -> ProbeConcept | None:
    """The one concept among labels that accounts for all others; None where there is none."""
    own = {known[name].id: known[name] for name in names if name in known}
    above = {rung for subject in own.values() for rung in subject.above}
    lowest = [subject for name, subject in own.items() if name not in above]
    if len(lowest) != 1:
        return None
    (found,) = lowest
    its_own = {found.id, *found.above}
    also = {_plain(name) for name in found.also}
    for name in names:
        meant = known[name].id if name in known else classes.get(name, "")
        if meant not in its_own and name not in also:
            return None
    return found


def _labelled(subjects: ConceptSet) -> dict[str, ProbeConcept]:
    """Concepts by the labels of data sets, where no two share one: a bark is of many dogs."""
    shared = Counter(_plain(subject.label) for subject in subjects.subjects)
    by_label = {_plain(subject.label): subject for subject in subjects.subjects if subject.label}
    return {label: subject for label, subject in by_label.items() if shared[label] == 1}


def names_of(subject: ProbeConcept) -> tuple[str, ...]:
    """Everything that a label may call it, in lower case."""
    phrases = (subject.phrase, *subject.synonyms)
    names = (subject.id, *phrases, *(without_article(phrase) for phrase in phrases))
    return tuple(dict.fromkeys(_plain(name) for name in names))


def _of_file(clip: Clip) -> tuple[str, ...]:
    if clip.path is None:
        return ()
    return re.sub(r"[\W\d_]+$", "", clip.path.stem), clip.path.parent.name


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", nfc(name)).strip().casefold()
