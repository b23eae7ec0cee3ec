"""Relations of concepts to classes ("a crow is a bird") and to other names, in balanced pairs.

Each pair has a role: it is trained in audio and text, in text only, or not at all.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
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
"""Role of a pair of relations in training: in audio and text, in text only, or not trained.

Audio questions about "text_only" pairs measure the transfer from text to audio."""

ROLE_NAMES: Mapping[SplitRole, str] = {
    "audio_and_text": "trained in audio and text",
    "text_only": "trained in text only",
    "held_out": "held out",
}
"""Names of the roles for readers."""


@dataclass(frozen=True, slots=True)
class RelationPair:
    """A true and a false relation of two concepts to the same target (a class or a name).

    Attributes:
        true: true relation, for which the answer is "yes".
        false: false relation, of another concept to the same target.
        role: role of the pair in training.
    """

    true: ConceptPair
    false: ConceptPair
    role: SplitRole

    @property
    def both(self) -> tuple[ConceptPair, ConceptPair]:
        """The true and the false relation, in this order."""
        return self.true, self.false

    @property
    def concepts(self) -> frozenset[str]:
        """Ids of the concept of the true relation and of that of the false relation."""
        return frozenset((self.true.concept, self.false.concept))


def hypernym_pairs(
    concepts: Concepts, chosen: Iterable[str], *, held_out: float = 0.15, seed: int = 0
) -> tuple[RelationPair, ...]:
    """Draw pairs of a true and a false relation of concepts to classes (hypernyms).

    Every class has equally many true and false relations in each role, so that always guessing the
    same answer is correct half of the time. WordNet is incomplete: a missing link between a concept
    and a class does not prove that the relation is false. The concept of a false relation is
    therefore either similar to members of the class (a dog, for the class "bird"), or it belongs to
    a kind of which no concept is in the class.

    Args:
        concepts: collection with the classes and kinds of all concepts.
        chosen: ids of the concepts to ask about.
        held_out: share of the pairs that get the role "text_only"; an equal share gets the role
            "held_out".
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
        # Draw similar and dissimilar concepts, so that similarity does not predict the answer.
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
    """Draw pairs of a true and a false relation of concepts to other names (synonyms).

    The concept of the false relation is unrelated to the name, and if possible of the same kind.
    Arguments and errors are those of `hypernym_pairs`.
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
    """Return True if two concepts are the same, or one of them is a class of the other."""
    first_classes, second_classes = (
        {hypernym.id for hypernym in concept.ancestors} for concept in (first, second)
    )
    return first.id == second.id or second.id in first_classes or first.id in second_classes


def _select(concepts: Concepts, chosen: Iterable[str], held_out: float) -> list[Concept]:
    """Return the concepts with the ids `chosen`; raise if `held_out` is outside [0, 0.5)."""
    if not 0 <= held_out < 0.5:
        raise InvalidInputError(f"held_out must be in [0, 0.5), got {held_out}.")
    return [concepts[name] for name in dict.fromkeys(chosen)]


def _pair(
    member: Concept, other: Concept, relation: RelationKind, target: tuple[str, str], match: int
) -> tuple[ConceptPair, ConceptPair]:
    """Return the true relation of `member` and the false relation of `other` to a target.

    Args:
        member: concept that belongs to the target class, or has the target name.
        other: concept that does not.
        relation: kind of relation.
        target: id and phrase of the class or name.
        match: number that identifies the pair; it is equal in the two relations.
    """
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
    """Return two lists of concepts that are not in a class: similar and dissimilar concepts.

    Similar concepts share a class with members of the target class. Dissimilar concepts belong to
    a kind of which no concept is in the target class.
    """
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
    """Return the training role of a pair, chosen by a hash of the text that identifies it."""
    share = stable_hash(key) / 2**64
    if share < held_out:
        return "held_out"
    return "text_only" if share < 2 * held_out else "audio_and_text"


def relations_of_other_concepts(trained: Collection[str], seed: int) -> list[ConceptPair]:
    """Return true and false relations of the shipped concepts whose ids are not in `trained`."""
    shipped = Concepts.shipped()
    names = [concept.id for concept in shipped if concept.id not in {*trained}]
    pairs = hypernym_pairs(shipped, names, held_out=0.0, seed=seed)
    return [relation for pair in pairs for relation in pair.both]
