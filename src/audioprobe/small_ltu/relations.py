"""What to ask of concepts: pairs with a class above them or another name, half of them wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audioprobe.concepts import Concept, Concepts, Hypernym
from audioprobe.concepts.ambiguous_classes import AMBIGUOUS_CLASSES, CLOSED_WORLD_KINDS
from audioprobe.concepts.concept import with_article_of
from audioprobe.errors import InvalidInputError
from audioprobe.seeding import stable_hash

SplitRole = Literal["taught", "text", "unseen"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A concept, a class or a name, and whether the one is of the other.

    Attributes:
        concept: what is asked about.
        kind: "hypernym" asks for a class, "synonym" for another name.
        target: id of the class, or the name.
        phrase: how it is said, with its article: "a bird".
        holds: the right answer.
        holding: "taught" pairs may be asked in words and in sound while a model is trained, "text"
            ones in words alone, so that sound can be tested, and "unseen" ones not at all.
        match: what a right relation shares with its wrong one, within the target.
    """

    concept: Concept
    kind: Literal["hypernym", "synonym"]
    target: str
    phrase: str
    holds: bool
    holding: SplitRole
    match: str = ""


def hypernyms(
    concepts: Concepts,
    chosen: Iterable[str],
    *,
    held_out: float = 0.15,
    seed: int = 0,
) -> tuple[Relation, ...]:
    """Balanced pairs of a concept and a class.

    Within every class, and every holding of it, as many hold as do not; so whoever knows a class's
    base rate and never listens is right half of the time. A wrong pair takes a concept of the same
    branch where there is one (a dog, for "bird"), or else of a kind that has no member in the class
    at all: an edge that WordNet lacks is no reason for a "no".

    Args:
        concepts: where classes and kinds come from.
        chosen: ids of the concepts to ask about.
        held_out: share of pairs in each of "text" and "unseen", drawn pair by pair.
        seed: another one draws other wrong pairs and holds out others.

    Raises:
        InvalidInputError: for a share that leaves nothing to teach, or an unknown concept.
    """
    asked = _asked(concepts, chosen, held_out)
    rungs = {
        rung.id: rung
        for concept in asked
        for rung in concept.hypernyms
        if rung.id not in AMBIGUOUS_CLASSES
    }
    found: list[Relation] = []
    used: Counter[str] = Counter()
    for rung in sorted(rungs.values(), key=lambda rung: rung.id):
        members = [concept for concept in asked if rung in concept.ancestors]
        near, far = _outsiders(concepts, rung, members, asked)
        rng = np.random.default_rng(stable_hash(f"{seed} {rung.id}"))
        # From both, so that neither is a sign of the answer.
        wrongs = _least_used(near, (len(members) + 1) // 2, used, rng)
        wrongs += _least_used(far, len(members) - len(wrongs), used, rng)
        for n, (right, wrong) in enumerate(zip(members, wrongs, strict=False)):
            holding = _holding(f"{seed} {rung.id} {right.id} {n}", held_out)
            for concept, holds in ((right, True), (wrong, False)):
                match = f"{right.id} {n}"
                found.append(
                    Relation(concept, "hypernym", rung.id, rung.phrase, holds, holding, match)
                )
    return tuple(found)


def synonyms(
    concepts: Concepts,
    chosen: Iterable[str],
    *,
    held_out: float = 0.15,
    seed: int = 0,
) -> tuple[Relation, ...]:
    """Balanced pairs of a concept and another name: each with its concept and with a wrong one.

    The wrong one is of the same kind where there is one that the name does not fit.

    Args:
        concepts: where names and kinds come from.
        chosen: ids of the concepts to ask about.
        held_out: as for `hypernyms`.
        seed: as for `hypernyms`.

    Raises:
        InvalidInputError: as for `hypernyms`.
    """
    asked = _asked(concepts, chosen, held_out)
    found: list[Relation] = []
    used: Counter[str] = Counter()
    for right in asked:
        others = [c for c in asked if c is not right and not related(c, right)]
        near = [c for c in others if c.kind == right.kind] or others
        for synonym in right.synonyms:
            rng = np.random.default_rng(stable_hash(f"{seed} {synonym.name}"))
            holding = _holding(f"{seed} {right.id} called {synonym.name}", held_out)
            phrase = with_article_of(right.phrase, synonym.name)
            found.extend(
                Relation(
                    concept, "synonym", synonym.name, phrase, concept is right, holding, right.id
                )
                for concept in (right, *_least_used(near, 1, used, rng))
            )
    return tuple(found)


def _asked(concepts: Concepts, chosen: Iterable[str], held_out: float) -> list[Concept]:
    if not 0 <= held_out < 0.5:
        raise InvalidInputError(f"held_out must be in [0, 0.5), got {held_out}.")
    return [concepts[name] for name in dict.fromkeys(chosen)]


def related(one: Concept, other: Concept) -> bool:
    """Whether the one is the other or a kind of it, either way round.

    What is said of a bird may well be said of a crow.
    """
    above = {rung.id for rung in one.ancestors} | {one.id}
    return other.id in above or one.id in {rung.id for rung in other.ancestors}


def _outsiders(
    concepts: Concepts, rung: Hypernym, members: Sequence[Concept], asked: Sequence[Concept]
) -> tuple[list[Concept], list[Concept]]:
    """Concepts that are certainly not of a class: of its own branch, and of other kinds."""
    kinds = {concept.kind for concept in concepts.hyponyms(rung.id)}
    above = _above(rung, members)
    others = [c for c in asked if rung not in c.ancestors and c.id != rung.id]
    near = [c for c in others if c.kind in CLOSED_WORLD_KINDS and above & c.ancestors]
    far = [c for c in others if c not in near and c.kind not in kinds]
    return near, far


def _least_used(
    some: Sequence[Concept], n: int, used: Counter[str], rng: np.random.Generator
) -> list[Concept]:
    """So many of them at random, those first that were drawn least often; counts them."""
    mixed = [some[k] for k in rng.permutation(len(some))]
    drawn = sorted(mixed, key=lambda concept: used[concept.id])[:n]
    used.update(concept.id for concept in drawn)
    return drawn


def _above(rung: Hypernym, members: Sequence[Concept]) -> frozenset[Hypernym]:
    """What stands over a rung on the ladders that it is on."""
    found: set[Hypernym] = set()
    for concept in members:
        if rung in concept.hypernyms:
            found.update(concept.hypernyms[concept.hypernyms.index(rung) + 1 :])
    return frozenset(other for other in found if other.id not in AMBIGUOUS_CLASSES)


def _holding(key: str, held_out: float) -> SplitRole:
    share = stable_hash(key) / 2**64
    if share < held_out:
        return "unseen"
    return "text" if share < 2 * held_out else "taught"
