"""Macro-averaged ROC curves with confidence bands, and confusion matrices of the top label.

Conventions:
    Targets (True/False or 1/0) and scores (finite) have shape (n_clips, n_labels). Invalid arrays
    raise `InvalidInputError`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.validation import validate
from audioprobe.metrics.vectorized_metrics import RankedLabel, mean_of_defined
from audioprobe.types import Float64Array

GRID = np.linspace(0, 1, 101)
"""False-positive rates at which curves are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Mean of the ROC curves of several labels.

    Attributes:
        false_positive_rate: shape (n_points,), increasing from 0 to 1.
        true_positive_rate: mean over the labels with both positives and negatives, shape
            (n_points,).
        low: lower edge of the confidence band at each point; None if there is no band.
        high: upper edge of the confidence band at each point; None if there is no band.
        n_labels: number of labels in the mean.
    """

    false_positive_rate: Float64Array
    true_positive_rate: Float64Array
    low: Float64Array | None
    high: Float64Array | None
    n_labels: int


def macro_roc_curve(
    targets: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Sequence[Hashable] | None = None,
) -> RocCurve | None:
    """Return the mean of the labels' ROC curves at `GRID`, with a pointwise confidence band.

    Args:
        targets: shape (n_clips, n_labels).
        scores: shape (n_clips, n_labels).
        bootstrap: settings of the band, which always uses percentiles; None computes no band.
        groups: group of each clip; clips of a group are resampled together.

    Returns:
        None if no label has both positives and negatives.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    is_mixed = present.any(axis=0) & ~present.all(axis=0)
    if not is_mixed.any():
        return None
    labels = [RankedLabel(present[:, k], values[:, k]) for k in np.flatnonzero(is_mixed)]
    (curve,) = _mean_curves(labels, np.ones((1, len(present))))
    low = high = None
    if bootstrap is not None:
        chunks = bootstrap.resamples(len(present), groups=groups)
        curves = np.concatenate([_mean_curves(labels, counts) for counts in chunks])
        ends = (1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2
        low, high = np.nanquantile(curves, ends, axis=0)
    return RocCurve(GRID, curve, low, high, len(labels))


def confusion_of_best(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Float64Array:
    """Return the confusion matrix of reference labels and the label with the highest score.

    A clip whose top label is correct counts on the diagonal; another clip is divided equally among
    its reference labels. Clips without reference labels are ignored. If several labels have the
    highest score, the first of them is the top label.

    Returns:
        Numbers of clips, shape (n_labels, n_labels): rows are reference labels, columns top labels.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    confusion = np.zeros((present.shape[1], present.shape[1]))
    for row, best in zip(present, np.argmax(values, axis=1).tolist(), strict=True):
        if row[best]:
            confusion[best, best] += 1
        elif row.any():
            confusion[row, best] += 1 / row.sum()
    return confusion


def _mean_curves(labels: Sequence[RankedLabel], counts: Float64Array) -> Float64Array:
    """Return the mean curve at `GRID` in each resample, shape (n_resamples, n_points)."""
    by_clip = np.ascontiguousarray(counts.T)
    return mean_of_defined([_curves(*label.cumulative_counts(by_clip)) for label in labels])


def _curves(hits: Float64Array, false_alarms: Float64Array) -> Float64Array:
    """Return true-positive rates at `GRID`; NaN if a resample lacks positives or negatives."""
    curves = np.full((hits.shape[1], len(GRID)), np.nan)
    for row in np.flatnonzero((hits[-1] > 0) & (false_alarms[-1] > 0)):
        x, y = (np.append(0.0, n[:, row] / n[-1, row]) for n in (false_alarms, hits))
        curves[row] = np.interp(GRID, x, y)
    return curves
