"""Draw balanced pairs of concept and target, and define the settings of the questions about them.

A target is the class or name that a question asks about: "a bird" in "Is a grouse a bird?".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar, get_args

import numpy as np

from audioprobe.concepts import Concept
from audioprobe.errors import InvalidInputError
from audioprobe.probing.relations.concept_set import (
    ConceptSet,
    Negatives,
    ProbeConcept,
    RelationKind,
    Target,
)
from audioprobe.probing.trial import (
    CONDITIONS,
    FORMS,
    ConceptPair,
    Condition,
    Form,
    check_known,
)
from audioprobe.probing.wordings import Wordings
from audioprobe.texts import stable_hash

RELATIONS: tuple[RelationKind, ...] = ("identity", "synonym", "hypernym")
NEGATIVES: tuple[Negatives, ...] = get_args(Negatives)
N_OPTIONS = 4
"""Number of options of a choice question."""

Candidate = TypeVar("Candidate", Concept, ProbeConcept)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionConfig:
    """Settings of the questions of a probe.

    Attributes:
        wordings: texts of the questions.
        conditions: conditions under which each question is asked; see `Condition`. () means "text",
            all conditions that need clips if there are clips, and "spoken word" if there are
            spoken words, but not those in `ON_REQUEST`.
        forms: forms of the questions: "yes-no", "negated", "choice", "reversed".
        negatives: how false pairs are drawn; each value adds a balanced set of questions. See
            `balanced_pairs`.
        n_orders: number of orders in which the options of a choice question are presented, 1 to 4;
            the correct option moves by one position from order to order.
        n_clips: maximum number of clips per concept; 0 means all. A true pair and its matched false
            pair use the same number of clips.
        n_windows: number of windows under the condition "window"; at least 2. The model receives
            each window alone. Windows have equal lengths and follow one another.
        seed: seed of false pairs, wrong clips, option orders and noise.

    Raises:
        InvalidInputError: for an unknown condition or form, or a number out of its range.
    """

    wordings: Wordings
    conditions: tuple[Condition, ...] = ("text", "audio")
    forms: tuple[Form, ...] = ("yes-no",)
    negatives: tuple[Negatives, ...] = ("random",)
    n_orders: int = 1
    n_clips: int = 2
    n_windows: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        check_known("condition", self.conditions, CONDITIONS)
        check_known("form", self.forms, FORMS)
        if not 1 <= self.n_orders <= N_OPTIONS:
            raise InvalidInputError(f"n_orders must be 1 to {N_OPTIONS}, got {self.n_orders}.")
        if self.n_windows < 2:
            raise InvalidInputError(f"n_windows must be at least 2, got {self.n_windows}.")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Balanced pairs: each target has as many true pairs as false pairs.

    Attributes:
        pairs: each true pair, followed by its matched false pair.
        unmatched: true pairs that are left out because no false pair exists, as (concept, target,
            negatives).
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
    """Draw true and false pairs of concept and target, equally many for each target.

    A model that always says "yes", or that guesses from the base rate of each target, has an
    accuracy of one half. Concepts that were drawn least often are drawn first.

    Args:
        concepts: the concepts to ask about.
        relation: what the targets are: classes, other names, or the concepts themselves.
        negatives: from which concepts a false pair is drawn. The target is certainly false of all
            of them. "random" draws any concept; "popular" draws the most frequent concepts;
            "sibling" draws a concept with a class that is as deep as the target, on another
            branch; "adversarial" draws a concept below the class directly above the target. For
            names, "sibling" and "adversarial" use the nearest class of the true concept.
        popularity: frequency of each concept, such as its number of clips; used by "popular".
        seed: seed of the draw.
        first_match: `ConceptPair.match` of the first pair; it increases by 1 from pair to pair.

    Raises:
        InvalidInputError: for an unknown relation or an unknown value of `negatives`.
    """
    check_known("relation", [relation], RELATIONS)
    check_known("kind of negatives", [negatives], NEGATIVES)
    n_drawn: Counter[str] = Counter()
    rank = (
        Counter({concept: -n for concept, n in popularity.items()})
        if negatives == "popular"
        else n_drawn
    )
    pairs: list[ConceptPair] = []
    unmatched: list[tuple[str, str, str]] = []
    for target, members in sorted(concepts.members(relation).items(), key=lambda item: item[0].id):
        rng = np.random.default_rng(stable_hash(f"{seed} {relation} {target.id} {negatives}"))
        candidates = concepts.false_concepts(target, members, relation, negatives)
        wrong = draw_lowest(candidates, len(members), rank, rng)
        n_drawn.update(concept.id for concept in wrong)
        unmatched += [(m.id, target.id, negatives) for m in members[len(wrong) :]]
        for member, other in zip(members, wrong, strict=False):
            match = first_match + len(pairs) // 2
            true = _true_pair(member, target, relation, negatives, match)
            pairs += [true, replace(true, concept=other.id, phrase=other.phrase, holds=False)]
    return Pairs(tuple(pairs), tuple(unmatched))


def _true_pair(
    concept: ProbeConcept, target: Target, relation: RelationKind, negatives: Negatives, match: int
) -> ConceptPair:
    is_hypernym = relation == "hypernym"
    return ConceptPair(
        concept=concept.id,
        phrase=concept.phrase,
        relation=relation,
        target=target.id,
        target_phrase=target.phrase,
        holds=True,
        level=concept.hypernyms.index(target) + 1 if is_hypernym else 0,
        basic=is_hypernym and concept.basic == target.id,
        negatives=negatives,
        match=match,
    )


def draw_lowest(
    candidates: Sequence[Candidate], n: int, rank: Mapping[str, int], rng: np.random.Generator
) -> list[Candidate]:
    """Draw up to n candidates without replacement, the lowest ranks first.

    Args:
        candidates: concepts to draw from.
        n: number of candidates to draw.
        rank: rank, such as the number of earlier draws, keyed by candidate id; 0 if missing.
        rng: generator that shuffles candidates of the same rank.
    """
    shuffled = [candidates[k] for k in rng.permutation(len(candidates))]
    return sorted(shuffled, key=lambda candidate: rank.get(candidate.id, 0))[:n]
