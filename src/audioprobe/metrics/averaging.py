"""Metrics for several labels: one value per label, macro averages and micro averages.

Conventions:
    Targets (True/False or 1/0) and scores (finite floats) have shape (n_clips, n_labels). Invalid
    arrays raise `InvalidInputError`.

    A macro average is the mean over the labels whose metric is defined; the estimate counts the
    labels whose metric is undefined. LTU's script instead counts an undefined label as an AUC of
    -1. A micro average pools all pairs of clip and label, so that frequent labels dominate it; the
    scores of all labels must be on the same scale.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.ranking import average_precision, roc_auc
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Estimate, FloatArray

Metric: TypeAlias = Callable[[BoolArray, FloatArray], float | None]


def per_label(
    metric: Metric, targets: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[float | None, ...]:
    """Return the value of a metric for each label; None where the metric is undefined.

    Args:
        metric: function of the targets and the scores of one label, such as `roc_auc`.
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return tuple(metric(*column) for column in zip(present.T, values.T, strict=True))


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
    """Return the ROC AUC over all pairs of clip and label; `n` counts the pairs.

    If there are no positives or no negatives, the value is None and `n_undefined` counts the pairs.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return micro_estimate(roc_auc(present.ravel(), values.ravel()), present.size)


def micro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Return the average precision over all pairs of clip and label.

    If there are no positives, the value is None and `n_undefined` counts the pairs.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return micro_estimate(average_precision(present.ravel(), values.ravel()), present.size)


def micro_estimate(value: float | None, n_pairs: int) -> Estimate:
    """Return a micro average with the number of pairs of clip and label."""
    undefined = value is None
    return Estimate(
        value=value,
        n=0 if undefined else n_pairs,
        n_undefined=n_pairs if undefined else 0,
        method="micro, over all pairs of clip and label",
    )
