"""What to ask of concepts: pairs of a concept and a class above it, as many wrong as right."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audioprobe.concepts import Concept, Concepts, Rung
from audioprobe.errors import InvalidInputError

Holding = Literal["taught", "text", "unseen"]

VAGUE = frozenset(
    {
        "approval",
        "chemical-reaction",
        "communication",
        "container",
        "device",
        "equipment",
        "event",
        "noise",
        "signaling-device",
        "sound",
        "wave",
    }
)
"""Rungs that people would also grant to what WordNet puts elsewhere: nothing is asked of them."""


SORTED_WELL = frozenset({"animal", "instrument", "tool"})
"""Kinds in which WordNet's classes are those of people; elsewhere it calls a train no vehicle."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A concept, a class, and whether the one is of the other.

    Attributes:
        concept: what is asked about.
        rung: the class.
        holds: the right answer.
        holding: "taught" pairs may be asked in words and in sound while a model is trained, "text"
            ones in words alone, so that sound can be tested, and "unseen" ones not at all.
    """

    concept: Concept
    rung: Rung
    holds: bool
    holding: Holding


def relations(
    concepts: Concepts,
    chosen: Iterable[str],
    *,
    held_out: float = 0.15,
    seed: int = 0,
) -> tuple[Relation, ...]:
    """Balanced pairs: within every class as many that hold as do not, in every holding.

    So whoever knows a class's base rate and never listens is right half of the time. A wrong pair
    takes a concept of the same branch where there is one (a dog, for "bird"), or else of a kind
    that has no member in the class at all: an edge that WordNet lacks is no reason for a "no".

    Args:
        concepts: where classes and kinds come from.
        chosen: ids of the concepts to ask about.
        held_out: share of pairs in each of "text" and "unseen", drawn pair by pair.
        seed: another one draws other wrong pairs and holds out others.

    Raises:
        InvalidInputError: for a share that leaves nothing to teach, or an unknown concept.
    """
    if not 0 <= held_out < 0.5:
        raise InvalidInputError(f"held_out must be in [0, 0.5), got {held_out}.")
    asked = [concepts[name] for name in dict.fromkeys(chosen)]
    rungs = {rung.id: rung for concept in asked for rung in concept.ladder if rung.id not in VAGUE}
    found: list[Relation] = []
    used: Counter[str] = Counter()
    for rung in sorted(rungs.values(), key=lambda rung: rung.id):
        members = [concept for concept in asked if rung in concept.ancestors]
        near, far = _outsiders(concepts, rung, members, asked)
        rng = np.random.default_rng(_number(f"{seed} {rung.id}"))
        # From both, so that neither is a sign of the answer.
        wrongs = _least_used(near, (len(members) + 1) // 2, used, rng)
        wrongs += _least_used(far, len(members) - len(wrongs), used, rng)
        for n, (right, wrong) in enumerate(zip(members, wrongs, strict=False)):
            holding = _holding(f"{seed} {rung.id} {right.id} {n}", held_out)
            found.append(Relation(right, rung, holds=True, holding=holding))
            found.append(Relation(wrong, rung, holds=False, holding=holding))
    return tuple(found)


def _outsiders(
    concepts: Concepts, rung: Rung, members: Sequence[Concept], asked: Sequence[Concept]
) -> tuple[list[Concept], list[Concept]]:
    """Concepts that are certainly not of a class: of its own branch, and of other kinds."""
    kinds = {concept.kind for concept in concepts.under(rung.id)}
    above = _above(rung, members)
    others = [c for c in asked if rung not in c.ancestors and c.id != rung.id]
    near = [c for c in others if c.kind in SORTED_WELL and above & c.ancestors]
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


def _above(rung: Rung, members: Sequence[Concept]) -> frozenset[Rung]:
    """What stands over a rung on the ladders that it is on."""
    found: set[Rung] = set()
    for concept in members:
        if rung in concept.ladder:
            found.update(concept.ladder[concept.ladder.index(rung) + 1 :])
    return frozenset(other for other in found if other.id not in VAGUE)


def _holding(key: str, held_out: float) -> Holding:
    share = _number(key) / 2**64
    if share < held_out:
        return "unseen"
    return "text" if share < 2 * held_out else "taught"


def _number(key: str) -> int:
    """The same on every machine, unlike `hash`."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
