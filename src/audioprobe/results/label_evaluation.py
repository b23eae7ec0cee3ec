"""Metrics of each label, with confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from audioprobe.metrics import (
    ThresholdPolicy,
    average_precision,
    f1_per_label,
    macro,
    per_label,
    roc_auc,
)
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.vectorized_metrics import macro_average_precision, macro_roc_auc
from audioprobe.types import BoolArray, Estimate, FloatArray

IntervalFunction: TypeAlias = Callable[[Statistic, Estimate, BoolArray], Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvaluation:
    """Metrics of one label.

    Attributes:
        label: name of the label.
        n_positive: number of clips that have the label.
        auc: area under the ROC curve, in [0, 1]; its value is None if no clip or every clip has
            the label. It has no interval if the label occurs in fewer than two groups of clips.
        average_precision: area under the step-wise precision-recall curve, in [0, 1]; undefined
            and without interval in the same cases.
        f1: F1 at `threshold`, in [0, 1]; None if the label has no threshold or no clip.
        threshold: lowest score at which the label counts as predicted; None if it has none.
    """

    label: str
    n_positive: int
    auc: Estimate
    average_precision: Estimate
    f1: float | None
    threshold: float | None


def evaluate_labels(
    scores: FloatArray,
    targets: BoolArray,
    labels: tuple[str, ...],
    threshold: ThresholdPolicy | None,
    with_interval: IntervalFunction,
) -> tuple[LabelEvaluation, ...]:
    """Compute the metrics of each label.

    Args:
        scores: finite scores, shape (n_clips, n_labels).
        targets: boolean matrix, shape (n_clips, n_labels): True if the label is present.
        labels: labels of the columns.
        threshold: how thresholds for F1 are chosen; None omits F1.
        with_interval: function of a statistic, its value and the targets of the label, which
            returns the value with a confidence interval.
    """
    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    undefined = (None,) * len(labels)
    thresholds = threshold.thresholds(targets, scores) if threshold else undefined
    f1s = f1_per_label(targets, scores, threshold) if threshold else undefined
    evaluated = []
    for n, label in enumerate(labels):
        present, values = targets[:, [n]], scores[:, [n]]
        auc, precision = macro(aucs[n : n + 1]), macro(precisions[n : n + 1])
        evaluated.append(
            LabelEvaluation(
                label=label,
                n_positive=int(present.sum()),
                auc=with_interval(macro_roc_auc(present, values), auc, present),
                average_precision=with_interval(
                    macro_average_precision(present, values), precision, present
                ),
                f1=f1s[n],
                threshold=thresholds[n],
            )
        )
    return tuple(evaluated)
