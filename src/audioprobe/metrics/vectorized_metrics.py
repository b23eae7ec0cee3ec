"""Statistics that are computed for many resamples at once, for `Bootstrap`.

Conventions:
    A `Statistic` is a function of counts, shape (n_resamples, n_items): how often each item is in a
    resample. It returns the value of each resample, shape (n_resamples,), NaN if it is undefined.
    Targets (True/False or 1/0) and scores (finite floats) have shape (n_clips, n_labels). A macro
    mean is over the labels whose metric is defined in the resample. If every count is 1, a
    statistic equals the metric of the same name. Invalid arrays raise `InvalidInputError`.

    A loop over scikit-learn's metrics takes 122 times as long (`python benchmarks/bootstrap.py`).
"""

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.ranked_labels import (
    Area,
    CellSums,
    RankedLabels,
    average_precision,
    quotient,
    roc_auc,
)
from audioprobe.metrics.validation import finite_columns, validate, validate_predictions
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


def mean(values: npt.ArrayLike) -> Statistic:
    """Return a function that computes the mean of `values` in every bootstrap resample."""
    (array,) = finite_columns("A mean", values)
    return ratio(array, np.ones_like(array))


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Statistic:
    """Return a function that computes sum(numerators) / sum(denominators) in every resample."""
    first, second = finite_columns("A ratio", numerators, denominators)

    def statistic(counts: Float64Array) -> Float64Array:
        return quotient(counts @ first, counts @ second)

    return statistic


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Statistic:
    """Return a function that computes Cohen's kappa of two raters in every bootstrap resample.

    Kappa (Cohen 1960) is (observed - expected) / (1 - expected) agreement; the expected agreement
    is that of independent ratings with the same frequencies. It is NaN if both raters use the same
    single category.

    Args:
        first: category that the first rater assigns to each item.
        second: category that the second rater assigns to each item.

    Raises:
        InvalidInputError: if the raters have different numbers of items.
    """
    if len(first) != len(second):
        raise InvalidInputError(
            f"Expected a category of both raters per item, got {len(first)} and {len(second)}."
        )
    numbers = {category: n for n, category in enumerate(dict.fromkeys((*first, *second)))}
    identity = np.eye(max(1, len(numbers)))
    a, b = (identity[[numbers[c] for c in categories]] for categories in (first, second))
    equal = (a * b).sum(axis=1)

    def statistic(counts: Float64Array) -> Float64Array:
        n = counts.sum(axis=1)
        expected = ((counts @ a) * (counts @ b)).sum(axis=1) / n**2
        return quotient(counts @ equal / n - expected, 1 - expected)

    return statistic


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Statistic:
    """Return a function that computes Spearman's rank correlation in every bootstrap resample.

    Ties get mid-ranks. The correlation is NaN if all first or all second values of a resample are
    equal.
    """
    rank_functions = [
        _mid_ranks(values) for values in finite_columns("A rank correlation", first, second)
    ]

    def statistic(counts: Float64Array) -> Float64Array:
        a, b = (_centered(counts, ranks(counts)) for ranks in rank_functions)
        squares = (counts * a**2).sum(axis=1) * (counts * b**2).sum(axis=1)
        return quotient((counts * a * b).sum(axis=1), np.sqrt(squares))

    return statistic


def macro_roc_auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Return a function that computes the macro-averaged AUC of every bootstrap resample."""
    return _macro_ranking(targets, scores, roc_auc)


def macro_average_precision(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Return a function that computes the macro-averaged average precision of every resample."""
    return _macro_ranking(targets, scores, average_precision)


def macro_f1(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> Statistic:
    """Return a function that computes the macro-averaged F1 of every bootstrap resample."""
    present, predicted = validate_predictions(targets, predictions, n_dimensions=2)
    cells = CellSums([(2 * p + q, 4) for p, q in zip(present.T, predicted.T, strict=True)])

    def statistic(counts: Float64Array) -> Float64Array:
        f1 = []
        for _, only_predicted, only_present, both in cells(counts):
            f1.append(quotient(2 * both, 2 * both + only_predicted + only_present))
            f1[-1][both + only_present == 0] = np.nan
        return mean_of_defined(f1)

    return statistic


def macro_roc_curve(
    targets: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    bootstrap: Bootstrap | None = None,
    groups: Sequence[Hashable] | None = None,
) -> RocCurve | None:
    """Return the mean of the ROC curves of all labels, with a pointwise confidence band.

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
    labels = RankedLabels(present, values)  # the curves of other labels are NaN
    (curve,) = _mean_curves(labels, np.ones((1, len(present))))
    low = high = None
    if bootstrap is not None:
        chunks = bootstrap.resamples(len(present), groups=groups)
        curves = np.concatenate(list(map(partial(_mean_curves, labels), chunks)))
        ends = (1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2
        low, high = np.nanquantile(curves, ends, axis=0)
    return RocCurve(GRID, curve, low, high, int(is_mixed.sum()))


def mean_of_defined(columns: Sequence[Float64Array] | Float64Array) -> Float64Array:
    """Return the mean over the first axis, ignoring NaN; NaN if all values are NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.asarray(np.nanmean(columns, axis=0), dtype=np.float64)


def _macro_ranking(targets: npt.ArrayLike, scores: npt.ArrayLike, area: Area) -> Statistic:
    labels = RankedLabels(*validate(targets, scores, n_dimensions=2))
    return lambda counts: mean_of_defined(labels.areas(counts, area)[0])


def _mid_ranks(values: Float64Array) -> Statistic:
    """Return a function that computes the mid-rank of each item in every resample.

    Its result has shape (n_resamples, n_items). All ranks are too small by the same constant.
    """
    levels, position = np.unique(values, return_inverse=True)
    is_level = (position[:, None] == np.arange(len(levels))).astype(np.float64)

    def ranks(counts: Float64Array) -> Float64Array:
        n_tied = counts @ is_level
        return np.asarray((np.cumsum(n_tied, axis=1) - n_tied / 2)[:, position], dtype=np.float64)

    return ranks


def _centered(counts: Float64Array, ranks: Float64Array) -> Float64Array:
    """Return the ranks of each resample minus their mean; equal ranks give exactly 0."""
    means = (counts * ranks).sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
    return ranks - np.asarray(means, dtype=np.float64)


def _mean_curves(labels: RankedLabels, counts: Float64Array) -> Float64Array:
    """Return the mean ROC curve of the labels in each resample, shape (n_resamples, n_points)."""
    return mean_of_defined([_curves(*sums) for sums in labels.steps(counts)])


def _curves(positives: Float64Array, negatives: Float64Array) -> Float64Array:
    """Return the ROC curve of one label in each resample, shape (n_resamples, n_points).

    A row has the true-positive rates at the false-positive rates `GRID`; it is NaN if the resample
    has no positives or no negatives.
    """
    hits, false_alarms = np.cumsum(positives, axis=0), np.cumsum(negatives, axis=0)
    curves = np.full((hits.shape[1], len(GRID)), np.nan)
    for row in np.flatnonzero((hits[-1] > 0) & (false_alarms[-1] > 0)):
        x, y = (np.append(0.0, n[:, row] / n[-1, row]) for n in (false_alarms, hits))
        curves[row] = np.interp(GRID, x, y)
    return curves
