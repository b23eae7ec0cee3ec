"""Ranking metrics of scikit-learn for one label; an undefined metric is None.

Conventions:
    Targets are True/False or 1/0, scores are finite floats in any range, both of shape (n_clips,).
    Only the order of the scores matters; clips with the same score have the same rank. Invalid
    arrays raise `InvalidInputError`.
"""

import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from audioprobe.metrics.validation import validate


def roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Return the area under the ROC curve; a tied pair of clips counts half.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,), finite; higher means "more likely present".

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
        scores: shape (n_clips,), finite; higher means "more likely present".

    Returns:
        A number in (0, 1], the share of positives if all scores are equal; None if there are no
        positives.
    """
    present, values = validate(targets, scores, n_dimensions=1)
    return float(average_precision_score(present, values)) if present.any() else None
