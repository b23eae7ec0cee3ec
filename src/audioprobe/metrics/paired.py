"""Two systems on the same clips: is the difference more than chance, and could it have been seen?

Conventions:
    Targets (True/False or 1/0) and scores (finite) have shape (n_clips,) for one label and
    (n_clips, n_labels) for many, with the same clips in the same order for both systems. A p-value
    is two-sided and None where the difference is undefined. A difference is first minus second.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.resampled import macro_roc_auc
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

_NORMAL = NormalDist()
_CHUNK = 4_000_000  # scores in memory at once
_ROUNDING = 1e-12  # by which what is as far may seem nearer


@dataclass(frozen=True, slots=True)
class Test:
    """What a test of a difference found.

    Attributes:
        difference: first minus second.
        p_value: of no difference; None where it is undefined.
        standard_error: of the difference; None where the test has none.
        name: of the test, with what it rests on.
    """

    __test__ = False  # no test of pytest's

    difference: Estimate
    p_value: float | None
    standard_error: float | None
    name: str


def delong(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Test:
    """Difference of two AUCs of one label (DeLong, DeLong and Clarke-Pearson 1988).

    Clips count as independent: where they share sites, `permutation` with groups is the better
    question. The variance is computed from mid-ranks (Sun and Xu 2014).

    Args:
        targets: shape (n_clips,).
        first: scores of one system.
        second: scores of the other.
        level: of the interval.

    Raises:
        InvalidInputError: if shapes differ, or arrays are not as in the conventions.
    """
    truth, one = validate(targets, first, n_dimensions=1)
    _, other = validate(targets, second, n_dimensions=1)
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    name = f"DeLong, {n_positive} positive and {n_negative} negative clips, {level:.0%}"
    if min(n_positive, n_negative) < 2:
        undefined = Estimate(None, n=0, n_undefined=len(truth), method=name)
        return Test(undefined, None, None, f"{name}: two of each are needed")
    wins, losses = _placements(truth, np.stack([one, other]))
    variance = np.cov(wins) / n_positive + np.cov(losses) / n_negative
    contrast = np.array([1.0, -1.0])
    error = math.sqrt(max(0.0, float(contrast @ variance @ contrast)))
    difference = float(contrast @ wins.mean(axis=1))
    margin = error * _NORMAL.inv_cdf((1 + level) / 2)
    estimate = Estimate(
        difference,
        n=len(truth),
        low=difference - margin,
        high=difference + margin,
        method=name,
    )
    return Test(estimate, _normal_p(difference, error), error, name)


def permutation(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> Test:
    """Difference of two macro AUCs, against systems that are exchanged clip by clip.

    If both were equally good, it would not matter whose score a clip has. Scores become ranks
    within a label first, for two systems may use other units. Clips of a group are exchanged
    together.

    Args:
        targets: shape (n_clips, n_labels).
        first: scores of one system.
        second: scores of the other.
        groups: of each clip; None lets each be its own.
        n_permutations: how many; the smallest p-value is 1 / (n_permutations + 1).
        seed: of the exchanges.

    Raises:
        InvalidInputError: if shapes differ, or there is not one group per clip.
    """
    truth, one = validate(targets, first, n_dimensions=2)
    _, other = validate(targets, second, n_dimensions=2)
    owners = list(range(len(truth))) if groups is None else list(groups)
    if len(owners) != len(truth):
        raise InvalidInputError(f"Expected a group for each of {len(truth)} clips, got another n.")
    numbers = {group: n for n, group in enumerate(dict.fromkeys(owners))}
    of_clip = np.array([numbers[group] for group in owners])
    name = f"permutation of {len(numbers)} {'clips' if groups is None else 'groups'}"
    name += f", {n_permutations} times, seed {seed}"
    found = float(exchanged(truth, one, other, np.zeros((1, len(truth)), dtype=np.bool_))[0])
    if math.isnan(found):
        return Test(Estimate(None, n=0, n_undefined=len(truth), method=name), None, None, name)
    ranks = stats.rankdata(one, axis=0), stats.rankdata(other, axis=0)
    swaps = np.zeros((n_permutations + 1, len(numbers)), dtype=np.bool_)
    swaps[1:] = np.random.default_rng(seed).integers(2, size=(n_permutations, len(numbers)))
    p_value = share_as_far(exchanged(truth, *ranks, swaps[:, of_clip]))
    return Test(Estimate(found, n=len(truth), method=name), p_value, None, name)


def exchanged(
    targets: BoolArray, first: FloatArray, second: FloatArray, swaps: BoolArray
) -> Float64Array:
    """Differences of two macro AUCs, with the scores of some clips exchanged.

    Args:
        targets: shape (n_clips, n_labels).
        first: scores of one system, of the same shape.
        second: scores of the other.
        swaps: which clips to exchange, shape (n_times, n_clips).

    Returns:
        Shape (n_times,); NaN if no label has clips with and clips without it.
    """
    # Clips of both systems, each counted where its scores are those that a system has.
    auc = macro_roc_auc(np.concatenate([targets, targets]), np.concatenate([first, second]))
    rows = max(1, _CHUNK // max(1, 2 * swaps.shape[1]))
    found = []
    for at in range(0, len(swaps), rows):
        some = swaps[at : at + rows]
        counts = np.concatenate([~some, some], axis=1).astype(np.float64)
        found.append(auc(counts) - auc(1 - counts))
    return np.concatenate(found)


def share_as_far(differences: Float64Array) -> float:
    """A two-sided p-value: how many are as far from 0 as the first, which is what was observed."""
    far = np.abs(differences)
    return float(np.mean(far >= far[0] - _ROUNDING))


def sign_flips(
    differences: npt.ArrayLike,
    *,
    groups: Sequence[object] | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> Test:
    """Mean of paired differences, tested by flipping the signs of whole groups.

    Args:
        differences: shape (n_items,), finite.
        groups: of each item; None lets each be its own.
        n_permutations: how many; the smallest p-value is 1 / (n_permutations + 1).
        seed: of the flips.

    Raises:
        InvalidInputError: if differences are not so, or there is not one group per item.
    """
    values = np.asarray(differences, dtype=np.float64)
    owners = list(range(len(values))) if groups is None else list(groups)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InvalidInputError("Expected finite differences of shape (n_items,), at least one.")
    if len(owners) != len(values):
        raise InvalidInputError(
            f"Expected a group for each of {len(values)} items, got {len(owners)}."
        )
    numbers = {group: n for n, group in enumerate(dict.fromkeys(owners))}
    sums = np.bincount([numbers[group] for group in owners], weights=values)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(n_permutations, len(sums)))
    p_value = share_as_far(np.append(sums.sum(), signs @ sums))
    name = f"sign flips of {len(numbers)} {'items' if groups is None else 'groups'}"
    name += f", {n_permutations} times, seed {seed}"
    mean = Estimate(float(values.mean()), n=len(values), method=name)
    return Test(mean, p_value, None, name)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> Test:
    """Difference of two shares of right answers, by the exact test (McNemar 1947).

    Args:
        first: shape (n_items,); True or 1 where one system was right.
        second: the same of the other.

    Raises:
        InvalidInputError: if shapes differ, there are no items, or either is not binary.
    """
    one, other = validate_predictions(first, second, n_dimensions=1)
    only_first = int(np.count_nonzero(one & ~other))
    only_second = int(np.count_nonzero(other & ~one))
    name = f"McNemar, exact, {only_first} right in the first alone, {only_second} in the second"
    discordant = only_first + only_second
    p_value = float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0
    difference = (only_first - only_second) / len(one)
    return Test(Estimate(difference, n=len(one), method=name), p_value, None, name)


def smallest_detectable(standard_error: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """The true difference that a two-sided normal test would have found so often.

    Args:
        standard_error: of the difference.
        level: of confidence.
        power: how often it would be found.

    Raises:
        InvalidInputError: if the error is negative, or level or power not in (0, 1).
    """
    if standard_error < 0 or not (0 < level < 1 and 0 < power < 1):
        raise InvalidInputError(
            "Expected a standard error >= 0, and level and power in (0, 1), got "
            f"{standard_error}, {level} and {power}."
        )
    return standard_error * (_NORMAL.inv_cdf((1 + level) / 2) + _NORMAL.inv_cdf(power))


def _placements(truth: BoolArray, scores: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Of each positive, the share of negatives below it; of each negative, of positives above."""
    together = stats.rankdata(scores, axis=1)
    positives, negatives = scores[:, truth], scores[:, ~truth]
    n_positive, n_negative = positives.shape[1], negatives.shape[1]
    wins = (together[:, truth] - stats.rankdata(positives, axis=1)) / n_negative
    losses = 1 - (together[:, ~truth] - stats.rankdata(negatives, axis=1)) / n_positive
    return wins, losses


def _normal_p(difference: float, error: float) -> float:
    if not error:
        return 1.0 if not difference else 0.0
    return 2 * _NORMAL.cdf(-abs(difference) / error)
