"""Classes with invented names: nothing can be known of them but what is taught."""

from collections.abc import Sequence
from dataclasses import replace

from audioprobe.concepts.concept import with_article
from audioprobe.errors import InvalidInputError
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target

_LEAST = 3  # concepts of a class: two to be taught in sound, and one to be asked about


def invented(subjects: ConceptSet, names: Sequence[str]) -> ConceptSet:
    """The same concepts, each kind of which is a class with a name that nobody knows.

    Args:
        subjects: with kinds; those of kinds with fewer than three concepts are in no class.
        names: a word each; the largest kinds get the first ones.

    Raises:
        InvalidInputError: if names are not different words, or fewer than two kinds have three
            concepts.
    """
    if len(set(names)) < len(names) or not all(name.isalpha() for name in names):
        raise InvalidInputError(f"Invented names must be different words, got {', '.join(names)}.")
    by_kind: dict[str, list[ProbeConcept]] = {}
    for subject in subjects.concepts:
        by_kind.setdefault(subject.kind, []).append(subject)
    large = [kind for kind, some in by_kind.items() if len(some) >= _LEAST]
    large.sort(key=lambda kind: (-len(by_kind[kind]), kind))
    if len(large) < 2 or len(names) < 2:
        raise InvalidInputError(
            f"Two kinds of at least {_LEAST} concepts and two names are needed to ask for invented "
            f"classes; there are {len(large)} and {len(names)}."
        )
    targets = {
        kind: Target(name, with_article(name)) for kind, name in zip(large, names, strict=False)
    }
    made = tuple(_renamed(subject, targets.get(subject.kind)) for subject in subjects.concepts)
    return ConceptSet(f"invented, {subjects.name}", subjects.revision, made, None)


def _renamed(subject: ProbeConcept, target: Target | None) -> ProbeConcept:
    if target is None:
        return replace(subject, hypernyms=(), ancestors=frozenset(), basic="")
    return replace(subject, hypernyms=(target,), ancestors=frozenset({target.id}), basic=target.id)
