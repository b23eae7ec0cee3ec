"""Shapley values: what each player contributes to the value of a coalition.

The Shapley value of a player is the mean, over all orders of the players, of the change of the
value when the player joins those before it (Shapley 1953, "A value for n-person games"). It is
computed exactly from all subsets: the sum over the subsets S without the player of
|S|! (n - |S| - 1)! / n! times the value of S with the player minus the value of S. The values of
all players sum to the value of all players minus the value of no players.
"""

from math import factorial

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.types import Float64Array

MAX_PLAYERS = 12
"""Maximum number of players; n players have 2**n subsets."""


def shapley_values(values: npt.ArrayLike) -> Float64Array:
    """Return the Shapley value of each player, for one game or for several.

    Args:
        values: value of each subset, shape (2**n_players,) or (2**n_players, n_items) with one game
            per item. Player p belongs to the subsets whose index has bit p set, so that the first
            row belongs to no players, and the last row to all.

    Returns:
        Shape (n_players,) or (n_players, n_items).

    Raises:
        InvalidInputError: for another number of rows, more than 12 players, or values that are NaN
            or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    n_subsets = len(array) if array.ndim in (1, 2) else 0
    n_players = n_subsets.bit_length() - 1
    if n_subsets != 1 << max(n_players, 0) or n_players > MAX_PLAYERS:
        raise InvalidInputError(
            f"Expected the values of all subsets, shape (2**n_players, ...) with at most "
            f"{MAX_PLAYERS} players, got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise InvalidInputError("Expected finite values of subsets, got NaN or infinity.")
    return np.asarray(np.tensordot(_weights(n_players), array, axes=1), dtype=np.float64)


def _weights(n_players: int) -> Float64Array:
    """Return the factor of each subset in the value of each player, shape (n_players, 2**n)."""
    subsets = np.arange(1 << n_players)
    is_member = (subsets >> np.arange(n_players)[:, None]) & 1 == 1
    size = np.array([int(subset).bit_count() for subset in subsets])
    n_orders = factorial(n_players)
    # The factor of a subset with `size` members: as the result of joining, or as the subset joined.
    joined = [factorial(s - 1) * factorial(n_players - s) / n_orders if s else 0.0 for s in size]
    joins = [
        factorial(s) * factorial(n_players - s - 1) / n_orders if s < n_players else 0.0
        for s in size
    ]
    return np.where(is_member, np.array(joined), -np.array(joins))
