"""Pairs are balanced within every target, and false pairs are certainly false."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.probing.known_models import BY_ID, CONCEPTS, NAMES

from audioprobe.errors import InvalidInputError
from audioprobe.probing import (
    ConceptSet,
    Negatives,
    ProbeConcept,
    RelationKind,
    Target,
    balanced_pairs,
    from_concepts,
)
from audioprobe.probing.questions import NEGATIVES, RELATIONS

SHIPPED = from_concepts()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(NAMES), min_size=6, unique=True),
    st.sampled_from(RELATIONS),
    st.sampled_from(NEGATIVES),
    st.integers(0, 5),
)
def test_each_target_is_true_as_often_as_false(
    names: list[str], relation: RelationKind, negatives: Negatives, seed: int
) -> None:
    pairs = balanced_pairs(CONCEPTS.subset(names), relation, negatives, seed=seed).pairs
    counts = Counter((pair.target, pair.holds) for pair in pairs)
    for pair in pairs:
        assert counts[pair.target, True] == counts[pair.target, False]
        concept = BY_ID[pair.concept]
        true = {concept.id, *concept.synonyms, *(h.id for h in concept.hypernyms)}
        assert (pair.target in true) == pair.holds
        assert pair.target not in concept.ancestors or pair.holds


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_every_true_pair_is_matched_or_listed(negatives: Negatives) -> None:
    pairs = balanced_pairs(SHIPPED, "hypernym", negatives)
    n_hypernyms = sum(len(concept.hypernyms) for concept in SHIPPED.concepts)
    assert sum(pair.holds for pair in pairs.pairs) + len(pairs.unmatched) == n_hypernyms


def hypernyms(concept: ProbeConcept) -> list[str]:
    return [hypernym.id for hypernym in concept.hypernyms]


def n_above(concept: ProbeConcept, name: str) -> int:
    return len(hypernyms(concept)) - 1 - hypernyms(concept).index(name)


def test_adversarial_negatives_share_the_class_above_the_target() -> None:
    pairs = balanced_pairs(CONCEPTS, "hypernym", "adversarial").pairs
    false_birds = [p.concept for p in pairs if p.target == "bird" and not p.holds]
    assert false_birds
    assert all("animal" in BY_ID[concept].ancestors for concept in false_birds)


def test_siblings_have_a_class_of_the_same_depth_on_another_branch() -> None:
    for pair in balanced_pairs(CONCEPTS, "hypernym", "sibling").pairs:
        if not pair.holds:
            concept = BY_ID[pair.concept]
            members = [c for c in CONCEPTS.concepts if pair.target in hypernyms(c)]
            depths = {n_above(member, pair.target) for member in members}
            assert pair.target not in concept.ancestors
            assert depths & {n_above(concept, name) for name in hypernyms(concept)}


def test_popular_negatives_are_the_most_frequent_concepts() -> None:
    popularity = {"rain": 9, "dog": 8}
    pairs = balanced_pairs(CONCEPTS, "hypernym", "popular", popularity=popularity).pairs
    false = Counter(pair.concept for pair in pairs if not pair.holds)
    assert false.most_common(1)[0][0] in popularity


def test_false_pairs_cross_kinds_where_the_taxonomy_may_lack_an_edge() -> None:
    train = ProbeConcept(id="train", phrase="a train", kind="vehicle")
    car = ProbeConcept(
        id="car",
        phrase="a car",
        kind="vehicle",
        hypernyms=(Target("v", "a vehicle"),),
        ancestors=frozenset({"v"}),
    )
    crow = ProbeConcept(id="crow", phrase="a crow", kind="animal")
    strict = ConceptSet("mine", "1", (train, car, crow), closed_world_kinds=frozenset())
    assert {p.concept for p in balanced_pairs(strict, "hypernym").pairs} == {"car", "crow"}
    trusting = ConceptSet("mine", "1", (train, car))
    assert {p.concept for p in balanced_pairs(trusting, "hypernym").pairs} == {"car", "train"}


def test_doubtful_memberships_are_neither_true_nor_false_targets() -> None:
    for negatives in NEGATIVES:
        pairs = balanced_pairs(SHIPPED, "hypernym", negatives).pairs
        assert not {(pair.concept, pair.target) for pair in pairs} & {
            ("bell", "musical-instrument"),
            ("washing-machine", "machine"),
            ("baby", "animal"),
            ("organ", "internal-organ"),
        }
    identity = {(p.concept, p.target) for p in balanced_pairs(SHIPPED, "identity").pairs}
    assert not identity & {("ambulance", "siren"), ("car", "engine"), ("siren", "ambulance")}


def test_false_targets_are_not_above_the_concept() -> None:
    targets = {target.id for target in CONCEPTS.false_targets("hypernym", "crow")}
    assert "musical-instrument" in targets
    assert not targets & {"bird", "animal"}


def test_invalid_arguments_are_refused_and_unmatched_pairs_are_listed() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'sibling'"):
        balanced_pairs(CONCEPTS, "hypernym", "siblings")  # type: ignore[arg-type]
    alone = balanced_pairs(CONCEPTS.subset(["crow"]), "hypernym")
    assert alone.pairs == ()
    assert alone.unmatched == (("crow", "animal", "random"), ("crow", "bird", "random"))
    with pytest.raises(InvalidInputError, match="no concept 'kraken'"):
        CONCEPTS.subset(["kraken"])
    with pytest.raises(InvalidInputError, match="distinct hypernyms"):
        ProbeConcept(id="crow", phrase="a crow", hypernyms=(Target("bird", "a bird"),))
