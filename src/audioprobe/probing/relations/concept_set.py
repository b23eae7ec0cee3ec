"""Concepts of a probe, and which classes and names are true or certainly false of a concept."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from audioprobe.concepts import Concept, Concepts
from audioprobe.concepts.collection import (
    AMBIGUOUS_CLASSES,
    CLOSED_WORLD_KINDS,
    UNCERTAIN_NEGATIVES,
)
from audioprobe.concepts.concept import with_article_of
from audioprobe.errors import InvalidInputError, did_you_mean

RelationKind: TypeAlias = Literal["identity", "synonym", "hypernym", "other"]
"""What a target is to a concept: the concept itself, another name for it, a class above it, or
something else ("other": an item of another benchmark, which no probe of this library asks)."""
Negatives: TypeAlias = Literal["random", "popular", "sibling", "adversarial"]
"""How the false pairs of concept and target are drawn; see `balanced_pairs`."""


@dataclass(frozen=True, slots=True)
class Target:
    """The class or name that a question asks about: "a bird" in "Is a grouse a bird?".

    Attributes:
        id: unique id of the class or name in its `ConceptSet`.
        phrase: the class or name in a sentence, with its article: "a bird", "weather".
    """

    id: str
    phrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConcept:
    """A concept, such as "crow", with its other names and the classes above it.

    Attributes:
        id: unique id in its `ConceptSet`.
        phrase: the concept in a sentence, with its article: "a grouse".
        kind: category of the concept, such as "animal"; see `ConceptSet.closed_world_kinds`.
        synonyms: other names, with their articles.
        hypernyms: classes above the concept that a probe asks about, the nearest class first.
        ancestors: ids of all classes above the concept, including the hypernyms.
        basic: id of the hypernym by which people usually call the concept; "" if unknown.
        label: label of the concept in AudioSet or another data set ("Pigeon, dove"); "" if the
            label is the id, the phrase or a synonym.
        extra_labels: other labels that clips of the concept may have: labels of its sounds ("Bark"
            for a dog) and of groups that contain the concept.

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

    def targets(self, relation: RelationKind) -> tuple[Target, ...]:
        """Return the targets (classes or names) that are true of the concept."""
        if relation == "hypernym":
            return self.hypernyms
        if relation == "synonym":
            return tuple(Target(name, name) for name in self.synonyms)
        return (Target(self.id, self.phrase),) if relation == "identity" else ()


