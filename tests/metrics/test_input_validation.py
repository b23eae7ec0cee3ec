"""Invalid arrays are rejected with messages about what was received and what to do."""

from typing import Any

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import (
    FixedThreshold,
    OracleThreshold,
    TunedThreshold,
    average_precision,
    best_f1_threshold,
    f1_per_label,
    micro_average_precision,
    micro_f1,
    micro_roc_auc,
    per_label,
    precision_recall_f1,
    roc_auc,
)

OF_ONE_LABEL: list[Any] = [roc_auc, average_precision, best_f1_threshold, precision_recall_f1]
OF_MANY_LABELS: list[Any] = [
    micro_roc_auc,
    micro_average_precision,
    micro_f1,
    lambda targets, scores: per_label(roc_auc, targets, scores),
    lambda targets, scores: f1_per_label(targets, scores, FixedThreshold(0.5)),
    lambda targets, scores: TunedThreshold.fit(targets, scores, on="valid"),
    TunedThreshold((0.5,), on="valid").thresholds,
    FixedThreshold(0.5).thresholds,
    OracleThreshold().thresholds,
]


@pytest.mark.parametrize("metric", OF_ONE_LABEL)
@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([1, 0], [1.0, 0.0, 0.0], r"the same shape, got \(2,\) and \(3,\)"),
        ([[1], [0]], [[1.0], [0.0]], r"need shape \(n_clips,\), got shape \(2, 1\)"),
        ([], [], r"at least one value, got shape \(0,\)"),
        ([0, 2], [1.0, 0.0], "targets must be True/False or 1/0, but 1 of 2 .* the first is 2"),
        ([0.3, 0.7], [1.0, 0.0], "Compare probabilities or counts with a threshold first"),
        ([0.0, np.nan], [1.0, 0.0], "the first is nan"),
        (["yes", "no"], [1.0, 0.0], "targets need real numbers or bools, got dtype <U3"),
        ([1, 0], [1j, 0j], "need real numbers or bools, got dtype complex128"),
        ([1, 0], [None, 1.0], "need real numbers or bools, got dtype object"),
    ],
)
def test_metrics_of_one_label_reject_invalid_arrays(
    metric: Any, targets: list[Any], scores: list[Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        metric(np.array(targets), np.array(scores))


@pytest.mark.parametrize("metric", OF_MANY_LABELS)
@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([[1], [0]], [[1.0]], r"the same shape, got \(2, 1\) and \(1, 1\)"),
        (np.zeros((2, 3)), np.zeros((3, 2)), r"the same shape, got \(2, 3\) and \(3, 2\)"),
        ([1, 0], [1.0, 0.0], r"need shape \(n_clips, n_labels\), got shape \(2,\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"at least one value, got shape \(0, 3\)"),
        (np.zeros((3, 0)), np.zeros((3, 0)), r"at least one value, got shape \(3, 0\)"),
        ([[2], [0]], [[1.0], [0.0]], "1 of 2 values are neither"),
    ],
)
def test_metrics_of_several_labels_reject_invalid_arrays(
    metric: Any, targets: Any, scores: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        metric(np.array(targets), np.array(scores))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_rejected(bad: float) -> None:
    for metric in (roc_auc, average_precision, best_f1_threshold):
        with pytest.raises(InvalidInputError, match="1 of 3 are NaN or infinite"):
            metric([1, 0, 1], [0.5, bad, 0.1])


def test_scores_are_rejected_as_predictions() -> None:
    with pytest.raises(InvalidInputError, match="predictions must be True/False or 1/0"):
        precision_recall_f1([1, 0], [0.9, 0.1])
    with pytest.raises(InvalidInputError, match="predictions must be True/False or 1/0"):
        micro_f1([[1], [0]], [[0.9], [0.1]])


def test_inputs_are_not_modified() -> None:
    targets, scores = np.array([1, 0, 1]), np.array([3.0, 1.0, 2.0])
    before = targets.copy(), scores.copy()
    targets.flags.writeable = scores.flags.writeable = False
    for metric in (roc_auc, average_precision, best_f1_threshold):
        metric(targets, scores)
    assert np.array_equal(targets, before[0])
    assert np.array_equal(scores, before[1])
