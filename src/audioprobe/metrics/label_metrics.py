"""Metrics of label scores: AUC and average precision of a label, macro and micro averages.

Conventions:
    Targets are True/False or 1/0, scores are finite floats in any range. Only the order of the
    scores matters. Invalid arrays raise `InvalidInputError`.

    A macro average is the mean over the labels whose metric is defined. LTU's script instead counts
    an undefined label as an AUC of -1. A micro average pools all pairs of clip and label, so that
    frequent labels dominate it; the scores of all labels must be on the same scale.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

Metric: TypeAlias = Callable[[BoolArray, FloatArray], float | None]
"""Function of the targets and the scores of one label; None means that it is undefined."""


def roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Return the area under the ROC curve; a tied pair of clips counts half.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,); higher means "more likely present".

    Returns:
        A number in [0, 1], 0.5 if all scores are equal; None if there are no positives or no
        negatives.
    """
    present, values = validate(targets, scores, n_dimensions=1)
    if present.all() or not present.any():
        return None
    return float(roc_auc_score(present, values))


def average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Return the area under the precision-recall curve as a sum of steps, without interpolation.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,); higher means "more likely present".

    Returns:
        A number in (0, 1], the share of positives if all scores are equal; None if there are no
        positives.
    """
    present, values = validate(targets, scores, n_dimensions=1)
    return float(average_precision_score(present, values)) if present.any() else None


def per_label(
    metric: Metric, targets: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[float | None, ...]:
    """Return the value of a metric for each label; None where the metric is undefined.

    Args:
        metric: function of the targets and the scores of one label, such as `roc_auc`.
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels).
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return tuple(metric(*column) for column in zip(present.T, values.T, strict=True))


def with_failures(
    targets: BoolArray, scores: FloatArray, failed_targets: BoolArray
) -> tuple[BoolArray, FloatArray]:
    """Return targets and ranks with additional rows for failed clips, which count as wrong.

    A failed clip is ranked below all others for each label that it has, and above all others for
    each label that it does not have. The AUC of the result is a lower bound of the
    AUC with any scores of the failed clips. If no scores tie, the same holds for the average
    precision.

    Args:
        targets: boolean matrix of the scored clips, shape (n_clips, n_labels).
        scores: finite scores, shape (n_clips, n_labels).
        failed_targets: boolean matrix of the failed clips, shape (n_failed, n_labels).

    Returns:
        Targets and ranks, shape (n_clips + n_failed, n_labels). Ranks of a label have the order of
        its scores.
    """
    ranks = rankdata(scores, method="dense", axis=0).astype(np.float64)
    # Without ties: precision is computed at the end of a group of ties, which would be higher.
    below = -np.arange(len(failed_targets), dtype=np.float64)[:, None]
    worst = np.where(failed_targets, below, len(ranks) + 1)
    return np.concatenate([targets, failed_targets]), np.concatenate([ranks, worst])


def macro(values: Sequence[float | None]) -> Estimate:
    """Return the mean of the values that are not None.

    `n` of the result counts the labels with a value, `n_undefined` the labels without a value.

    Raises:
        InvalidInputError: if a value is NaN or infinite; undefined values must be None.
    """
    defined = [value for value in values if value is not None]
    if not all(map(math.isfinite, defined)):
        raise InvalidInputError(
            f"Expected finite values, or None for undefined values, in a macro mean, got {values}."
        )
    return Estimate(
        value=math.fsum(defined) / len(defined) if defined else None,
        n=len(defined),
        n_undefined=len(values) - len(defined),
        method="macro mean over the labels that are defined",
    )


def micro_roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Return the ROC AUC over all pairs of clip and label.

    The value is None if there are no positives or no negatives. Both arguments have shape
    (n_clips, n_labels).
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return micro_estimate(roc_auc(present.ravel(), values.ravel()), present.size)


def micro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Return the average precision over all pairs of clip and label.

    The value is None if there are no positives. Both arguments have shape (n_clips, n_labels).
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return micro_estimate(average_precision(present.ravel(), values.ravel()), present.size)


def micro_estimate(value: float | None, n_pairs: int) -> Estimate:
    """Return a micro average as an `Estimate` whose counts are pairs of clip and label.

    Args:
        value: the micro average; None if it is undefined.
        n_pairs: number of clips times number of labels.
    """
    undefined = value is None
    return Estimate(
        value=value,
        n=0 if undefined else n_pairs,
        n_undefined=n_pairs if undefined else 0,
        method="micro, over all pairs of clip and label",
    )


def confusion_of_best(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Float64Array:
    """Return the confusion matrix of reference labels and the label with the highest score.

    A clip whose top label is correct counts on the diagonal; another clip is divided equally among
    its reference labels. Clips without reference labels are ignored. If several labels have the
    highest score, the first of them is the top label.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels).

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
