"""Significance of paired differences: permutations, p-value corrections and statistical power.

Conventions:
    A unit is an item or a group of items. For each unit, a permutation test exchanges the two
    systems or flips the sign of their difference. With n units there are 2**n such exchanges. The
    exchange of all units only changes the sign of the difference, so no two-sided p-value is below
    2 / 2**n: 0.125 with 4 units, 0.0625 with 5.

    A p-value is in [0, 1], or None if its test is undefined.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy import stats
from scipy.special import stdtrit

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, Estimate, Float64Array

ROUNDING = 1e-12
"""Largest rounding error: sums that differ by at most this much count as equal."""

_NORMAL = NormalDist()
_MAX_SIMULATED_UNITS = 10  # with more units, Student's t is close to the permutation test
_N_SIMULATIONS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Result of a test of a paired difference.

    Attributes:
        difference: first system minus second system.
        p_value: two-sided p-value; None if it is undefined.
        standard_error: standard error of the difference; None if it is not estimated.
        name: description of the test with its sample sizes, and the reason if it is undefined.
        n_units: number of units (items or groups of items) that the test exchanges; None for tests
            that exchange nothing.
        smallest_p_value: smallest p-value that is possible with this number of units; None for
            tests that exchange nothing.
        unit: plural name of the units, such as "clips" or "sites".
    """

    difference: Estimate
    p_value: float | None
    standard_error: float | None
    name: str
    n_units: int | None = None
    smallest_p_value: float | None = None
    unit: str = "clips"

    def detectable(self, *, level: float = 0.95, n_tests: int = 1) -> float | None:
        """Return the smallest true difference that this test detects with 80 % power.

        Args:
            level: confidence level, in (0, 1).
            n_tests: number of p-values that are corrected together: the p-value of this test must
                be at most `(1 - level) / n_tests`, like the smallest p-value in Holm's correction.

        Returns:
            None if the standard error is unknown, or if such a small p-value is not possible.
        """
        corrected = 1 - (1 - level) / max(1, n_tests)
        return smallest_detectable(self.standard_error, level=corrected, n_units=self.n_units)


def each_exchange(n_units: int, n_permutations: int, seed: int) -> Iterator[BoolArray]:
    """Return all possible exchanges of the units in a permutation test, or random ones, in turn.

    Args:
        n_units: number of units.
        n_permutations: number of exchanges, at least 1, drawn at random if more are possible.
        seed: random seed of the exchanges.

    Returns:
        Iterator over whether each unit is exchanged, shape (n_units,). The first exchange is the
        observed data: no unit is exchanged.
    """
    if n_permutations < 1:
        raise InvalidInputError(
            f"A permutation test needs n_permutations >= 1, got {n_permutations}."
        )
    if is_exact(n_units, n_permutations):
        bits = np.arange(2**n_units)[:, None] >> np.arange(n_units)
        return iter(np.asarray(bits & 1, dtype=np.bool_))
    return _random_exchanges(n_units, n_permutations, seed)


def _random_exchanges(n_units: int, n_permutations: int, seed: int) -> Iterator[BoolArray]:
    yield np.zeros(n_units, dtype=np.bool_)
    rng = np.random.default_rng(seed)
    for _ in range(n_permutations):
        yield rng.integers(2, size=n_units).astype(np.bool_)


def exchanges_of(n_units: int, n_permutations: int, seed: int) -> BoolArray:
    """Return the exchanges of `each_exchange`, shape (n_exchanges, n_units)."""
    return np.stack(list(each_exchange(n_units, n_permutations, seed)))


def is_exact(n_units: int, n_permutations: int) -> bool:
    """Return True if a test computes all possible exchanges, False if it draws some at random."""
    return n_units <= math.log2(n_permutations + 1)


def exchanges_text(n_units: int, n_permutations: int, seed: int) -> str:
    """Return the number of exchanges as text: "all 16 exchanges" or "2000 times, seed 0"."""
    if is_exact(n_units, n_permutations):
        return f"all {2**n_units} exchanges"
    return f"{n_permutations} times, seed {seed}"


def smallest_p_value(n_units: int, n_permutations: int) -> float:
    """Return the smallest two-sided p-value that a permutation test of `n_units` units can give."""
    if is_exact(n_units, n_permutations):
        return min(1.0, 2.0 ** (1 - n_units))
    return 1 / (n_permutations + 1)


def least_units(level: float) -> int:
    """Return the number of units from which on a two-sided p-value can be at most `1 - level`."""
    return math.ceil(1 - math.log2(1 - level) - ROUNDING)


def smallest_text(smallest: float | None) -> str:
    """Return the smallest possible p-value as text to print after a p-value: " (smallest 0.125)".

    The text is "" if `smallest` is None or below 0.001.
    """
    return "" if smallest is None or smallest < 0.001 else f" (smallest {smallest:.3g})"


