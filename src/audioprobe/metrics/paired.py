"""Two systems on the same clips: is the difference more than chance, and could it have been seen?

Conventions:
    Targets (True/False or 1/0) and scores (finite) have shape (n_clips,) for one label and
    (n_clips, n_labels) for many, with the same clips in the same order for both systems. A p-value
    is two-sided and None where the difference is undefined, or where there is a single unit to
    exchange. A difference is first minus second.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.grouping import Grouping, grouped
from audioprobe.metrics.permutations import (
    ROUNDING,
    exchanges_of,
    how_many,
    is_exact,
    share_as_far,
    smallest_p_value,
)
from audioprobe.metrics.power import (
    Test,
    check_level,
    smallest_detectable,
    standard_error_of,
)
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.metrics.vectorized_metrics import macro_roc_auc
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

__all__ = [
    "Test",
    "delong",
    "exchange_p_value",
    "exchanged",
    "mcnemar",
    "permutation",
    "sign_flips",
    "smallest_detectable",
]

_NORMAL = NormalDist()
_CHUNK = 4_000_000  # scores in memory at once
N_PERMUTATIONS = 2000
"""Exchanges that are drawn; where there are not more, all of them are taken."""


def delong(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Test:
    """Difference of two AUCs of one label (DeLong, DeLong and Clarke-Pearson 1988).

    Clips count as independent: where they share sites, `permutation` with groups is the better
    question. The variance is computed from mid-ranks (Sun and Xu 2014). It may be estimated as 0
    (both systems separate all clips, say), or so small that the p-value is below what so many clips
    can show. Then clips are exchanged instead, see `permutation`, and there is no interval.

    Args:
        targets: shape (n_clips,).
        first: scores of one system.
        second: scores of the other.
        level: of the interval, in (0, 1).

    Raises:
        InvalidInputError: if shapes differ, arrays are not as in the conventions, or the level is
            not in (0, 1).
    """
    check_level(level)
    truth, one = validate(targets, first, n_dimensions=1)
    _, other = validate(targets, second, n_dimensions=1)
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    name = f"DeLong, {n_positive} positive and {n_negative} negative clips, {level:.0%}"
    if min(n_positive, n_negative) < 2:
        undefined = Estimate(value=None, n=0, n_undefined=len(truth), method=name)
        return Test(undefined, None, None, f"{name}: two of each are needed")
    wins, losses = (placed[0] - placed[1] for placed in _placements(truth, np.stack([one, other])))
    difference = float(wins.mean())
    error = math.sqrt(float(wins.var(ddof=1) / n_positive + losses.var(ddof=1) / n_negative))
    p_value = 0.0 if error < ROUNDING else 2 * _NORMAL.cdf(-abs(difference) / error)
    if error < ROUNDING or p_value < 2.0 ** (1 - len(truth)):
        exact = permutation(truth[:, None], one[:, None], other[:, None], unit="clips")
        return replace(exact, name=f"{exact.name}, for DeLong's variance is too small to be true")
    margin = error * _NORMAL.inv_cdf((1 + level) / 2)
    estimate = Estimate(
        value=difference,
        n=len(truth),
        low=difference - margin,
        high=difference + margin,
        method=name,
        n_groups=len(truth),
        unit="clips",
    )
    return Test(estimate, p_value, error, name)


def permutation(
    targets: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    unit: str = "",
    bootstrap: Bootstrap | None = None,
    strata: Sequence[Hashable] | None = None,
) -> Test:
    """Difference of two macro AUCs, against systems that are exchanged clip by clip.

    If both were equally good, it would not matter whose score a clip has. Scores become ranks
    within a label first, for two systems may use other units. Clips of a group are exchanged
    together. If at most `n_permutations` exchanges are possible, all are used.

    Args:
        targets: shape (n_clips, n_labels).
        first: scores of one system.
        second: scores of the other.
        groups: of each clip; None lets each be its own.
        n_permutations: how many, at least 1; see `exchanges.smallest_p_value`.
        seed: of the exchanges.
        unit: what is exchanged, in the plural; "" is "groups", or "clips" without groups.
        bootstrap: gives the difference an interval of paired resamples, and a standard error; None
            gives neither.
        strata: of each clip, for these resamples.

    Raises:
        InvalidInputError: if shapes differ, there is not one group per clip, or `n_permutations` is
            not positive.
    """
    truth, one = validate(targets, first, n_dimensions=2)
    _, other = validate(targets, second, n_dimensions=2)
    units = grouped(len(truth), groups, unit or ("clips" if groups is None else "groups"))
    swaps = exchanges_of(units.n_groups, n_permutations, seed)
    name = f"permutation of {units}, {how_many(units.n_groups, n_permutations, seed)}"
    found = float(exchanged(truth, one, other, np.zeros((1, len(truth)), dtype=np.bool_))[0])
    if math.isnan(found):
        undefined = Estimate(value=None, n=0, n_undefined=len(truth), method=name)
        why = "no label has clips with and without it"
        return Test(undefined, None, None, f"{name}: {why}", units.n_groups, unit=units.unit)
    estimate, error = Estimate(value=found, n=len(truth), method=name), None
    if bootstrap is not None:
        aucs = macro_roc_auc(truth, one), macro_roc_auc(truth, other)
        estimate = bootstrap.estimate(
            lambda counts: aucs[0](counts) - aucs[1](counts),
            len(truth),
            groups=groups,
            strata=strata,
            present=truth,
            unit=units.unit,
        )
        error = standard_error_of(estimate, bootstrap.level)
    ranks = stats.rankdata(one, axis=0), stats.rankdata(other, axis=0)
    differences = exchanged(truth, *ranks, swaps[:, units.of_item])
    return _exchange_test(estimate, error, differences, name, units)


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


def exchange_p_value(
    targets: BoolArray,
    pairs: Sequence[tuple[FloatArray, FloatArray]],
    *,
    n_exchanges: int,
    seed: int,
) -> float | None:
    """Two-sided p-value: both systems exchanged clip by clip, in all replicates at once.

    Args:
        targets: shape (n_clips, n_labels).
        pairs: scores of both systems in each replicate.
        n_exchanges: how many, the observed one included; where there are not more, all are taken.
        seed: of the exchanges.

    Returns:
        None for fewer than two clips, or where no label has clips with it and clips without it.
    """
    n_clips = len(targets)
    swaps = np.random.default_rng(seed).integers(2, size=(n_exchanges, n_clips)).astype(bool)
    swaps[0] = False
    if is_exact(n_clips, n_exchanges):
        swaps = exchanges_of(n_clips, n_exchanges, seed)
    differences = np.mean([exchanged(targets, b, a, swaps) for a, b in pairs], axis=0)
    return None if n_clips < 2 or np.isnan(differences).any() else share_as_far(differences)


def sign_flips(
    differences: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    unit: str = "",
) -> Test:
    """Mean of paired differences, tested by flipping the signs of whole groups.

    Args:
        differences: shape (n_items,), finite.
        groups: of each item; None lets each be its own.
        n_permutations: how many, at least 1; where there are not more, all flips are taken.
        seed: of the flips.
        unit: what is flipped, in the plural; "" is "groups", or "items" without groups.

    Raises:
        InvalidInputError: if differences are not so, there is not one group per item, or
            `n_permutations` is not positive.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InvalidInputError("Expected finite differences of shape (n_items,), at least one.")
    units = grouped(len(values), groups, unit)
    sums = np.bincount(units.of_item, weights=values)
    signs = 2.0 * exchanges_of(units.n_groups, n_permutations, seed) - 1
    name = f"sign flips of {units}, {how_many(units.n_groups, n_permutations, seed)}"
    mean = Estimate(value=float(values.mean()), n=len(values), method=name)
    return _exchange_test(mean, None, signs @ sums, name, units)


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
    estimate = Estimate(value=difference, n=len(one), method=name)
    smallest = min(1.0, 2.0 ** (1 - discordant))
    return Test(estimate, p_value, None, name, discordant, smallest, "items")


def _exchange_test(
    estimate: Estimate,
    error: float | None,
    differences: Float64Array,
    name: str,
    units: Grouping,
) -> Test:
    if units.n_groups < 2:
        why = f"{name}: two {units.unit} are needed"
        return Test(estimate, None, error, why, units.n_groups, 1.0, units.unit)
    smallest = smallest_p_value(units.n_groups, len(differences) - 1)
    p_value = share_as_far(differences)
    return Test(estimate, p_value, error, name, units.n_groups, smallest, units.unit)


def _placements(truth: BoolArray, scores: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Of each positive, the share of negatives below it; of each negative, of positives above."""
    together = stats.rankdata(scores, axis=1)
    positives, negatives = scores[:, truth], scores[:, ~truth]
    n_positive, n_negative = positives.shape[1], negatives.shape[1]
    wins = (together[:, truth] - stats.rankdata(positives, axis=1)) / n_negative
    losses = 1 - (together[:, ~truth] - stats.rankdata(negatives, axis=1)) / n_positive
    return wins, losses
