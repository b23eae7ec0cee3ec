"""ROC curves with their bands, and which label is taken for which.

Conventions:
    Targets (True/False or 1/0) and scores (finite) have shape (n_clips, n_labels).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Float64Array, FloatArray

GRID = np.linspace(0, 1, 101)
"""False-positive rates at which curves are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Mean over labels of their ROC curves.

    Attributes:
        false_positive_rate: shape (n_points,), rising from 0 to 1.
        true_positive_rate: mean over the labels that have positives and negatives.
        low: lower edge of the band at each point; None where there is none.
        high: its upper edge.
        n_labels: that the mean rests on.
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
    """The mean of the labels' ROC curves at `GRID`, with a pointwise band.

    Args:
        targets: shape (n_clips, n_labels).
        scores: of the same shape.
        bootstrap: how the band is computed, always by percentiles; None draws none.
        groups: of each clip, resampled together.

    Returns:
        None where no label has positives and negatives.

    Raises:
        InvalidInputError: if arrays are not so, or there is not one group per clip.
    """
    truth, values = validate(targets, scores, n_dimensions=2)
    mixed = truth.any(axis=0) & ~truth.all(axis=0)
    if not mixed.any():
        return None
    columns = [_Curve(truth[:, n], values[:, n]) for n in np.flatnonzero(mixed)]
    mean = _mean(columns, np.ones(len(truth)))
    low = high = None
    if bootstrap is not None:
        drawn = [
            _mean(columns, counts)
            for chunk in bootstrap.resamples(len(truth), groups=groups)
            for counts in chunk
        ]
        ends = (1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2
        low, high = np.nanquantile(np.stack(drawn), ends, axis=0)
    return RocCurve(GRID, mean, low, high, len(columns))


def confusion_of_best(targets: npt.ArrayLike, scores: npt.ArrayLike) -> Float64Array:
    """Which label was best, by which was right.

    A clip whose best label is right counts there; otherwise it counts for each of its labels, in
    equal shares. Clips without labels are left out. Of tied scores the first label counts.

    Args:
        targets: shape (n_clips, n_labels).
        scores: of the same shape.

    Returns:
        Shape (n_labels, n_labels): right labels down, best labels across, in clips.

    Raises:
        InvalidInputError: if arrays are not so.
    """
    truth, values = validate(targets, scores, n_dimensions=2)
    found = np.zeros((truth.shape[1], truth.shape[1]))
    for row, best in zip(truth, np.argmax(values, axis=1).tolist(), strict=True):
        if row[best]:
            found[best, best] += 1
        elif row.any():
            found[row, best] += 1 / row.sum()
    return found


class _Curve:
    """One label, its clips in the order of falling scores."""

    def __init__(self, present: BoolArray, scores: FloatArray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._present = present[self._order]
        ordered = scores[self._order]
        self._last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def at_grid(self, counts: Float64Array) -> Float64Array:
        """True-positive rates; NaN where no positive or no negative was drawn."""
        ordered = counts[self._order]
        hits = np.cumsum(ordered * self._present)[self._last]
        misses = np.cumsum(ordered * ~self._present)[self._last]
        if not hits[-1] or not misses[-1]:
            return np.full(len(GRID), np.nan)
        rates = np.append(0.0, misses / misses[-1]), np.append(0.0, hits / hits[-1])
        found: Float64Array = np.interp(GRID, *rates)
        return found


def _mean(columns: Sequence[_Curve], counts: Float64Array) -> Float64Array:
    curves = np.stack([column.at_grid(counts) for column in columns])
    defined = curves[~np.isnan(curves[:, 0])]
    if not len(defined):
        return np.full(len(GRID), np.nan)
    mean: Float64Array = defined.mean(axis=0)
    return mean
