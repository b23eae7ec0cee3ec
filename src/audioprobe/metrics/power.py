"""Results of paired tests, and the smallest differences that these tests detect.

Conventions:
    Power is computed for the test that was used: a test with the normal distribution, or a
    permutation test of n units (items or groups of items).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.permutations import ROUNDING, exchanges_of
from audioprobe.types import Estimate

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
        n_units: number of groups or items that were exchanged; None for tests without exchanges.
        smallest_p_value: smallest p-value that is possible with this number of units; None for
            tests without exchanges.
        unit: plural name of the units.
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
        n_units: number of units of a permutation test; None for a test with the normal
            distribution.

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
    """Return the standard error that the width of a confidence interval implies.

    The interval is taken as normal, and the standard error is corrected for a small number of
    groups. The result is None if there is no interval or the number of groups is unknown.
    """
    if estimate.low is None or estimate.high is None or not estimate.n_groups:
        return None
    error = (estimate.high - estimate.low) / (2 * _NORMAL.inv_cdf((1 + level) / 2))
    return error * math.sqrt(estimate.n_groups / (estimate.n_groups - 1))


@lru_cache(maxsize=256)
def detectable_effect(n_units: int, level: float, power: float) -> float | None:
    """Return the smallest true mean difference that a permutation test detects, in standard errors.

    The differences of units are assumed to be normally distributed. With up to 10 units the test is
    simulated (4,000 samples, fixed seed); with more units it is approximated by Student's t.

    Args:
        n_units: number of units that are exchanged.
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
