"""Metrics implemented here agree with scikit-learn wherever both are defined."""

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
from audioprobe.types import BoolArray

RNG = np.random.default_rng(0)
TARGETS = RNG.random((30, 4)) < 0.4
SCORES = np.round(RNG.normal(size=(30, 4)) + TARGETS, 1)  # with ties


def test_macro_and_micro_averages_agree() -> None:
    predictions = SCORES >= 0.5
    for average, measured in (
        (
            "macro",
            (
                macro(per_label(roc_auc, TARGETS, SCORES)),
                macro(per_label(average_precision, TARGETS, SCORES)),
                macro(f1_per_label(TARGETS, SCORES, FixedThreshold(0.5))),
            ),
        ),
        (
            "micro",
            (
                micro_roc_auc(TARGETS, SCORES),
                micro_average_precision(TARGETS, SCORES),
                micro_f1(TARGETS, predictions),
            ),
        ),
    ):
        expected = (
            roc_auc_score(TARGETS, SCORES, average=average),
            average_precision_score(TARGETS, SCORES, average=average),
            f1_score(TARGETS, predictions, average=average),
        )
        assert [estimate.value for estimate in measured] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(arrays(np.bool_, st.tuples(st.integers(1, 30), st.just(2))))
def test_precision_recall_and_f1_agree_wherever_they_are_defined(pairs: BoolArray) -> None:
    targets, predictions = pairs.T
    measured = precision_recall_f1(targets, predictions)
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predictions, average="binary", zero_division=np.nan
    )
    for value, expected in ((measured.precision, precision), (measured.recall, recall)):
        assert (np.nan if value is None else value) == pytest.approx(expected, nan_ok=True)
    if measured.f1 is not None:
        assert measured.f1 == pytest.approx(f1, abs=1e-12)


@pytest.mark.parametrize("predictions", [[1, 0], [0, 0]])
def test_f1_without_positives_is_undefined_where_scikit_learn_gives_zero(
    predictions: list[int],
) -> None:
    assert f1_score([0, 0], predictions, zero_division=0) == 0.0
    assert precision_recall_f1([0, 0], predictions).f1 is None
