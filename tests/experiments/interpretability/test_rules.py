"""Outcomes of measurements, and conclusions from outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.interpretability.rules import (
    Conclusion,
    ConclusionRules,
    Outcome,
    PredictionEvidence,
    independent_difference,
    shifted,
)
from audioprobe.types import Estimate

RULES = ConclusionRules()
OUTCOMES = st.sampled_from(["agrees", "disagrees", "undecided", "not measured"])


def interval(low: float, high: float, n_concepts: int = 20) -> Estimate:
    return Estimate(value=(low + high) / 2, n=40, low=low, high=high, n_groups=n_concepts)


@pytest.mark.parametrize(
    ("estimate", "outcome"),
    [
        (interval(0.01, 0.5), "agrees"),
        (interval(0.01, 0.05), "agrees"),  # small, but certainly above 0
        (interval(-0.2, 0.09), "disagrees"),
        (interval(-0.2, 0.11), "undecided"),
        (interval(0.0, 0.5), "undecided"),
        (interval(0.01, 0.5, n_concepts=5), "undecided"),
        (interval(0.0, 0.0, n_concepts=3), "undecided"),  # equal values of few concepts
        (Estimate(value=0.4, n=40), "undecided"),
        (Estimate(value=None, n=0), "undecided"),
    ],
)
def test_an_interval_decides(estimate: Estimate, outcome: Outcome) -> None:
    assert RULES.outcome(estimate, 0.1) == outcome


def test_a_curve_agrees_at_its_best_significant_place() -> None:
    above, unclear = interval(0.2, 0.4), interval(-0.1, 0.9)
    higher = interval(0.3, 0.5)
    agrees = RULES.outcome_over_places([above, unclear, higher], [0.01, 0.01, 0.2], 0.1)
    assert agrees == ("agrees", 0)
    assert RULES.outcome_over_places([above, higher], [0.2, None], 0.1) == ("undecided", 1)
    below = interval(-0.1, 0.05)
    assert RULES.outcome_over_places([below, below], [1.0, 1.0], 0.1) == ("disagrees", 0)
    assert RULES.outcome_over_places([below, unclear], [1.0, 1.0], 0.1) == ("undecided", 1)
    undefined = Estimate(value=None, n=0)
    assert RULES.outcome_over_places([below, undefined], [1.0, None], 0.1) == ("undecided", 0)
    assert RULES.outcome_over_places([undefined], [None], 0.1) == ("undecided", None)


@given(st.lists(st.tuples(OUTCOMES, st.booleans()), max_size=5), st.randoms())
def test_a_conclusion_follows_from_necessary_predictions(
    parts: list[tuple[Outcome, bool]], random: st.DataObject
) -> None:
    def conclusion() -> str:
        evidence = [
            PredictionEvidence(prediction="", source="", necessary=necessary, outcome=outcome)
            for outcome, necessary in parts
        ]
        return Conclusion("a mechanism", tuple(evidence)).name

    first = conclusion()
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert conclusion() == first
    necessary = [outcome for outcome, is_necessary in parts if is_necessary]
    assert (first == "contradicted") == ("disagrees" in necessary)
    assert (first == "supported") == (bool(necessary) and {*necessary} == {"agrees"})


def test_the_interval_of_an_independent_difference_contains_all_differences() -> None:
    difference = independent_difference(interval(0.6, 0.8), interval(0.5, 0.9))
    assert difference.low == pytest.approx(-0.3)
    assert difference.high == pytest.approx(0.3)
    assert difference.n_groups == 40
    undefined = independent_difference(interval(0.6, 0.8), Estimate(value=None, n=0))
    assert undefined.value is None
    assert independent_difference(interval(0, 1), Estimate(value=0.5, n=3)).low is None


def test_shifting_keeps_undefined_values() -> None:
    assert shifted(interval(0.6, 0.8), -0.5).low == pytest.approx(0.1)
    assert shifted(Estimate(value=None, n=0), -0.5) == Estimate(value=None, n=0)


def test_thresholds_must_be_in_range() -> None:
    with pytest.raises(InvalidInputError, match="margins above 0"):
        ConclusionRules(accuracy_margin=0.0)
