"""What every possible threshold would find: the counts that ranking and best F1 rest on.

Conventions:
    One label at a time: targets bool and scores float of shape (n_clips,), checked by the caller.
    A cut is a distinct score, and what scores at least as much counts as "present", so that tied
    clips are found together. Cuts run from the highest score to the lowest. All counts are exact
    integers. Nothing is undefined.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audioprobe.types import BoolArray, FloatArray


class ThresholdCounts(NamedTuple):
    """Counts at every distinct score, all of shape (n_cuts,).

    Attributes:
        scores: the distinct scores, falling.
        true_positives: positives that score at least as much, rising.
        false_positives: negatives that score at least as much, rising.
    """

    scores: FloatArray
    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]

    @property
    def n_positive(self) -> int:
        """Clips that have the label."""
        return int(self.true_positives[-1])

    @property
    def n_negative(self) -> int:
        """Clips that do not have it."""
        return int(self.false_positives[-1])


def threshold_counts(targets: BoolArray, scores: FloatArray) -> ThresholdCounts:
    """Count at every distinct score, in O(n log n).

    Args:
        targets: shape (n_clips,), at least one clip.
        scores: shape (n_clips,), finite.
    """
    distinct, position = np.unique(scores, return_inverse=True)
    found = [
        np.bincount(position[mask], minlength=distinct.size)[::-1].cumsum(dtype=np.int64)
        for mask in (targets, ~targets)
    ]
    return ThresholdCounts(distinct[::-1], *found)
