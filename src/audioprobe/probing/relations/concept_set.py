"""Data classes for the concepts of a probe, with their hypernyms and synonyms."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from audioprobe.concepts import Concept, Concepts
from audioprobe.concepts.collection import (
    AMBIGUOUS_CLASSES,
    CLOSED_WORLD_KINDS,
    UNCERTAIN_NEGATIVES,
)
from audioprobe.concepts.concept import with_article_of
from audioprobe.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Target:
    """The class or name that a question asks about: "a bird" in "Is a grouse a bird?".

    Attributes:
        id: unique id among the concepts and targets of a source.
        phrase: the target in a sentence, with its article: "a bird", "weather".
    """

    id: str
    phrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConcept:
    """A concept with its synonyms and hypernyms.

    Attributes:
        id: unique id in its source.
        phrase: the concept in a sentence, with its article: "a grouse".
        kind: category of the concept, such as "animal". If the taxonomy may lack edges, false
            pairs are drawn from other kinds; see `ConceptSet.closed_world_kinds`.
        synonyms: other names, with their articles.
        hypernyms: classes above the concept that a probe asks about, the nearest first.
        ancestors: ids of all classes above the concept, including the hypernyms.
        basic: id of the basic-level hypernym (the class by which people usually call the concept);
            "" if unknown.
        label: label of the concept in AudioSet or another data set ("Pigeon, dove"); "" if it is
            the id, the phrase or a synonym.
        extra_labels: other labels that clips of the concept may have: labels of its sounds ("Bark"
            for a dog) and of groups that contain it.

    Raises:
        InvalidInputError: if a hypernym is not among the ancestors, or occurs twice.
    """

    id: str
    phrase: str
    kind: str = ""
    synonyms: tuple[str, ...] = ()
    hypernyms: tuple[Target, ...] = ()
    ancestors: frozenset[str] = frozenset()
    basic: str = ""
    label: str = ""
    extra_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [hypernym.id for hypernym in self.hypernyms]
        distinct = len(set(names)) == len(names) and self.id not in names
        if not distinct or not self.ancestors.issuperset(names):
            raise InvalidInputError(
                f"{self.id}: expected distinct hypernyms among the ancestors "
                f"({', '.join(sorted(self.ancestors))}), got {', '.join(names)}."
            )


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """The concepts of one source.

    Attributes:
        name: name of the source: "concepts", "wordnet", "audioset", or the name of a file.
        revision: hash or version of the source.
        concepts: concepts with distinct ids, in the order of the source.
        closed_world_kinds: kinds whose taxonomy is complete: a class that is not an ancestor of a
            concept is certainly false of it. For concepts of other kinds, only classes of another
            kind are certainly false. None means that all kinds are complete.

    Raises:
        InvalidInputError: if two concepts have the same id.
    """

    name: str
    revision: str
    concepts: tuple[ProbeConcept, ...]
    closed_world_kinds: frozenset[str] | None = None

    def __post_init__(self) -> None:
        counts = Counter(concept.id for concept in self.concepts)
        repeated = sorted(name for name, n in counts.items() if n > 1)
        if repeated:
            raise InvalidInputError(f"{self.name}: two concepts have the id {repeated[0]!r}.")

    def subset(self, ids: Iterable[str]) -> "ConceptSet":
        """Return the concepts with the given ids, in that order.

        Raises:
            InvalidInputError: for an unknown id.
        """
        by_id = {concept.id: concept for concept in self.concepts}
        chosen = list(dict.fromkeys(ids))
        unknown = [name for name in chosen if name not in by_id]
        if unknown:
            raise InvalidInputError(f"{self.name} has no concept {unknown[0]!r}.")
        return replace(self, concepts=tuple(by_id[name] for name in chosen))


def from_concepts(concepts: Concepts | None = None) -> ConceptSet:
    """Return the concepts of a concept file, without its `AMBIGUOUS_CLASSES`.

    If people might accept a class that WordNet does not list (a bell is a musical instrument), the
    class counts as an ancestor: no question asks for it, and it is never a false target.

    Args:
        concepts: concepts of a file; None uses the concepts that ship with the library.
    """
    source = Concepts.shipped() if concepts is None else concepts
    converted = tuple(map(_probe_concept, source))
    return ConceptSet("concepts", source.revision, converted, CLOSED_WORLD_KINDS)


def _probe_concept(concept: Concept) -> ProbeConcept:
    doubtful = {name for name, members in UNCERTAIN_NEGATIVES.items() if concept.id in members}
    hypernyms = tuple(
        Target(h.id, h.phrase) for h in concept.hypernyms if h.id not in AMBIGUOUS_CLASSES
    )
    return ProbeConcept(
        id=concept.id,
        phrase=concept.phrase,
        kind=concept.kind,
        synonyms=tuple(
            with_article_of(concept.phrase, synonym.name) for synonym in concept.synonyms
        ),
        hypernyms=hypernyms,
        ancestors=frozenset(hypernym.id for hypernym in concept.ancestors) | doubtful,
        basic=concept.basic.id
        if concept.basic and concept.basic.id not in AMBIGUOUS_CLASSES
        else "",
        label=concept.audioset.name if concept.audioset else "",
    )
