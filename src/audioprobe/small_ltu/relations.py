"""Relations of concepts to classes and names: balanced pairs, split by how they may be trained."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audioprobe.concepts import Concept, Concepts, Hypernym
from audioprobe.concepts.ambiguous_classes import AMBIGUOUS_CLASSES, CLOSED_WORLD_KINDS
from audioprobe.concepts.concept import with_article_of
from audioprobe.errors import InvalidInputError
from audioprobe.probing.pairs import ConceptPair, RelationKind, draw_lowest
from audioprobe.seeding import stable_hash

SplitRole = Literal["audio_and_text", "text_only", "held_out"]
"""Whether a pair is trained in audio and text, in text only (audio then tests transfer), or not."""


@dataclass(frozen=True, slots=True)
class RelationPair:
    """A target, a concept for which it is true, and one for which it is false.

    Attributes:
        true: the pair for which the answer is yes.
        false: the matched pair for which it is no.
        role: how the pair may be trained.
    """

    true: ConceptPair
    false: ConceptPair
    role: SplitRole

    @property
    def both(self) -> tuple[ConceptPair, ConceptPair]:
        """The true pair, then the false one."""
        return self.true, self.false

    @property
    def concepts(self) -> frozenset[str]:
        """Ids of both concepts."""
        return frozenset((self.true.concept, self.false.concept))


def hypernym_pairs(
    concepts: Concepts, chosen: Iterable[str], *, held_out: float = 0.15, seed: int = 0
) -> tuple[RelationPair, ...]:
    """Return balanced pairs of a concept and a class above it.

    Each class has as many true as false pairs in every role, so guessing from base rates is correct
    half of the time. A false pair takes a concept of the same branch if there is one (a dog, for
    "bird"), or else of a kind without any member in the class: a missing edge in WordNet does
    not prove a "no".

    Args:
        concepts: where classes and kinds come from.
        chosen: ids of the concepts to ask about.
        held_out: share of pairs in each of "text_only" and "held_out", drawn pair by pair.
        seed: of the false pairs and the roles.

    Raises:
        InvalidInputError: for a share outside [0, 0.5), or an unknown concept.
    """
    selected = _select(concepts, chosen, held_out)
    classes = {
        h.id: h for concept in selected for h in concept.hypernyms if h.id not in AMBIGUOUS_CLASSES
    }
    pairs: list[RelationPair] = []
    n_drawn: Counter[str] = Counter()
    for name in sorted(classes):
        target = classes[name]
        members = [concept for concept in selected if target in concept.ancestors]
        near, far = _non_members(concepts, target, members, selected)
        rng = np.random.default_rng(stable_hash(f"{seed} {target.id}"))
        # From both, so that neither group predicts the answer.
        others = draw_lowest(near, (len(members) + 1) // 2, n_drawn, rng)
        n_drawn.update(concept.id for concept in others)
        more = draw_lowest(far, len(members) - len(others), n_drawn, rng)
        n_drawn.update(concept.id for concept in more)
        for n, (member, other) in enumerate(zip(members, [*others, *more], strict=False)):
            role = _role(f"{seed} {target.id} {member.id} {n}", held_out)
            pair = _pair(member, other, "hypernym", (target.id, target.phrase), len(pairs))
            pairs.append(RelationPair(*pair, role))
    return tuple(pairs)


def synonym_pairs(
    concepts: Concepts, chosen: Iterable[str], *, held_out: float = 0.15, seed: int = 0
) -> tuple[RelationPair, ...]:
    """Return pairs of a concept and another name of it, each with an unrelated concept.

    The unrelated concept is of the same kind if there is one.

    Args and errors are those of `hypernym_pairs`.
    """
    selected = _select(concepts, chosen, held_out)
    pairs: list[RelationPair] = []
    n_drawn: Counter[str] = Counter()
    for concept in selected:
        others = [c for c in selected if c is not concept and not are_related(c, concept)]
        candidates = [c for c in others if c.kind == concept.kind] or others
        for synonym in concept.synonyms:
            rng = np.random.default_rng(stable_hash(f"{seed} {synonym.name}"))
            role = _role(f"{seed} {concept.id} called {synonym.name}", held_out)
            phrase = with_article_of(concept.phrase, synonym.name)
            for other in draw_lowest(candidates, 1, n_drawn, rng):
                n_drawn.update([other.id])
                pair = _pair(concept, other, "synonym", (synonym.name, phrase), len(pairs))
                pairs.append(RelationPair(*pair, role))
    return tuple(pairs)


def are_related(first: Concept, second: Concept) -> bool:
    """Return whether the concepts are the same, or one is a kind of the other."""
    first_classes, second_classes = (
        {hypernym.id for hypernym in concept.ancestors} for concept in (first, second)
    )
    return first.id == second.id or second.id in first_classes or first.id in second_classes


def _select(concepts: Concepts, chosen: Iterable[str], held_out: float) -> list[Concept]:
    if not 0 <= held_out < 0.5:
        raise InvalidInputError(f"held_out must be in [0, 0.5), got {held_out}.")
    return [concepts[name] for name in dict.fromkeys(chosen)]


def _pair(
    member: Concept, other: Concept, relation: RelationKind, target: tuple[str, str], match: int
) -> tuple[ConceptPair, ConceptPair]:
    """The true and the false pair of a target, given as its id and its phrase."""
    name, phrase = target
    basic = relation == "hypernym" and member.basic is not None and member.basic.id == name
    true, false = (
        ConceptPair(
            concept=concept.id,
            phrase=concept.phrase,
            relation=relation,
            target=name,
            target_phrase=phrase,
            holds=concept is member,
            basic=basic,
            match=match,
        )
        for concept in (member, other)
    )
    return true, false


def _non_members(
    concepts: Concepts, target: Hypernym, members: Sequence[Concept], selected: Sequence[Concept]
) -> tuple[list[Concept], list[Concept]]:
    """Concepts that are certainly not of a class: of its own branch, and of other kinds."""
    kinds = {concept.kind for concept in concepts.hyponyms(target.id)}
    above: set[Hypernym] = set()
    for concept in members:
        if target in concept.hypernyms:
            above.update(concept.hypernyms[concept.hypernyms.index(target) + 1 :])
    branch = frozenset(hypernym for hypernym in above if hypernym.id not in AMBIGUOUS_CLASSES)
    others = [c for c in selected if target not in c.ancestors and c.id != target.id]
    near = [c for c in others if c.kind in CLOSED_WORLD_KINDS and branch & c.ancestors]
    far = [c for c in others if c not in near and c.kind not in kinds]
    return near, far


def _role(key: str, held_out: float) -> SplitRole:
    share = stable_hash(key) / 2**64
    if share < held_out:
        return "held_out"
    return "text_only" if share < 2 * held_out else "audio_and_text"
