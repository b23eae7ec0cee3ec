"""Relations of concepts to classes ("a crow is a bird") and to other names, in balanced pairs.

A role decides for each pair whether it is trained in audio, in text, or not at all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audioprobe.concepts import Concept, Concepts, Hypernym
from audioprobe.concepts.collection import AMBIGUOUS_CLASSES, CLOSED_WORLD_KINDS
from audioprobe.concepts.concept import with_article_of
from audioprobe.errors import InvalidInputError
from audioprobe.probing.questions import draw_lowest
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.trial import ConceptPair
from audioprobe.texts import stable_hash

SplitRole = Literal["audio_and_text", "text_only", "held_out"]
"""How a pair is trained: in audio and text, in text only, or not at all ("held_out").

Audio questions about "text_only" pairs measure transfer from text to audio."""


@dataclass(frozen=True, slots=True)
class RelationPair:
    """Two relations with the same target (a class or a name): one is true and one is false.

    Attributes:
        true: relation for which the answer is "yes".
        false: relation of another concept to the same target, for which the answer is "no".
        role: how the pair is trained.
    """

    true: ConceptPair
    false: ConceptPair
    role: SplitRole

    @property
    def both(self) -> tuple[ConceptPair, ConceptPair]:
        """The true relation, then the false relation."""
        return self.true, self.false

    @property
    def concepts(self) -> frozenset[str]:
        """Ids of both concepts."""
        return frozenset((self.true.concept, self.false.concept))


def hypernym_pairs(
    concepts: Concepts, chosen: Iterable[str], *, held_out: float = 0.15, seed: int = 0
) -> tuple[RelationPair, ...]:
    """Return balanced pairs of relations between concepts and their classes (hypernyms).

    Each class has equally many true and false relations in every role, so guessing by base rates is
    correct half of the time. The concept of a false relation is related to the class (a dog, for
    the class "bird"), or is of a kind without any member in the class: that WordNet does not
    connect a concept and a class is not enough for the answer "no".

    Args:
        concepts: collection with the classes and kinds of all concepts.
        chosen: ids of the concepts to ask about.
        held_out: share of pairs in each of the roles "text_only" and "held_out"; the role of each
            pair is drawn.
        seed: random seed of the false relations and the roles.

    Raises:
        InvalidInputError: if the share is outside [0, 0.5), or a concept is unknown.
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
        # Draw from both groups, so that the group of a concept does not predict the answer.
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
    """Return pairs of relations between concepts and their other names (synonyms).

    The false relation has an unrelated concept, of the same kind if possible. See `hypernym_pairs`
    for arguments and errors.
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
    """Return whether two concepts are the same, or one of them is a class of the other."""
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
    """Return the true and the false relation to a target, which is given as (id, phrase)."""
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
    """Return concepts that are not in a class: related concepts, and concepts of other kinds."""
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
