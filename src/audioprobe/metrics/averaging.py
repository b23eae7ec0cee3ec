"""From one label to many.

Conventions:
    Targets (True/False or 1/0) and scores (finite floats) have shape (n_clips, n_labels); labels
    keep their order, and the order of clips does not matter. Results are in the metric's own range.

    A macro mean is taken over the labels that are defined, and how many were not is counted in the
    estimate. It is never taken over a stand-in: LTU's script gives such a label an AUC of -1 and
    averages it in. A micro number pools all pairs of clip and label, so that frequent labels
    dominate it, and a ranking over the pool is only sensible where the scores of all labels are on
    one scale. Undefined is None, never a number.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.ranking import average_precision, roc_auc
from audioprobe.metrics.threshold import precision_recall_f1
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.types import BoolArray, Estimate, FloatArray

Metric: TypeAlias = Callable[[BoolArray, FloatArray], float | None]


def per_label(
    metric: Metric, targets: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[float | None, ...]:
    """The metric of each column.

    Args:
        metric: of targets and scores of one label, for example `roc_auc`.
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite.

    Returns:
        One number per label, in order; None where the metric is undefined.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, targets
            are not binary, or scores are not finite.
    """
    truth, values = validate(targets, scores, n_dimensions=2)
    return tuple(metric(*column) for column in zip(truth.T, values.T, strict=True))


def macro(values: Sequence[float | None]) -> Estimate:
    """Mean over the labels that are defined, each counting the same.

    Args:
        values: one per label, finite or None.

    Returns:
        `n` counts the defined labels, `n_undefined` the others; the value is None if none is
        defined.

    Raises:
        InvalidInputError: if a value is NaN or infinite; what is undefined must be None.
    """
    defined = [value for value in values if value is not None]
    if not all(map(math.isfinite, defined)):
        raise InvalidInputError(
            f"A macro mean needs finite values, or None where one is undefined, got {values}."
        )
    return Estimate(
        value=math.fsum(defined) / len(defined) if defined else None,
        n=len(defined),
        n_undefined=len(values) - len(defined),
        method="macro mean over the labels that are defined",
    )


def micro_roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """AUC over all pairs of clip and label.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite, on one scale for all labels.

    Returns:
        `n` counts the pairs. If none is positive or none is negative, the value is None, and
        `n_undefined` counts the pairs instead.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, targets
            are not binary, or scores are not finite.
    """
    truth, values = validate(targets, scores, n_dimensions=2)
    return _pooled(roc_auc(truth.ravel(), values.ravel()), truth.size)


def micro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Average precision over all pairs of clip and label.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite, on one scale for all labels.

    Returns:
        `n` counts the pairs. If none is positive, the value is None, and `n_undefined` counts the
        pairs instead.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, targets
            are not binary, or scores are not finite.
    """
    truth, values = validate(targets, scores, n_dimensions=2)
    return _pooled(average_precision(truth.ravel(), values.ravel()), truth.size)


def micro_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> Estimate:
    """F1 over all pairs of clip and label.

    A label without positives takes part here: what is predicted of it counts as false.

    Args:
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        predictions: shape (n_clips, n_labels); True or 1 where it is said to be present.

    Returns:
        `n` counts the pairs. If none is positive, the value is None, and `n_undefined` counts the
        pairs instead.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, or either
            is not binary.
    """
    truth, said = validate_predictions(targets, predictions, n_dimensions=2)
    return _pooled(precision_recall_f1(truth.ravel(), said.ravel()).f1, truth.size)


def _pooled(value: float | None, n_pairs: int) -> Estimate:
    undefined = value is None
    return Estimate(
        value=value,
        n=0 if undefined else n_pairs,
        n_undefined=n_pairs if undefined else 0,
        method="micro, over all pairs of clip and label",
    )
