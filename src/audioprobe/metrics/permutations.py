"""Exchanges of units for permutation tests, and the p-values that they can give.

Conventions:
    A test exchanges two systems, or flips the sign of their difference, unit by unit. n units have
    2**n exchanges. Exchanging all of them only changes the sign, so no two-sided p-value is below
    2 / 2**n: 0.125 with 4 units, 0.0625 with 5.
"""

import math

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, Float64Array

ROUNDING = 1e-12
"""Largest difference of sums that are equal but for the order of their terms."""


def exchanges_of(n_units: int, n_permutations: int, seed: int) -> BoolArray:
    """Return which units each exchange concerns: all possible exchanges, or random ones.

    Args:
        n_units: number of units.
        n_permutations: number of random exchanges, at least 1; if there are not more possible
            ones, all of them are returned.
        seed: of the random exchanges.

    Returns:
        Shape (n_exchanges, n_units); the first row is the observed data, without exchanges.
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
    """Return whether all possible exchanges are taken."""
    return n_units <= math.log2(n_permutations + 1)


def exchanges_text(n_units: int, n_permutations: int, seed: int) -> str:
    """Return "all 16 exchanges" or "2000 times, seed 0", for the name of a test."""
    if is_exact(n_units, n_permutations):
        return f"all {2**n_units} exchanges"
    return f"{n_permutations} times, seed {seed}"


def smallest_p_value(n_units: int, n_permutations: int) -> float:
    """Return the smallest two-sided p-value that a test with this number of units can give."""
    if is_exact(n_units, n_permutations):
        return min(1.0, 2.0 ** (1 - n_units))
    return 1 / (n_permutations + 1)


def smallest_text(smallest: float | None) -> str:
    """Return " (smallest 0.125)" to print after a p-value, or "" if it may be below 0.001."""
    return "" if smallest is None or smallest < 0.001 else f" (smallest {smallest:.3g})"


def two_sided_p_value(differences: Float64Array) -> float:
    """Return the share of differences at least as far from 0 as the first, the observed one."""
    distances = np.abs(differences)
    return float(np.mean(distances >= distances[0] - ROUNDING))
