"""How well the scores of one label rank clips that have it above clips that do not.

Conventions:
    Targets are True/False or 1/0, scores are finite floats in any range, both of shape (n_clips,),
    in any order of clips; only the order of the scores matters. Results are in [0, 1], higher is
    better. Undefined is None, never a number: without positives there is nothing to rank, and
    without negatives there is no area under a ROC curve. Ties are exact: tied clips are never
    ranked by where they happen to stand.
"""

import numpy as np
import numpy.typing as npt

from audioprobe.metrics.threshold_counts import threshold_counts
from audioprobe.metrics.validation import validate


def roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half.

    This is the Mann-Whitney statistic with mid-ranks over the number of pairs, counted in integers
    and divided once. Chance is 0.5, and constant scores give exactly that.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,), finite; higher means "more likely present".

    Returns:
        A number in [0, 1]; None where there are no positives or no negatives.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips,), there are no clips, targets are
            not binary, or scores are not finite.
    """
    at = threshold_counts(*validate(targets, scores, n_dimensions=1))
    n_pairs = at.n_positive * at.n_negative
    if not n_pairs:
        return None
    above = at.true_positives - _steps(at.true_positives)
    half_wins = int(np.sum(_steps(at.false_positives) * (above + at.true_positives)))
    return half_wins / (2 * n_pairs)


def average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the precision-recall curve as a sum of steps, without interpolation.

    Precision at every distinct score, weighted by the recall that is gained there, as scikit-learn
    defines it. Chance is the share of positives, so it differs from label to label.

    Args:
        targets: shape (n_clips,); True or 1 where the label is present.
        scores: shape (n_clips,), finite; higher means "more likely present".

    Returns:
        A number in (0, 1]; None where there are no positives.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips,), there are no clips, targets are
            not binary, or scores are not finite.
    """
    at = threshold_counts(*validate(targets, scores, n_dimensions=1))
    if not at.n_positive:
        return None
    precision = at.true_positives / (at.true_positives + at.false_positives)
    return float(np.sum(_steps(at.true_positives) * precision)) / at.n_positive


def _steps(cumulative: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What each cut adds to a cumulative count."""
    return np.diff(cumulative, prepend=0)
