"""Ranking metrics of many resamples from scores that are sorted once.

Conventions:
    Counts, shape (n_resamples, n_clips), are how often each clip is in each resample. The clips of
    a label are divided into steps, from the highest score to the lowest: a step contains all clips
    of one score, if any of them is a positive, or all negatives between two such scores. A ranking
    metric depends on a resample only through the number of positives and of negatives in each
    step, which are exact in float64. So a resample costs one addition per clip and label, and some
    more operations per step; a label with few positives has few steps.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np
from scipy import sparse

from audioprobe.types import BoolArray, Float64Array, FloatArray, IntArray

Area: TypeAlias = Callable[[Float64Array, Float64Array], Float64Array]
"""Function of the numbers of positives and of negatives in each step, shape (n_steps, n_resamples).

It returns the value of each resample, shape (n_resamples,), NaN if it is undefined.
"""

_BLOCK = 1024  # steps that are summed at once, so that the sums stay in the cache of a processor


class CellSums:
    """Function of counts that returns how often each resample contains the clips of each cell.

    Its argument has shape (n_resamples, n_clips); it yields an array of shape (n_cells,
    n_resamples) for each label.

    Args:
        labels: for each label, the index of the cell of each clip, shape (n_clips,), and the number
            of cells.
    """

    def __init__(self, labels: Iterable[tuple[IntArray, int]]) -> None:
        self._matrices: list[sparse.csc_array] = []
        ones, starts = np.ones(0), np.zeros(1, dtype=np.int32)
        for cells, n_cells in labels:
            if len(ones) != len(cells):  # a single 1 per column; labels share them
                ones, starts = np.ones(len(cells)), np.arange(len(cells) + 1, dtype=np.int32)
            parts = (ones, cells.astype(np.int32), starts)
            self._matrices.append(sparse.csc_array(parts, shape=(n_cells, len(cells))))

    def __len__(self) -> int:
        """Number of labels."""
        return len(self._matrices)

    def __call__(self, counts: Float64Array) -> Iterator[Float64Array]:
        """Yield the sums of each label."""
        by_clip = np.ascontiguousarray(counts.T)
        for matrix in self._matrices:
            yield matrix @ by_clip


class RankedLabels:
    """Steps of several labels, from which metrics of many resamples are computed.

    Args:
        targets: shape (n_clips, n_labels).
        scores: shape (n_clips, n_labels), finite.
    """

    def __init__(self, targets: BoolArray, scores: FloatArray) -> None:
        self._sums = CellSums(map(_cells, targets.T, scores.T))

    def steps(self, counts: Float64Array) -> Iterator[tuple[Float64Array, Float64Array]]:
        """Yield the numbers of positives and of negatives in each step, for each label.

        Both arrays have shape (n_steps, n_resamples).
        """
        for sums in self._sums(counts):
            positives, negatives = np.split(sums, 2)
            yield positives, negatives

    def areas(self, counts: Float64Array, *functions: Area) -> Float64Array:
        """Return metrics of each resample, shape (n_functions, n_labels, n_resamples).

        Args:
            counts: shape (n_resamples, n_clips).
            functions: metrics, such as `roc_auc`.
        """
        values = np.empty((len(functions), len(self._sums), len(counts)))
        for label, sums in enumerate(self.steps(counts)):
            for number, function in enumerate(functions):
                values[number, label] = function(*sums)
        return values


def roc_auc(positives: Float64Array, negatives: Float64Array) -> Float64Array:
    """Return the area under the ROC curve; see `Area`."""
    wins, hits = np.zeros(positives.shape[1]), np.zeros(positives.shape[1])
    for rows in _blocks(len(positives)):
        above = np.cumsum(positives[rows], axis=0) + hits
        hits = above[-1].copy()
        # A negative is outranked by the positives above it, and by half of the tied positives.
        above -= positives[rows] / 2
        wins += np.einsum("sr,sr->r", negatives[rows], above)
    return quotient(wins, hits * negatives.sum(axis=0))


def average_precision(positives: Float64Array, negatives: Float64Array) -> Float64Array:
    """Return the average precision; see `Area`."""
    total, hits, n_predicted = (np.zeros(positives.shape[1]) for _ in range(3))
    for rows in _blocks(len(positives)):
        above = np.cumsum(positives[rows], axis=0) + hits
        predicted = np.cumsum(positives[rows] + negatives[rows], axis=0) + n_predicted
        hits, n_predicted = above[-1].copy(), predicted[-1].copy()
        precision = np.divide(above, predicted, out=above, where=predicted > 0)
        total += np.einsum("sr,sr->r", positives[rows], precision)
    return quotient(total, hits)


def quotient(numerators: Float64Array, denominators: Float64Array) -> Float64Array:
    """Return numerators / denominators; NaN if a denominator is not positive."""
    undefined = np.full_like(numerators, np.nan)
    return np.divide(numerators, denominators, out=undefined, where=denominators > 0)


def _cells(present: BoolArray, scores: FloatArray) -> tuple[IntArray, int]:
    """Return the index of the cell of each clip, and the number of cells.

    The first half of the cells are the positives of each step, the others its negatives.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    tie = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]))
    has_positive = np.zeros(tie[-1] + 1, dtype=np.bool_)
    has_positive[tie[present[order]]] = True
    # A step starts at each score of a positive, and at the next lower score.
    step = np.cumsum(np.append(False, has_positive[1:] | has_positive[:-1]))
    n_steps = int(step[-1]) + 1
    cells = np.empty(len(order), dtype=np.int64)
    cells[order] = step[tie] + np.where(present[order], 0, n_steps)
    return cells, 2 * n_steps


def _blocks(n_steps: int) -> Iterator[slice]:
    for start in range(0, n_steps, _BLOCK):
        yield slice(start, start + _BLOCK)
