"""Metrics of many resamples at once, for `Bootstrap`.

Conventions:
    Targets (True/False or 1/0) and scores (finite floats) have shape (n_clips, n_labels). Each
    function returns a statistic: counts of clips, shape (n_resamples, n_clips), to macro means,
    shape (n_resamples,). A mean is taken over the labels that a resample defines, as in
    `averaging.macro`, and NaN stands where there is none. With every count 1 a statistic equals
    the metric of the same name. Ties are exact.
"""

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.types import BoolArray, Float64Array, FloatArray


def mean(values: npt.ArrayLike) -> Statistic:
    """Mean of one finite number per item, such as 1 for a right answer and 0 for a wrong one.

    Raises:
        InvalidInputError: if values are not finite numbers of shape (n_items,).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InvalidInputError(f"A mean needs finite values of shape (n_items,), got {values!r}.")

    def statistic(counts: Float64Array) -> Float64Array:
        return _over(counts @ array, counts.sum(axis=1))

    return statistic


def ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Statistic:
    """Sum of one number per item over the sum of another, such as hits over trials.

    Raises:
        InvalidInputError: if either is not finite numbers of shape (n_items,), or shapes differ.
    """
    first, second = _both(above, below, "A ratio")

    def statistic(counts: Float64Array) -> Float64Array:
        return _over(counts @ first, counts @ second)

    return statistic


def rank_correlation(one: npt.ArrayLike, other: npt.ArrayLike) -> Statistic:
    """Spearman's rank correlation of two numbers per item, tied ones at the mean of their ranks.

    NaN where a resample has no two different values of either: there is no order then.

    Raises:
        InvalidInputError: if either is not finite numbers of shape (n_items,), or shapes differ.
    """
    ranks = [_ranks_of(values) for values in _both(one, other, "A rank correlation")]

    def statistic(counts: Float64Array) -> Float64Array:
        first, second = (_centred(counts, each(counts)) for each in ranks)
        squares = (counts * first**2).sum(axis=1) * (counts * second**2).sum(axis=1)
        return _over((counts * first * second).sum(axis=1), np.sqrt(squares))

    return statistic


def macro_roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Mean over labels of the area under the ROC curve; see `ranking.roc_auc`.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, targets
            are not binary, or scores are not finite.
    """
    return _macro_ranking(targets, scores, _Column.roc_auc)


def macro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Mean over labels of average precision; see `ranking.average_precision`.

    Raises:
        InvalidInputError: as for `macro_roc_auc`.
    """
    return _macro_ranking(targets, scores, _Column.average_precision)


def macro_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> Statistic:
    """Mean over labels of F1; see `threshold.precision_recall_f1`.

    Raises:
        InvalidInputError: if shapes differ or are not (n_clips, n_labels), one is empty, or either
            is not binary.
    """
    truth, said = validate_predictions(targets, predictions, n_dimensions=2)
    hits, present = (truth & said).astype(np.float64), truth.astype(np.float64)
    marks = present + said

    def statistic(counts: Float64Array) -> Float64Array:
        f1 = _over(2 * (counts @ hits), counts @ marks)
        f1[counts @ present == 0] = np.nan
        return _macro(list(f1.T))

    return statistic


class _Column:
    """One label, its clips in the order of falling scores, so that tied ones stand together."""

    def __init__(self, targets: BoolArray, scores: FloatArray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._present = targets[self._order]
        ordered = scores[self._order]
        self._lasts = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def roc_auc(self, counts: Float64Array) -> Float64Array:
        """Counts have shape (n_clips, n_resamples) here."""
        hits, misses = self._down_to(counts)
        # Positives above a cut, and half of those at it, outscore its negatives.
        wins = np.einsum("cr,cr->r", _steps(misses), hits - _steps(hits) / 2)
        return _over(wins, hits[-1] * misses[-1])

    def average_precision(self, counts: Float64Array) -> Float64Array:
        """Counts have shape (n_clips, n_resamples) here."""
        hits, misses = self._down_to(counts)
        found = hits + misses
        # Nothing is found where nothing was drawn, and nothing is gained there.
        precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
        return _over(np.einsum("cr,cr->r", _steps(hits), precision), hits[-1])

    def _down_to(self, counts: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Positives and negatives at or above each distinct score, shape (n_cuts, n_resamples)."""
        ordered = counts[self._order]
        hits = np.cumsum(ordered * self._present[:, None], axis=0)
        found = np.cumsum(ordered, axis=0)
        if len(self._lasts) < len(ordered):
            hits, found = hits[self._lasts], found[self._lasts]
        return hits, found - hits


def _steps(sums: Float64Array) -> Float64Array:
    """What each row adds to the one before."""
    return np.diff(sums, axis=0, prepend=0.0)


def _macro_ranking(
    targets: npt.ArrayLike,
    scores: npt.ArrayLike,
    metric: Callable[[_Column, Float64Array], Float64Array],
) -> Statistic:
    truth, values = validate(targets, scores, n_dimensions=2)
    columns = [_Column(*column) for column in zip(truth.T, values.T, strict=True)]

    def statistic(counts: Float64Array) -> Float64Array:
        by_clip = np.ascontiguousarray(counts.T)
        return _macro([metric(column, by_clip) for column in columns])

    return statistic


def _ranks_of(values: Float64Array) -> Statistic:
    """Ranks of all items in each resample but for a constant, shape (n_resamples, n_items)."""
    levels, at = np.unique(values, return_inverse=True)
    belongs = (at[:, None] == np.arange(len(levels))).astype(np.float64)

    def ranks(counts: Float64Array) -> Float64Array:
        tied = counts @ belongs
        return np.asarray((np.cumsum(tied, axis=1) - tied / 2)[:, at], dtype=np.float64)

    return ranks


def _centred(counts: Float64Array, ranks: Float64Array) -> Float64Array:
    """Without their mean; ranks are halves of whole numbers, so equal ones become exactly 0."""
    mean = (counts * ranks).sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
    return ranks - np.asarray(mean, dtype=np.float64)


def _both(one: npt.ArrayLike, other: npt.ArrayLike, what: str) -> tuple[Float64Array, Float64Array]:
    first, second = (np.asarray(values, dtype=np.float64) for values in (one, other))
    finite = np.isfinite(first).all() and np.isfinite(second).all()
    if first.ndim != 1 or first.shape != second.shape or not finite:
        raise InvalidInputError(
            f"{what} needs finite values of one shape (n_items,), got shapes "
            f"{first.shape} and {second.shape}."
        )
    return first, second


def _over(above: Float64Array, below: Float64Array) -> Float64Array:
    """A quotient, NaN where it is undefined."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _macro(columns: list[Float64Array]) -> Float64Array:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")  # is NaN, as it should be
        return np.asarray(np.nanmean(columns, axis=0), dtype=np.float64)
