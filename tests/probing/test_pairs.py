"""Pairs are balanced within every target, and wrong pairs are certainly wrong."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.probing.listeners import ASKED, BY_ID, SUBJECTS

from audioprobe.errors import InvalidInputError
from audioprobe.probing.pairs import (
    NEGATIVES,
    RELATIONS,
    Negatives,
    RelationKind,
    balanced_pairs,
    false_targets,
)
from audioprobe.probing.relations.concept_set import ConceptSet, ProbeConcept, Target, from_concepts

SHIPPED = from_concepts()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(ASKED), min_size=6, unique=True),
    st.sampled_from(RELATIONS),
    st.sampled_from(NEGATIVES),
    st.integers(0, 5),
)
def test_each_target_is_right_as_often_as_wrong(
    chosen: list[str], relation: RelationKind, negatives: Negatives, seed: int
) -> None:
    try:
        drawn = balanced_pairs(SUBJECTS.subset(chosen), relation, negatives, seed=seed)
    except InvalidInputError:
        return  # nothing that could be matched
    counts = Counter((pair.target, pair.holds) for pair in drawn.pairs)
    for target in {pair.target for pair in drawn.pairs}:
        assert counts[target, True] == counts[target, False]
    for pair in drawn.pairs:
        subject = BY_ID[pair.concept]
        true_of_it = {subject.id, *subject.synonyms, *(rung.id for rung in subject.hypernyms)}
        assert (pair.target in true_of_it) == pair.holds
        assert pair.target not in subject.ancestors or pair.holds


def test_every_right_pair_is_asked_or_listed() -> None:
    for negatives in NEGATIVES:
        drawn = balanced_pairs(SHIPPED, "hypernym", negatives)
        n_right = sum(pair.holds for pair in drawn.pairs)
        n_rungs = sum(len(subject.hypernyms) for subject in SHIPPED.concepts)
        assert n_right + len(drawn.unmatched) == n_rungs


def rungs(subject: ProbeConcept) -> list[str]:
    return [rung.id for rung in subject.hypernyms]


def height(subject: ProbeConcept, rung: str) -> int:
    """Rungs above it."""
    return len(rungs(subject)) - 1 - rungs(subject).index(rung)


def test_adversarial_ones_share_the_next_class_and_siblings_lie_on_another_branch() -> None:
    adversarial = balanced_pairs(SUBJECTS, "hypernym", "adversarial")
    asked = {(p.concept, p.target): p.holds for p in adversarial.pairs}
    for concept, target in (k for k, holds in asked.items() if not holds and k[1] == "bird"):
        assert "animal" in BY_ID[concept].ancestors, (concept, target)
    siblings = balanced_pairs(SUBJECTS, "hypernym", "sibling")
    for pair in siblings.pairs:
        wrong_one = BY_ID[pair.concept]
        assert pair.holds or pair.target not in wrong_one.ancestors
        depths = {height(s, pair.target) for s in SUBJECTS.concepts if pair.target in rungs(s)}
        assert pair.holds or depths & {height(wrong_one, rung) for rung in rungs(wrong_one)}
    popular = balanced_pairs(SUBJECTS, "hypernym", "popular", popularity={"rain": 9, "dog": 8})
    wrong = Counter(p.concept for p in popular.pairs if not p.holds)
    assert wrong.most_common(1)[0][0] in ("rain", "dog")


def test_where_wordnet_lacks_an_edge_no_wrong_pair_is_made_of_it() -> None:
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


def test_what_people_would_grant_is_neither_asked_nor_denied() -> None:
    for negatives in NEGATIVES:
        drawn = balanced_pairs(SHIPPED, "hypernym", negatives).pairs
        asked = {(pair.concept, pair.target) for pair in drawn}
        assert not asked & {
            ("bell", "musical-instrument"),
            ("washing-machine", "machine"),
            ("baby", "animal"),
            ("organ", "internal-organ"),
        }
    heard = {(p.concept, p.target) for p in balanced_pairs(SHIPPED, "identity").pairs}
    assert not heard & {("ambulance", "siren"), ("car", "engine"), ("siren", "ambulance")}


def test_wrong_options_are_wrong() -> None:
    targets = {target.id for target in false_targets(SUBJECTS, "hypernym", "crow")}
    assert "musical-instrument" in targets
    assert not targets & {"bird", "animal"}


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Did you mean 'sibling'"):
        balanced_pairs(SUBJECTS, "hypernym", "siblings")  # type: ignore[arg-type]
    alone = balanced_pairs(SUBJECTS.subset(["crow"]), "hypernym")
    assert alone.pairs == ()
    assert alone.unmatched == (("crow", "animal", "random"), ("crow", "bird", "random"))
    with pytest.raises(InvalidInputError, match="no concept 'kraken'"):
        SUBJECTS.subset(["kraken"])
    with pytest.raises(InvalidInputError, match="distinct hypernyms"):
        ProbeConcept(id="crow", phrase="a crow", hypernyms=(Target("bird", "a bird"),))
