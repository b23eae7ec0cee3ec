"""What is asked: pairs of a concept and a class or name, each with a matched wrong one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target
from audioprobe.seeding import stable_hash

RelationKind: TypeAlias = Literal["identity", "synonym", "hypernym"]
Negatives: TypeAlias = Literal["random", "popular", "sibling", "adversarial"]
RELATIONS: tuple[RelationKind, ...] = get_args(RelationKind)
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)


@dataclass(frozen=True, slots=True)
class ConceptPair:
    """A concept with something that is asked of it, and whether it holds.

    Attributes:
        concept: id of the concept.
        phrase: as it is said: "a grouse".
        relation: "hypernym" asks for a class above it, "synonym" for another name, "identity" for
            the concept itself, which only a sound can be asked.
        target: id of the class, the name, or the id of the concept.
        target_phrase: as it is said: "a bird".
        holds: the right answer.
        level: steps from the concept up to the class, 1 for the nearest; 0 where none is climbed. A
            wrong pair has that of the right one it is matched with.
        basic: whether the class is the one at which people sort such things.
        negatives: how the wrong pairs of its set were drawn.
        match: number that a right pair shares with its matched wrong one.
    """

    concept: str
    phrase: str
    relation: RelationKind
    target: str
    target_phrase: str
    holds: bool
    level: int
    basic: bool
    negatives: Negatives
    match: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What is asked, whatever set it belongs to."""
        return self.concept, self.relation, self.target


@dataclass(frozen=True, slots=True)
class Pairs:
    """Balanced pairs: for every target as many hold as do not.

    Attributes:
        pairs: a right one and its wrong one after each other.
        unmatched: right pairs that found no wrong one, and are not asked: concept, target, and how
            wrong ones were to be drawn.
    """

    pairs: tuple[ConceptPair, ...]
    unmatched: tuple[tuple[str, str, str], ...]


def balanced_pairs(
    subjects: ConceptSet,
    relation: RelationKind,
    negatives: Negatives = "random",
    *,
    popularity: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
    first_match: int = 0,
) -> Pairs:
    """Every concept with each of its targets, and as many wrong concepts for the same targets.

    Whoever always says yes is right half of the time, and so is whoever knows how often each target
    is right and never listens. Wrong concepts are drawn evenly: those first that were drawn least.

    Args:
        subjects: to ask about.
        relation: what to ask for.
        negatives: "random" draws any concept of which the target is certainly wrong, "popular" the
            most frequent ones, "sibling" one with a class of the same depth on another branch,
            "adversarial" one under the class next above the target (co-hyponyms). Where the
            concept itself or its name is asked for, its nearest class stands for the target of a
            sibling, and adversarial ones share that class.
        popularity: of each concept, such as its number of clips, for "popular".
        seed: another one draws others.
        first_match: number of the first match.

    Raises:
        InvalidInputError: for an unknown relation or way to draw.
    """
    for name, known in ((relation, RELATIONS), (negatives, NEGATIVES)):
        if name not in known:
            raise InvalidInputError(
                f"Expected one of {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}"
            )
    asked = _targets(subjects, relation)
    used: Counter[str] = Counter()
    pairs: list[ConceptPair] = []
    unmatched: list[tuple[str, str, str]] = []
    for target, members in sorted(asked.items(), key=lambda item: item[0].id):
        wrong = _ordered(
            _outsiders(subjects, relation, target, members, negatives),
            popularity if negatives == "popular" else None,
            used,
            f"{seed} {relation} {target.id} {negatives}",
        )[: len(members)]
        used.update(subject.id for subject in wrong)
        unmatched += [(m.id, target.id, negatives) for m in members[len(wrong) :]]
        for right, other in zip(members, wrong, strict=False):
            match = first_match + len(pairs) // 2
            pairs += _matched(right, other, target, relation, negatives=negatives, match=match)
    return Pairs(tuple(pairs), tuple(unmatched))


def _matched(
    right: ProbeConcept,
    wrong: ProbeConcept,
    target: Target,
    relation: RelationKind,
    *,
    negatives: Negatives,
    match: int,
) -> list[ConceptPair]:
    level = right.hypernyms.index(target) + 1 if relation == "hypernym" else 0
    basic = right.basic == target.id and relation == "hypernym"
    return [
        ConceptPair(
            subject.id,
            subject.phrase,
            relation,
            target.id,
            target.phrase,
            subject is right,
            level,
            basic,
            negatives,
            match,
        )
        for subject in (right, wrong)
    ]


