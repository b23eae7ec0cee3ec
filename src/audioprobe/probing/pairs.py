"""Draw balanced pairs of a concept and a target: one matched false pair for each true pair.

A target is the class or name that a question asks about: "a bird" in "Is a grouse a bird?".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias, TypeVar, get_args

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target
from audioprobe.texts import stable_hash

RelationKind: TypeAlias = Literal["identity", "synonym", "hypernym"]
"""Relation of the target to the concept: the concept itself, a synonym, or a class above it."""
Negatives: TypeAlias = Literal["random", "popular", "sibling", "adversarial"]
"""Strategy for drawing false pairs; see `balanced_pairs`."""
RELATIONS: tuple[RelationKind, ...] = get_args(RelationKind)
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptPair:
    """A concept, a target, and whether the target is true of the concept.

    Attributes:
        concept: id of the concept.
        phrase: the concept in a sentence: "a grouse".
        relation: "hypernym" asks for a class, "synonym" for another name, "identity" for the
            concept itself (only about audio).
        target: id of the class, the synonym, or the id of the concept, depending on `relation`.
        target_phrase: the target in a sentence: "a bird".
        holds: whether the target is true of the concept.
        level: number of steps from the concept up to the class, 1 for the nearest class; 0 for
            other relations. A false pair has the level of its true pair.
        basic: whether the class is the basic level, that is, the usual everyday name.
        negatives: strategy by which the false pairs of the set were drawn.
        match: number that only a true pair and its matched false pair have.
    """

    concept: str
    phrase: str
    relation: RelationKind
    target: str
    target_phrase: str
    holds: bool
    level: int = 0
    basic: bool = False
    negatives: Negatives = "random"
    match: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Concept, relation and target; the same for all strategies of drawing false pairs."""
        return self.concept, self.relation, self.target


@dataclass(frozen=True, slots=True)
class Pairs:
    """Balanced pairs: each target has as many true pairs as false pairs.

    Attributes:
        pairs: each true pair, followed by its matched false pair.
        unmatched: true pairs that are left out because they have no false pair, as (concept,
            target, negatives).
    """

    pairs: tuple[ConceptPair, ...]
    unmatched: tuple[tuple[str, str, str], ...]


def balanced_pairs(
    concepts: ConceptSet,
    relation: RelationKind,
    negatives: Negatives = "random",
    *,
    popularity: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
    first_match: int = 0,
) -> Pairs:
    """Pair each concept with its targets, and each target with as many wrong concepts.

    A model that always says "yes", or that guesses from the base rate of each target, has an
    accuracy of one half. Concepts that were drawn least often are drawn first.

    Args:
        concepts: the concepts to ask about.
        relation: the relation to ask for.
        negatives: strategy for drawing the concept of a false pair, among the concepts of which the
            target is certainly false. "random" draws any of them; "popular" draws the most
            frequent; "sibling" draws a concept that has, on another branch, a class as deep as the
            target; "adversarial" draws a concept that has the class directly above the target (a
            co-hyponym). For "identity" and "synonym", "sibling" compares depths with the nearest
            class of the concept, and "adversarial" uses that class.
        popularity: frequency of each concept, such as its number of clips; used by "popular".
        seed: seed of the draw.
        first_match: `ConceptPair.match` of the first pair; later pairs count up.

    Raises:
        InvalidInputError: for an unknown relation or kind of negatives.
    """
    for name, known in ((relation, RELATIONS), (negatives, NEGATIVES)):
        if name not in known:
            raise InvalidInputError(
                f"Expected one of {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}"
            )
    n_drawn: Counter[str] = Counter()
    rank = (
        Counter({concept: -n for concept, n in popularity.items()})
        if negatives == "popular"
        else n_drawn
    )
    pairs: list[ConceptPair] = []
    unmatched: list[tuple[str, str, str]] = []
    targets = _members_by_target(concepts, relation)
    for target, members in sorted(targets.items(), key=lambda item: item[0].id):
        rng = np.random.default_rng(stable_hash(f"{seed} {relation} {target.id} {negatives}"))
        candidates = _non_members(concepts, relation, target, members, negatives)
        wrong = draw_lowest(candidates, len(members), rank, rng)
        n_drawn.update(concept.id for concept in wrong)
        unmatched += [(m.id, target.id, negatives) for m in members[len(wrong) :]]
        for member, other in zip(members, wrong, strict=False):
            match = first_match + len(pairs) // 2
            pairs += [
                _pair(concept, member, target, relation, negatives=negatives, match=match)
                for concept in (member, other)
            ]
    return Pairs(tuple(pairs), tuple(unmatched))


