"""Exchanges of units for permutation tests, and the smallest p-values of these tests.

Conventions:
    A unit is an item or a group of items. For each unit, a test exchanges the two systems or flips
    the sign of their difference. With n units there are 2**n exchanges. The exchange of all units
    only changes the sign of the difference, so no two-sided p-value is below 2 / 2**n: 0.125 with 4
    units, 0.0625 with 5.
"""

import math

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, Float64Array

ROUNDING = 1e-12
"""Largest rounding error: sums that differ by at most this much count as equal."""


def exchanges_of(n_units: int, n_permutations: int, seed: int) -> BoolArray:
    """Return which units are exchanged in each exchange: all possible exchanges, or random ones.

    Args:
        n_units: number of units.
        n_permutations: number of random exchanges, at least 1; if no more exchanges are possible,
            all are returned.
        seed: random seed of the exchanges.

    Returns:
        Shape (n_exchanges, n_units); the first row is the observed data: no unit is exchanged.
    """
    if n_permutations < 1:
        raise InvalidInputError(
            f"A permutation test needs n_permutations >= 1, got {n_permutations}."
        )
    if is_exact(n_units, n_permutations):
        bits = np.arange(2**n_units)[:, None] >> np.arange(n_units)
        return np.asarray(bits & 1, dtype=np.bool_)
    exchanges = np.zeros((n_permutations + 1, n_units), dtype=np.bool_)
    exchanges[1:] = np.random.default_rng(seed).integers(2, size=(n_permutations, n_units))
    return exchanges


def is_exact(n_units: int, n_permutations: int) -> bool:
    """Return whether a test computes all possible exchanges instead of random exchanges."""
    return n_units <= math.log2(n_permutations + 1)


def exchanges_text(n_units: int, n_permutations: int, seed: int) -> str:
    """Return the text for the name of a test: "all 16 exchanges" or "2000 times, seed 0"."""
    if is_exact(n_units, n_permutations):
        return f"all {2**n_units} exchanges"
    return f"{n_permutations} times, seed {seed}"


def smallest_p_value(n_units: int, n_permutations: int) -> float:
    """Return the smallest two-sided p-value that is possible with this number of units."""
    if is_exact(n_units, n_permutations):
        return min(1.0, 2.0 ** (1 - n_units))
    return 1 / (n_permutations + 1)


def smallest_text(smallest: float | None) -> str:
    """Return the text after a printed p-value: " (smallest 0.125)", or "" if it is below 0.001."""
    return "" if smallest is None or smallest < 0.001 else f" (smallest {smallest:.3g})"


def two_sided_p_value(differences: Float64Array) -> float:
    """Return the share of differences that are at least as far from 0 as the observed difference.

    The observed difference is the first one.
    """
    distances = np.abs(differences)
    return float(np.mean(distances >= distances[0] - ROUNDING))