def wrong_targets(subjects: ConceptSet, relation: RelationKind, concept: str) -> tuple[Target, ...]:
    """Targets of other concepts that are certainly wrong of this one, for questions of choice."""
    (subject,) = subjects.only([concept]).subjects
    asked = _targets(subjects, relation)
    return tuple(
        target
        for target, members in asked.items()
        if _certain(subjects, relation, target, members, subject)
    )


def _targets(subjects: ConceptSet, relation: RelationKind) -> dict[Target, list[ProbeConcept]]:
    """Everything that can be asked for, with the concepts of which it is true."""
    found: dict[Target, list[ProbeConcept]] = {}
    for subject in subjects.subjects:
        if relation == "hypernym":
            targets = subject.hypernyms
        elif relation == "synonym":
            targets = tuple(Target(name, name) for name in subject.synonyms)
        else:
            targets = (Target(subject.id, subject.phrase),)
        for target in targets:
            found.setdefault(target, []).append(subject)
    return found


def _outsiders(
    subjects: ConceptSet,
    relation: RelationKind,
    target: Target,
    members: Sequence[ProbeConcept],
    negatives: Negatives,
) -> list[ProbeConcept]:
    sure = [s for s in subjects.subjects if _certain(subjects, relation, target, members, s)]
    if negatives in ("random", "popular"):
        return sure
    if negatives == "sibling":
        wanted = _same_depth(subjects, target, members, relation)
    else:
        wanted = {_next_up(member, target, relation) for member in members} - {""}
    return [subject for subject in sure if wanted & subject.above]


def _certain(
    subjects: ConceptSet,
    relation: RelationKind,
    target: Target,
    members: Sequence[ProbeConcept],
    subject: ProbeConcept,
) -> bool:
    """Whether "no" is certainly right: what is said of a bird may well be said of a crow."""
    if relation != "hypernym":
        return not any(
            subject.id == member.id or subject.id in member.above or member.id in subject.above
            for member in members
        )
    if target.id in subject.above or target.id == subject.id:
        return False
    well = subjects.sorted_well
    if well is None or subject.kind in well:
        return True
    return not any(member.kind == subject.kind for member in members)


def _next_up(member: ProbeConcept, target: Target, relation: RelationKind) -> str:
    """The class next above a target, or above the concept itself; "" where there is none."""
    rungs = [rung.id for rung in member.hypernyms]
    place = rungs.index(target.id) + 1 if relation == "hypernym" else 0
    return rungs[place] if place < len(rungs) else ""


def _same_depth(
    subjects: ConceptSet, target: Target, members: Sequence[ProbeConcept], relation: RelationKind
) -> set[str]:
    """Classes as far from the top as the target, or as the nearest class of a concept."""
    own = {t.id if (t := _rung(m, target, relation)) else "" for m in members} - {""}
    depths = {_depth(member, rung) for member in members for rung in own if _on(member, rung)}
    above = {rung for member in members for rung in member.above}
    return {
        rung.id
        for subject in subjects.subjects
        for rung in subject.hypernyms
        if _depth(subject, rung.id) in depths and rung.id not in above
    }


def _rung(member: ProbeConcept, target: Target, relation: RelationKind) -> Target | None:
    if relation == "hypernym":
        return target
    return member.hypernyms[0] if member.hypernyms else None


def _on(subject: ProbeConcept, rung: str) -> bool:
    return any(each.id == rung for each in subject.hypernyms)


def _depth(subject: ProbeConcept, rung: str) -> int:
    """Rungs above it on the ladder."""
    names = [each.id for each in subject.hypernyms]
    return len(names) - 1 - names.index(rung)


def _ordered(
    some: Sequence[ProbeConcept],
    popularity: Mapping[str, int] | None,
    used: Mapping[str, int],
    key: str,
) -> list[ProbeConcept]:
    """The most popular first, or else those first that were drawn least, at random."""
    rng = np.random.default_rng(stable_hash(key))
    mixed = [some[k] for k in rng.permutation(len(some))]
    if popularity is not None:
        return sorted(mixed, key=lambda subject: -popularity.get(subject.id, 0))
    return sorted(mixed, key=lambda subject: used.get(subject.id, 0))
