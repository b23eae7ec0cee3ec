"""Test of the difference of two AUCs on the same clips, with a closed formula."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.paired import permutation
from audioprobe.metrics.significance import ROUNDING, PairedTest
from audioprobe.metrics.validation import validate
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

_NORMAL = NormalDist()


def delong(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> PairedTest:
    """Test the difference of two AUCs of one label (DeLong, DeLong and Clarke-Pearson 1988).

    The variance is computed from mid-ranks (Sun and Xu 2014). Clips are assumed to be independent;
    if several clips come from one site, use `permutation` with groups. If the estimated variance is
    0, or the p-value is below the smallest p-value that a permutation test can give, the result of
    `permutation` is returned, which has no interval.

    Args:
        targets: shape (n_clips,).
        first: scores of the first system, shape (n_clips,).
        second: scores of the second system, shape (n_clips,).
        level: confidence level of the interval, in (0, 1).
    """
    if not 0 < level < 1:
        raise InvalidInputError(f"The confidence level must be in (0, 1), got {level}.")
    present, first_scores = validate(targets, first, n_dimensions=1)
    _, second_scores = validate(targets, second, n_dimensions=1)
    n_clips, n_positive = len(present), int(present.sum())
    n_negative = n_clips - n_positive
    name = f"DeLong, {n_positive} positive and {n_negative} negative clips, {level:.0%}"
    if min(n_positive, n_negative) < 2:
        return PairedTest(
            difference=Estimate(value=None, n=0, n_undefined=n_clips, method=name),
            p_value=None,
            standard_error=None,
            name=f"{name}: at least two of each are needed",
        )
    placements = _placements(present, np.stack([first_scores, second_scores]))
    of_positives, of_negatives = (values[0] - values[1] for values in placements)
    difference = float(of_positives.mean())
    variance = of_positives.var(ddof=1) / n_positive + of_negatives.var(ddof=1) / n_negative
    error = math.sqrt(float(variance))
    p_value = 0.0 if error < ROUNDING else 2 * _NORMAL.cdf(-abs(difference) / error)
    if error < ROUNDING or p_value < 2.0 ** (1 - n_clips):
        columns = (present[:, None], first_scores[:, None], second_scores[:, None])
        exact = permutation(*columns, unit="clips")
        return replace(exact, name=f"{exact.name}, because DeLong's variance is too small")
    margin = error * _NORMAL.inv_cdf((1 + level) / 2)
    estimate = Estimate(
        value=difference,
        n=n_clips,
        low=difference - margin,
        high=difference + margin,
        method=name,
        n_groups=n_clips,
        unit="clips",
    )
    return PairedTest(difference=estimate, p_value=p_value, standard_error=error, name=name)


def _placements(present: BoolArray, scores: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Return the share of negatives below each positive, and of positives above each negative.

    DeLong's variance needs these (n_systems, n_positives) and (n_systems, n_negatives) arrays.
    """
    ranks = stats.rankdata(scores, axis=1)
    positives, negatives = scores[:, present], scores[:, ~present]
    below = (ranks[:, present] - stats.rankdata(positives, axis=1)) / negatives.shape[1]
    above = 1 - (ranks[:, ~present] - stats.rankdata(negatives, axis=1)) / positives.shape[1]
    return below, above
