"""Precision, recall and F1, and the policies that set their thresholds."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import (
    FixedThreshold,
    OracleThreshold,
    PrecisionRecallF1,
    ThresholdPolicy,
    TunedThreshold,
    best_f1_threshold,
    f1_per_label,
    precision_recall_f1,
)
from audioprobe.types import BoolArray, FloatArray

_score = st.integers(-4, 4).map(float) | st.floats(-5, 5)
_clip = st.tuples(st.booleans(), _score)


@st.composite
def scored_clips(draw: st.DrawFn) -> tuple[BoolArray, FloatArray]:
    """Draw targets and scores of one label, with at least one positive and some tied scores."""
    targets, scores = map(
        np.array, zip(*draw(st.lists(_clip, min_size=1, max_size=30)), strict=True)
    )
    assume(targets.any())
    return targets, scores


def f1_at(threshold: float, targets: BoolArray, scores: FloatArray) -> float:
    value = precision_recall_f1(targets, scores >= threshold).f1
    assert value is not None
    return value


# Two labels in four clips: the first is separated at 0.6, the second has no positives.
TARGETS = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
SCORES = np.array([[0.9, 0.3], [0.2, 0.8], [0.6, 0.1], [0.5, 0.2]])


def test_hits_misses_and_false_alarms_are_counted() -> None:
    assert precision_recall_f1([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == PrecisionRecallF1(
        precision=2 / 3,
        recall=2 / 3,
        f1=2 / 3,
        n_true_positive=2,
        n_false_positive=1,
        n_false_negative=1,
    )


def test_recall_and_f1_are_undefined_without_positives() -> None:
    measured = precision_recall_f1([0, 0], [1, 0])
    assert (measured.precision, measured.recall, measured.f1) == (0.0, None, None)


def test_precision_is_undefined_and_f1_zero_without_predictions() -> None:
    measured = precision_recall_f1([1, 0], [0, 0])
    assert (measured.precision, measured.recall, measured.f1) == (None, 0.0, 0.0)


def test_all_are_undefined_without_positives_and_predictions() -> None:
    measured = precision_recall_f1([0, 0], [0, 0])
    assert (measured.precision, measured.recall, measured.f1) == (None, None, None)


@settings(deadline=None, max_examples=30)
@given(scored_clips())
def test_best_threshold_agrees_with_brute_force(
    clips: tuple[BoolArray, FloatArray],
) -> None:
    targets, scores = clips
    falling = sorted(set(scores.tolist()), reverse=True)
    assert best_f1_threshold(targets, scores) == max(
        falling, key=lambda cut: f1_at(cut, targets, scores)
    )


@settings(deadline=None, max_examples=30)
@given(scored_clips(), st.floats(-10, 10))
def test_no_other_threshold_beats_the_oracle(
    clips: tuple[BoolArray, FloatArray], other: float
) -> None:
    targets, scores = clips
    column = targets[:, None], scores[:, None]
    (best,) = f1_per_label(*column, OracleThreshold())
    (rival,) = f1_per_label(*column, FixedThreshold(other))
    assert best is not None
    assert rival is not None
    assert best >= rival


@settings(deadline=None, max_examples=30)
@given(scored_clips(), scored_clips())
def test_tuned_thresholds_never_beat_the_oracle(
    tuning: tuple[BoolArray, FloatArray], clips: tuple[BoolArray, FloatArray]
) -> None:
    tuned = TunedThreshold.fit(tuning[0][:, None], tuning[1][:, None], on="valid")
    column = clips[0][:, None], clips[1][:, None]
    (achieved,), (best,) = f1_per_label(*column, tuned), f1_per_label(*column, OracleThreshold())
    assert achieved is not None
    assert best is not None
    assert achieved <= best


def test_highest_of_equally_good_thresholds_is_taken() -> None:
    # A threshold with 1 hit in 1 prediction and one with 2 hits in 4 both have an F1 of 2/3.
    targets, scores = np.array([1, 0, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0])
    assert f1_at(4.0, targets, scores) == f1_at(1.0, targets, scores)
    assert best_f1_threshold(targets, scores) == 4.0


def test_best_threshold_is_undefined_without_positives() -> None:
    assert best_f1_threshold([0, 0, 0], [0.1, 0.2, 0.3]) is None


def test_score_equal_to_the_threshold_is_predicted() -> None:
    assert f1_per_label([[1], [0]], [[0.5], [0.4]], FixedThreshold(0.5)) == (1.0,)


def test_fixed_threshold_is_the_same_for_every_label() -> None:
    assert FixedThreshold(0.5).thresholds(TARGETS, SCORES) == (0.5, 0.5)


def test_oracle_uses_the_scored_data_and_tuning_another_split() -> None:
    shifted = SCORES + 1
    tuned = TunedThreshold.fit(TARGETS, SCORES, on="valid")
    assert tuned.thresholds(TARGETS, shifted) == (0.6, None)
    assert OracleThreshold().thresholds(TARGETS, shifted) == (1.6, None)


def test_label_without_positives_in_the_tuning_split_has_no_f1() -> None:
    tuned = TunedThreshold.fit(TARGETS, SCORES, on="valid")
    both_present = np.ones_like(TARGETS)
    assert tuned.values == (0.6, None)
    assert f1_per_label(both_present, SCORES, tuned)[1] is None


def test_label_without_positives_has_no_f1_with_any_policy() -> None:
    tuned = TunedThreshold((0.6, 0.2), on="valid")
    for policy in (FixedThreshold(0.6), tuned, OracleThreshold()):
        assert f1_per_label(TARGETS, SCORES, policy) == (1.0, None)


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (FixedThreshold(0.5), "fixed at 0.5"),
        (FixedThreshold(0.12345678), "fixed at 0.12345678"),
        (TunedThreshold((0.5,), on="valid"), "tuned on valid"),
        (OracleThreshold(), "oracle (best on the scored data itself)"),
    ],
)
def test_every_policy_has_a_name(policy: ThresholdPolicy, name: str) -> None:
    assert policy.name == name
    assert isinstance(policy, ThresholdPolicy)


def test_tuned_thresholds_reject_another_number_of_labels() -> None:
    tuned = TunedThreshold.fit(TARGETS, SCORES, on="valid")
    with pytest.raises(InvalidInputError, match="tuned for 2 labels, but there are scores for 1"):
        tuned.thresholds(TARGETS[:, :1], SCORES[:, :1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_thresholds_that_are_not_finite_are_rejected(value: float) -> None:
    with pytest.raises(InvalidInputError, match="finite"):
        FixedThreshold(value)
    with pytest.raises(InvalidInputError, match="finite"):
        TunedThreshold((0.5, value), on="valid")


def test_tuned_thresholds_need_a_split_name_and_labels() -> None:
    with pytest.raises(InvalidInputError, match="name of the split"):
        TunedThreshold.fit(TARGETS, SCORES, on="")
    with pytest.raises(InvalidInputError, match="at least one label"):
        TunedThreshold((), on="valid")
