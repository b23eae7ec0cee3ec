"""Exact and drawn exchanges of units, for permutation tests: p-values, and what they can reach.

Conventions:
    A test exchanges two systems (or flips the sign of their difference) unit by unit. With n units
    there are 2**n exchanges; exchanging all of them only turns the difference round, so no
    two-sided p-value can be below 2 / 2**n: .125 with 4 units, .0625 with 5.
"""

import math

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, Float64Array

ROUNDING = 1e-12
"""What numbers may differ by that are equal but for the order of a sum."""


def exchanges_of(n_units: int, n_permutations: int, seed: int) -> BoolArray:
    """Which units each exchange concerns: all that there are, or so many drawn at random.

    Args:
        n_units: how many there are.
        n_permutations: at most so many are taken beside the observed one.
        seed: of the draws.

    Returns:
        Shape (n_exchanges, n_units); the first exchanges none, which is what was observed.

    Raises:
        InvalidInputError: if `n_permutations` is not positive.
    """
    if n_permutations < 1:
        raise InvalidInputError(
            f"A permutation test needs n_permutations >= 1, got {n_permutations}."
        )
    if is_exact(n_units, n_permutations):
        every = np.arange(2**n_units)[:, None] >> np.arange(n_units)
        return np.asarray(every & 1, dtype=np.bool_)
    found = np.zeros((n_permutations + 1, n_units), dtype=np.bool_)
    found[1:] = np.random.default_rng(seed).integers(2, size=(n_permutations, n_units))
    return found


def is_exact(n_units: int, n_permutations: int) -> bool:
    """Whether all exchanges are taken: they are where there are not more than asked for."""
    return n_units <= math.log2(n_permutations + 1)


def how_many(n_units: int, n_permutations: int, seed: int) -> str:
    """Return "all 16 exchanges", or how many are drawn, for the name of a test."""
    if is_exact(n_units, n_permutations):
        return f"all {2**n_units} exchanges"
    return f"{n_permutations} times, seed {seed}"


def smallest_p_value(n_units: int, n_permutations: int) -> float:
    """Return the smallest two-sided p-value that so many units can give."""
    if is_exact(n_units, n_permutations):
        return min(1.0, 2.0 ** (1 - n_units))
    return 1 / (n_permutations + 1)


def smallest_text(smallest: float | None) -> str:
    """Return " (smallest 0.125)" to stand beside a p-value, or "" where it may be below .001."""
    return "" if smallest is None or smallest < 0.001 else f" (smallest {smallest:.3g})"


def share_as_far(differences: Float64Array) -> float:
    """A two-sided p-value: how many are as far from 0 as the first, which is what was observed."""
    far = np.abs(differences)
    return float(np.mean(far >= far[0] - ROUNDING))
