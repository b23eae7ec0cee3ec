"""Metrics of several labels: per label, macro means and micro averages.

Conventions:
    Targets (True/False or 1/0) and scores (finite floats) have shape (n_clips, n_labels). Invalid
    arrays raise `InvalidInputError`.

    A macro mean is taken over the labels whose metric is defined, and the estimate counts the
    others. LTU's script instead counts such a label as an AUC of -1. A micro average pools all
    pairs of clip and label, so that frequent labels dominate it; it needs scores of all labels on
    one scale.
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
    """Return a metric of each label, such as `roc_auc`; None where it is undefined.

    Args:
        metric: function of the targets and the scores of one label.
        targets: shape (n_clips, n_labels); True or 1 where the label is present.
        scores: shape (n_clips, n_labels), finite.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return tuple(metric(*column) for column in zip(present.T, values.T, strict=True))


def macro(values: Sequence[float | None]) -> Estimate:
    """Return the mean over labels with a value; `n` counts them, `n_undefined` the others.

    Raises:
        InvalidInputError: if a value is NaN or infinite; undefined values must be None.
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
    """Return the ROC AUC over all pairs of clip and label; `n` counts the pairs.

    The value is None, and `n_undefined` counts the pairs, without positives or negatives.
    """
    present, values = validate(targets, scores, n_dimensions=2)
    return micro_estimate(roc_auc(present.ravel(), values.ravel()), present.size)


def micro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """Return the average precision over all pairs of clip and label; None without positives."""
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