def two_sided_p_value(differences: Float64Array) -> float:
    """Return the p-value of a permutation test.

    It is the share of differences that are at least as far from 0 as the observed difference.


    Args:
        differences: difference after each exchange, shape (n_exchanges,); the first is the observed
            difference.
    """
    distances = np.abs(differences)
    return float(np.mean(distances >= distances[0] - ROUNDING))


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p-values corrected by Holm (1979), which controls the family-wise error rate.

    None stays None and does not count as a test.
    """

    def adjust(defined: Sequence[float]) -> list[float]:
        order, factors = np.argsort(defined), np.arange(len(defined), 0, -1)
        adjusted = np.zeros(len(defined))
        adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * np.take(defined, order)))
        return list(adjusted.tolist())

    return _adjust_defined(p_values, adjust)


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p-values corrected by Benjamini and Hochberg (1995): the false discovery rate.

    None stays None and does not count as a test.
    """
    return _adjust_defined(p_values, lambda ps: list(stats.false_discovery_control(ps).tolist()))


def _adjust_defined(
    p_values: Sequence[float | None], adjust: Callable[[Sequence[float]], list[float]]
) -> tuple[float | None, ...]:
    defined = [p for p in p_values if p is not None]
    if not all(0 <= p <= 1 for p in defined):
        raise InvalidInputError(f"p-values must be in [0, 1] or None, got {p_values}.")
    adjusted = iter(adjust(defined) if defined else ())
    return tuple(None if p is None else next(adjusted) for p in p_values)


def smallest_detectable(
    standard_error: float | None,
    *,
    level: float = 0.95,
    power: float = 0.8,
    n_units: int | None = None,
) -> float | None:
    """Return the smallest true difference that a two-sided test detects with the given power.

    Args:
        standard_error: standard error of the difference; None if it is unknown.
        level: confidence level, in (0, 1).
        power: probability of detecting the difference, in (0, 1).
        n_units: number of units (items or groups of items) of a permutation test; None for a test
            with the normal distribution.

    Returns:
        None if the standard error is unknown or 0 (which means that there were too few clips to
        estimate it), or if no p-value of `n_units` units is small enough.

    Raises:
        InvalidInputError: if the standard error is negative or not finite, or `level` or `power` is
            not in (0, 1).
    """
    error = 0.0 if standard_error is None else standard_error
    if not (0 <= error < math.inf and 0 < level < 1 and 0 < power < 1):
        raise InvalidInputError(
            "Expected a finite standard error >= 0, and level and power in (0, 1), got standard "
            f"error {standard_error}, level {level} and power {power}."
        )
    if error < ROUNDING:
        return None
    if n_units is None:
        return error * (_NORMAL.inv_cdf((1 + level) / 2) + _NORMAL.inv_cdf(power))
    effect = detectable_effect(n_units, level, power)
    return None if effect is None else error * effect


def standard_error_of(estimate: Estimate, level: float) -> float | None:
    """Return the standard error computed from the width of a confidence interval.

    The interval is treated as normal, and the standard error is corrected for a small number of
    groups. The result is None if there is no interval or the number of groups is unknown.
    """
    if estimate.low is None or estimate.high is None or not estimate.n_groups:
        return None
    error = (estimate.high - estimate.low) / (2 * _NORMAL.inv_cdf((1 + level) / 2))
    return error * math.sqrt(estimate.n_groups / (estimate.n_groups - 1))


@lru_cache(maxsize=256)
def detectable_effect(n_units: int, level: float, power: float) -> float | None:
    """Return the smallest true mean difference that a permutation test detects with some power.

    The result is in standard errors. The differences of units are assumed to be normally
    distributed. With up to 10 units the test is simulated (4,000 samples, fixed seed); with more
    units it is approximated by Student's t.

    Args:
        n_units: number of units (items or groups of items) that are exchanged.
        level: confidence level; a p-value of at most `1 - level` is significant.
        power: probability of a significant result.

    Returns:
        None if no p-value of `n_units` units can be significant.
    """
    if n_units < 2 or 2.0 ** (1 - n_units) > 1 - level + ROUNDING:
        return None
    start = float(stdtrit(n_units - 1, (1 + level) / 2) + stdtrit(n_units - 1, power))
    if n_units > _MAX_SIMULATED_UNITS:
        return start
    noise = np.random.default_rng(n_units).normal(size=(_N_SIMULATIONS, n_units))
    # The exchange of all units does not change the distance from 0: half of the exchanges suffice.
    signs = 1.0 - 2.0 * exchanges_of(n_units, 2**n_units, 0)[: 2 ** (n_units - 1)]

    def simulated_power(effect: float) -> float:
        distances = np.abs((noise + effect / math.sqrt(n_units)) @ signs.T)
        p_values = np.mean(distances >= distances[:, :1] - ROUNDING, axis=1)
        return float(np.mean(p_values <= 1 - level + ROUNDING))

    low, high = 0.0, 4 * start
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if simulated_power(middle) < power else (low, middle)
    return high