def _pair(
    concept: ProbeConcept,
    member: ProbeConcept,
    target: Target,
    relation: RelationKind,
    *,
    negatives: Negatives,
    match: int,
) -> ConceptPair:
    """Create the pair of a concept and a target, matched with the true pair of `member`."""
    is_hypernym = relation == "hypernym"
    return ConceptPair(
        concept=concept.id,
        phrase=concept.phrase,
        relation=relation,
        target=target.id,
        target_phrase=target.phrase,
        holds=concept is member,
        level=member.hypernyms.index(target) + 1 if is_hypernym else 0,
        basic=is_hypernym and member.basic == target.id,
        negatives=negatives,
        match=match,
    )


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Candidate = TypeVar("Candidate", bound=_Identified)


def draw_lowest(
    candidates: Sequence[Candidate], n: int, rank: Mapping[str, int], rng: np.random.Generator
) -> list[Candidate]:
    """Draw up to n candidates without replacement, the lowest ranks first.

    Args:
        candidates: items with an id.
        n: number of candidates to draw.
        rank: rank by id, such as the number of earlier draws; missing ids have rank 0.
        rng: generator that shuffles candidates of the same rank.
    """
    shuffled = [candidates[k] for k in rng.permutation(len(candidates))]
    return sorted(shuffled, key=lambda candidate: rank.get(candidate.id, 0))[:n]


def false_targets(concepts: ConceptSet, relation: RelationKind, concept: str) -> tuple[Target, ...]:
    """Return the targets that are certainly false of a concept, for the options of a choice."""
    (chosen,) = concepts.subset([concept]).concepts
    return tuple(
        target
        for target, members in _members_by_target(concepts, relation).items()
        if _certainly_false(concepts, relation, target, members, chosen)
    )


def _members_by_target(
    concepts: ConceptSet, relation: RelationKind
) -> dict[Target, list[ProbeConcept]]:
    members: dict[Target, list[ProbeConcept]] = {}
    for concept in concepts.concepts:
        if relation == "hypernym":
            targets = concept.hypernyms
        elif relation == "synonym":
            targets = tuple(Target(name, name) for name in concept.synonyms)
        else:
            targets = (Target(concept.id, concept.phrase),)
        for target in targets:
            members.setdefault(target, []).append(concept)
    return members


def _non_members(
    concepts: ConceptSet,
    relation: RelationKind,
    target: Target,
    members: Sequence[ProbeConcept],
    negatives: Negatives,
) -> list[ProbeConcept]:
    candidates = [
        concept
        for concept in concepts.concepts
        if _certainly_false(concepts, relation, target, members, concept)
    ]
    if negatives in ("random", "popular"):
        return candidates
    if negatives == "sibling":
        classes = _classes_of_same_depth(concepts, target, members, relation)
    else:
        classes = {_class_above(member, target, relation) for member in members} - {""}
    return [concept for concept in candidates if classes & concept.ancestors]


def _certainly_false(
    concepts: ConceptSet,
    relation: RelationKind,
    target: Target,
    members: Sequence[ProbeConcept],
    concept: ProbeConcept,
) -> bool:
    """Return whether the target is certainly false of the concept.

    A class is not certainly false of a concept if the taxonomy may lack an edge between them. A
    name is not certainly false of a concept that is above or below a concept with this name.
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
    closed = concepts.closed_world_kinds
    if closed is None or concept.kind in closed:
        return True
    return not any(member.kind == concept.kind for member in members)


def _class_above(member: ProbeConcept, target: Target, relation: RelationKind) -> str:
    """Return the class directly above the target, or above `member` itself; "" if there is none."""
    position = member.hypernyms.index(target) + 1 if relation == "hypernym" else 0
    return member.hypernyms[position].id if position < len(member.hypernyms) else ""


def _classes_of_same_depth(
    concepts: ConceptSet, target: Target, members: Sequence[ProbeConcept], relation: RelationKind
) -> set[str]:
    """Return classes on other branches, as deep as the target (or the members' nearest class)."""
    if relation == "hypernym":
        reference = {target.id}
    else:
        reference = {member.hypernyms[0].id for member in members if member.hypernyms}
    depths = {d for member in members for name, d in _depths(member).items() if name in reference}
    above = {name for member in members for name in member.ancestors}
    return {
        name
        for concept in concepts.concepts
        for name, depth in _depths(concept).items()
        if depth in depths and name not in above
    }


def _depths(concept: ProbeConcept) -> dict[str, int]:
    """Return the depth of each hypernym of a concept: the number of classes above the hypernym."""
    return {hypernym.id: n for n, hypernym in enumerate(reversed(concept.hypernyms))}