@dataclass(frozen=True, slots=True, repr=False)
class ConceptSet:
    """The concepts of one source, such as WordNet or a table.

    Attributes:
        name: name of the source: "concepts", "wordnet", "audioset", or the name of a file.
        revision: hash or version of the source.
        concepts: concepts with distinct ids, in the order of the source.
        closed_world_kinds: kinds of concepts for which the source lists all classes: any other
            class is then certainly false. For a concept of another kind, only classes of other
            kinds are certainly false. None means that the source lists all classes of all kinds.

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
            raise InvalidInputError(
                f"{self.name}: expected concepts with distinct ids, got {repeated[0]!r} twice."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.concepts)} concepts)"

    def subset(self, ids: Iterable[str]) -> "ConceptSet":
        """Return the concepts with the given ids, in the order of the ids.

        Raises:
            InvalidInputError: for an unknown id.
        """
        by_id = {concept.id: concept for concept in self.concepts}
        chosen = list(dict.fromkeys(ids))
        unknown = [name for name in chosen if name not in by_id]
        if unknown:
            hint = did_you_mean(unknown[0], by_id)
            raise InvalidInputError(f"{self.name} has no concept {unknown[0]!r}.{hint}")
        return replace(self, concepts=tuple(by_id[name] for name in chosen))

    def members(self, relation: RelationKind) -> dict[Target, list[ProbeConcept]]:
        """Return a dict from each target (class or name) to the concepts of which it is true."""
        members: dict[Target, list[ProbeConcept]] = {}
        for concept in self.concepts:
            for target in concept.targets(relation):
                members.setdefault(target, []).append(concept)
        return members

    def false_targets(self, relation: RelationKind, concept: str) -> tuple[Target, ...]:
        """Return the targets (classes or names) that are certainly false of a concept."""
        (chosen,) = self.subset([concept]).concepts
        return tuple(
            target
            for target, members in self.members(relation).items()
            if self._is_false(target, members, relation, chosen)
        )

    def false_concepts(
        self,
        target: Target,
        members: Sequence[ProbeConcept],
        relation: RelationKind,
        negatives: Negatives,
    ) -> list[ProbeConcept]:
        """Return the concepts from which the false pairs of a target are drawn.

        Args:
            target: the class or name.
            members: the concepts of which the target is true.
            relation: whether the target is a class ("hypernym") or a name.
            negatives: how false pairs are drawn; see `balanced_pairs`.
        """
        false = [c for c in self.concepts if self._is_false(target, members, relation, c)]
        if negatives in ("random", "popular"):
            return false
        if negatives == "sibling":
            classes = self._classes_of_same_depth(target, members, relation)
        else:
            classes = {_class_above(member, target, relation) for member in members} - {""}
        return [concept for concept in false if classes & concept.ancestors]

    def _is_false(
        self,
        target: Target,
        members: Sequence[ProbeConcept],
        relation: RelationKind,
        concept: ProbeConcept,
    ) -> bool:
        """Return whether a target is certainly false of a concept.

        False means that the target is true or may be true: a name may be true of concepts above or
        below a member. A class may be true of a concept of the same kind as a member, unless the
        source lists all classes of this kind (see `closed_world_kinds`).

        Args:
            target: the class or name.
            members: the concepts of which the target is true.
            relation: whether the target is a class or a name.
            concept: the concept.
        """
        if relation != "hypernym":
            return not any(
                concept.id == member.id
                or concept.id in member.ancestors
                or member.id in concept.ancestors
                for member in members
            )
        if target.id in concept.ancestors or target.id == concept.id:
            return False
        if self.closed_world_kinds is None or concept.kind in self.closed_world_kinds:
            return True
        return not any(member.kind == concept.kind for member in members)

    def _classes_of_same_depth(
        self, target: Target, members: Sequence[ProbeConcept], relation: RelationKind
    ) -> set[str]:
        """Return the ids of classes at the depth of the target that are not above its members.

        The depth is the number of classes above a class. For a name, it is the depth of the nearest
        class of each member. The members are the concepts of which the target is true.
        """
        if relation == "hypernym":
            reference = {target.id}
        else:
            reference = {member.hypernyms[0].id for member in members if member.hypernyms}
        depths = {d for m in members for name, d in _depths(m).items() if name in reference}
        above = {name for member in members for name in member.ancestors}
        return {
            name
            for concept in self.concepts
            for name, depth in _depths(concept).items()
            if depth in depths and name not in above
        }


def _class_above(member: ProbeConcept, target: Target, relation: RelationKind) -> str:
    """Return the id of the class directly above the target; "" if there is none.

    If the target is a name, return the class directly above the concept `member`.
    """
    position = member.hypernyms.index(target) + 1 if relation == "hypernym" else 0
    return member.hypernyms[position].id if position < len(member.hypernyms) else ""


def _depths(concept: ProbeConcept) -> dict[str, int]:
    """Return the depth (number of classes above) of each hypernym, keyed by hypernym id."""
    return {hypernym.id: n for n, hypernym in enumerate(reversed(concept.hypernyms))}


def from_concepts(concepts: Concepts | None = None) -> ConceptSet:
    """Return the concepts of a concept file, without the classes in `AMBIGUOUS_CLASSES`.

    If people might accept a class that WordNet does not list (a bell is a musical instrument), the
    class counts as an ancestor: no question asks for it, and it is never a false target.

    Args:
        concepts: concepts of a file; None uses the concepts that ship with the library.
    """
    source = Concepts.shipped() if concepts is None else concepts
    converted = tuple(map(_probe_concept, source))
    return ConceptSet("concepts", source.revision, converted, CLOSED_WORLD_KINDS)


def _probe_concept(concept: Concept) -> ProbeConcept:
    uncertain = {name for name, members in UNCERTAIN_NEGATIVES.items() if concept.id in members}
    hypernyms = tuple(
        Target(h.id, h.phrase) for h in concept.hypernyms if h.id not in AMBIGUOUS_CLASSES
    )
    basic = concept.basic.id if concept.basic else ""
    return ProbeConcept(
        id=concept.id,
        phrase=concept.phrase,
        kind=concept.kind,
        synonyms=tuple(
            with_article_of(concept.phrase, synonym.name) for synonym in concept.synonyms
        ),
        hypernyms=hypernyms,
        ancestors=frozenset(hypernym.id for hypernym in concept.ancestors) | uncertain,
        basic="" if basic in AMBIGUOUS_CLASSES else basic,
        label=concept.audioset.name if concept.audioset else "",
    )
