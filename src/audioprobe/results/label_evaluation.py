"""Metrics of each label and their macro means, with confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from audioprobe.metrics import (
    ThresholdPolicy,
    average_precision,
    f1_per_label,
    macro,
    per_label,
    ranked_labels,
    roc_auc,
)
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.ranked_labels import RankedLabels
from audioprobe.metrics.threshold import decisions
from audioprobe.metrics.vectorized_metrics import macro_f1, mean_of_defined
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

IntervalFunction: TypeAlias = Callable[
    [Statistic, Sequence[Estimate], Sequence[BoolArray]], Sequence[Estimate]
]
"""Function that returns estimates with confidence intervals; see `Bootstrap.estimates`.

Its arguments are a function that computes all values of each resample, the values over all clips,
and for each value the targets of the labels that it depends on.
"""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMetrics:
    """Metrics of all labels of a score matrix.

    Attributes:
        labels: metrics of each label.
        auc: macro mean over the labels whose AUC is defined.
        average_precision: macro mean over the labels whose average precision is defined.
        f1: macro mean over the labels whose F1 is defined.
    """

    labels: tuple[LabelEvaluation, ...]
    auc: Estimate
    average_precision: Estimate
    f1: Estimate


def evaluate_labels(
    scores: FloatArray,
    targets: BoolArray,
    labels: tuple[str, ...],
    threshold: ThresholdPolicy | None,
    with_intervals: IntervalFunction,
) -> LabelMetrics:
    """Compute the metrics of each label and their macro means, with intervals.

    Args:
        scores: finite scores, shape (n_clips, n_labels).
        targets: boolean matrix, shape (n_clips, n_labels): True if the label is present.
        labels: labels of the columns.
        threshold: how thresholds for F1 are chosen; None omits F1.
        with_intervals: function that returns estimates with confidence intervals.
    """
    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    undefined = (None,) * len(labels)
    thresholds = threshold.thresholds(targets, scores) if threshold else undefined
    f1s = f1_per_label(targets, scores, threshold) if threshold else undefined
    n_labels = len(labels)
    points = [macro((value,)) for value in (*aucs, *precisions)] + [macro(aucs), macro(precisions)]
    present = [targets[:, [n]] for n in range(n_labels)] * 2 + [targets, targets]
    columns, predictions = decisions(scores, thresholds)
    macro_f1s = [macro_f1(targets[:, columns], predictions)] if columns else []
    estimates = with_intervals(
        _joint(RankedLabels(targets, scores), macro_f1s),
        points + [macro(f1s)] * len(macro_f1s),
        present + [targets] * len(macro_f1s),
    )
    auc, precision, *f1 = estimates[2 * n_labels :]
    return LabelMetrics(
        labels=tuple(
            LabelEvaluation(
                label=label,
                n_positive=int(targets[:, n].sum()),
                auc=estimates[n],
                average_precision=estimates[n_labels + n],
                f1=f1s[n],
                threshold=thresholds[n],
            )
            for n, label in enumerate(labels)
        ),
        auc=auc,
        average_precision=precision,
        f1=f1[0] if f1 else macro(f1s),
    )


def _joint(labels: RankedLabels, others: Sequence[Statistic]) -> Statistic:
    """Return a function that computes all values of each resample.

    Its result has shape (n_resamples, n_values): AUC of each label, average precision of each
    label, the macro means of both, and the values of `others`.
    """

    def statistic(counts: Float64Array) -> Float64Array:
        areas = labels.areas(counts, ranked_labels.roc_auc, ranked_labels.average_precision)
        means = [mean_of_defined(of_labels) for of_labels in areas]
        return np.stack([*areas[0], *areas[1], *means, *(f(counts) for f in others)], axis=1)

    return statistic
