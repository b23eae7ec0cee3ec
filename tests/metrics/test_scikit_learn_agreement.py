"""Wherever a number is defined it is scikit-learn's, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from audioprobe.metrics import (
    FixedThreshold,
    average_precision,
    f1_per_label,
    macro,
    micro_average_precision,
    micro_f1,
    micro_roc_auc,
    per_label,
    precision_recall_f1,
    roc_auc,
)
from audioprobe.types import BoolArray, FloatArray

_EXACT = 1e-12
_score = st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6, width=32)


@st.composite
def score_matrices(draw: st.DrawFn) -> tuple[BoolArray, FloatArray]:
    """Targets and scores of 1 to 5 labels in 3 to 30 clips, each label with both kinds of clip."""
    shape = draw(st.tuples(st.integers(3, 30), st.integers(1, 5)))
    targets = draw(arrays(np.bool_, shape))
    targets[0], targets[1] = True, False
    return targets, draw(arrays(np.float64, shape, elements=_score))


@settings(deadline=None)
@given(score_matrices())
def test_ranking_agrees_label_by_label(matrix: tuple[BoolArray, FloatArray]) -> None:
    aucs = roc_auc_score(*matrix, average=None)
    precisions = average_precision_score(*matrix, average=None)
    assert per_label(roc_auc, *matrix) == pytest.approx(tuple(np.atleast_1d(aucs)), abs=_EXACT)
    assert per_label(average_precision, *matrix) == pytest.approx(
        tuple(np.atleast_1d(precisions)), abs=_EXACT
    )


@settings(deadline=None)
@given(score_matrices())
def test_macro_means_agree(matrix: tuple[BoolArray, FloatArray]) -> None:
    auc, precision = (
        macro(per_label(roc_auc, *matrix)),
        macro(per_label(average_precision, *matrix)),
    )
    f1 = macro(f1_per_label(*matrix, FixedThreshold(0.5)))
    predictions = matrix[1] >= 0.5
    assert auc.value == pytest.approx(roc_auc_score(*matrix, average="macro"), abs=_EXACT)
    assert precision.value == pytest.approx(
        average_precision_score(*matrix, average="macro"), abs=_EXACT
    )
    # A single column would be read as one two-class problem, of which f1_score wants "binary".
    columns = zip(matrix[0].T, predictions.T, strict=True)
    expected = np.mean([f1_score(truth, said) for truth, said in columns])
    assert f1.value == pytest.approx(expected, abs=_EXACT)


@settings(deadline=None)
@given(score_matrices())
def test_micro_numbers_agree(matrix: tuple[BoolArray, FloatArray]) -> None:
    targets, scores = matrix
    assert micro_roc_auc(targets, scores).value == pytest.approx(
        roc_auc_score(targets, scores, average="micro"), abs=_EXACT
    )
    assert micro_average_precision(targets, scores).value == pytest.approx(
        average_precision_score(targets, scores, average="micro"), abs=_EXACT
    )
    assert micro_f1(targets, scores >= 0.5).value == pytest.approx(
        f1_score(targets.ravel(), scores.ravel() >= 0.5), abs=_EXACT
    )


@settings(deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 30), st.just(2))))
def test_precision_recall_and_f1_agree_wherever_they_are_defined(pairs: BoolArray) -> None:
    targets, predictions = pairs.T
    measured = precision_recall_f1(targets, predictions)
    expected = precision_recall_fscore_support(
        targets, predictions, average="binary", zero_division=np.nan
    )
    for value, reference in zip((measured.precision, measured.recall), expected, strict=False):
        if value is None:
            assert np.isnan(reference)
        else:
            assert value == pytest.approx(reference, abs=_EXACT)
    if measured.f1 is not None:
        assert measured.f1 == pytest.approx(expected[2], abs=_EXACT)


@pytest.mark.parametrize(("targets", "predictions"), [([0, 0], [1, 0]), ([0, 0], [0, 0])])
def test_where_scikit_learn_puts_a_zero_for_want_of_positives_nothing_is_claimed(
    targets: list[int], predictions: list[int]
) -> None:
    assert f1_score(targets, predictions, zero_division=0) == 0.0
    assert precision_recall_f1(targets, predictions).f1 is None


def test_where_positives_are_all_missed_both_say_zero() -> None:
    assert f1_score([1, 0], [0, 0]) == 0.0
    assert precision_recall_f1([1, 0], [0, 0]).f1 == 0.0
