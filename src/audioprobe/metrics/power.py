"""What a test of a difference found, and how large a difference has to be so that it finds it.

Conventions:
    Power is that of the test that is used: a normal test, or a test of exchanges of so many units.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.permutations import ROUNDING, exchanges_of
from audioprobe.types import Estimate

_NORMAL = NormalDist()
_MOST_SIMULATED = 10  # units: of more, Student's t is close to the exchanges
_SIMULATIONS = 4000


@dataclass(frozen=True, slots=True)
class Test:
    """What a test of a difference found.

    Attributes:
        difference: first minus second.
        p_value: of no difference; None where it is undefined.
        standard_error: of the difference; None where there is no estimate of it.
        name: of the test, with what it rests on, and why it is undefined where it is.
        n_units: groups or items that were exchanged; None for a test that exchanges none.
        smallest_p_value: that so many units can give; None for a test that exchanges none.
        unit: what they are, in the plural.
    """

    __test__ = False  # no test of pytest's

    difference: Estimate
    p_value: float | None
    standard_error: float | None
    name: str
    n_units: int | None = None
    smallest_p_value: float | None = None
    unit: str = "clips"

    def detectable(self, *, level: float = 0.95, n_tests: int = 1) -> float | None:
        """Return the true difference that this test would have found with 80 % power.

        Args:
            level: of confidence.
            n_tests: p-values that are corrected together: the test has to reach
                `(1 - level) / n_tests`, as the first one by Holm's correction has.

        Returns:
            None where the standard error is unknown, or no p-value can be that small.

        Raises:
            InvalidInputError: if `level` is not in (0, 1).
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
    """The true difference that a two-sided test would have found so often.

    Args:
        standard_error: of the difference; None where it is unknown.
        level: of confidence.
        power: how often it would be found.
        n_units: that a test of exchanges has, see `detectable_effect`; None is a normal
            test.

    Returns:
        None for an unknown standard error, for one of 0 (which is no certainty, but an estimate
        from too few clips), and where so few units cannot give a p-value that is small enough.

    Raises:
        InvalidInputError: if the error is negative or not finite, or level or power not in (0, 1).
    """
    error = 0.0 if standard_error is None else standard_error
    if not (0 <= error < math.inf and 0 < level < 1 and 0 < power < 1):
        raise InvalidInputError(
            "Expected a finite standard error >= 0, and level and power in (0, 1), got "
            f"{standard_error}, {level} and {power}."
        )
    if error < ROUNDING:
        return None
    if n_units is None:
        return error * (_NORMAL.inv_cdf((1 + level) / 2) + _NORMAL.inv_cdf(power))
    effect = detectable_effect(n_units, level, power)
    return None if effect is None else error * effect


def standard_error_of(estimate: Estimate, level: float) -> float | None:
    """From the width of an interval, as if it were normal; of few groups, it is too narrow."""
    if estimate.low is None or estimate.high is None or not estimate.n_groups:
        return None
    error = (estimate.high - estimate.low) / (2 * _NORMAL.inv_cdf((1 + level) / 2))
    return error * math.sqrt(estimate.n_groups / (estimate.n_groups - 1))


def check_level(level: float) -> None:
    """Raise `InvalidInputError` unless the level of an interval is in (0, 1)."""
    if not 0 < level < 1:
        raise InvalidInputError(
            f"The level of an interval must be in (0, 1), such as 0.95, got {level}."
        )


@lru_cache(maxsize=256)
def detectable_effect(n_units: int, level: float, power: float) -> float | None:
    """Return the true mean difference that a test of exchanges finds so often, in standard errors.

    Differences of units are taken as normal. Up to 10 units the test itself is simulated (4,000
    samples, fixed seed); of more, Student's t approximates it.

    Args:
        n_units: how many are exchanged.
        level: of confidence; a p-value of at most `1 - level` finds a difference.
        power: how often it is found.

    Returns:
        None where so few units cannot give such a p-value.
    """
    if n_units < 2 or 2.0 ** (1 - n_units) > 1 - level + ROUNDING:
        return None
    student = stats.t(n_units - 1)
    start = float(student.ppf((1 + level) / 2) + student.ppf(power))
    if n_units > _MOST_SIMULATED:
        return start
    noise = np.random.default_rng(n_units).normal(size=(_SIMULATIONS, n_units))
    # Exchanging all units changes no distance: half of the exchanges are enough.
    signs = 1.0 - 2.0 * exchanges_of(n_units, 2**n_units, 0)[: 2 ** (n_units - 1)]

    def share_found(effect: float) -> float:
        values = noise + effect / math.sqrt(n_units)
        far = np.abs(values @ signs.T)
        p_values = np.mean(far >= far[:, :1] - ROUNDING, axis=1)
        return float(np.mean(p_values <= 1 - level + ROUNDING))

    low, high = 0.0, 4 * start
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if share_found(middle) < power else (low, middle)
    return high
