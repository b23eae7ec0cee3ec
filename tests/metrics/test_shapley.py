"""Shapley values: the definition by orders, and the axioms that characterise them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.shapley import shapley_values
from audioprobe.types import Float64Array

games = st.integers(0, 4).flatmap(
    lambda n: arrays(np.float64, (1 << n,), elements=st.floats(-10, 10))
)


def by_orders(values: Float64Array) -> list[float]:
    """Return the mean change over all orders of the players."""
    n_players = len(values).bit_length() - 1
    changes: list[list[float]] = [[] for _ in range(n_players)]
    for order in permutations(range(n_players)):
        subset = 0
        for player in order:
            with_player = subset | 1 << player
            changes[player].append(values[with_player] - values[subset])
            subset = with_player
    return [float(np.mean(change)) for change in changes]


@given(games)
def test_values_equal_the_definition_by_orders(values: Float64Array) -> None:
    np.testing.assert_allclose(shapley_values(values), by_orders(values), atol=1e-9)


@given(games)
def test_values_sum_to_full_minus_empty(values: Float64Array) -> None:
    assert np.isclose(shapley_values(values).sum(), values[-1] - values[0], atol=1e-9)


@given(games, games)
def test_values_are_additive(first: Float64Array, second: Float64Array) -> None:
    if len(first) == len(second):
        total = shapley_values(first) + shapley_values(second)
        np.testing.assert_allclose(shapley_values(first + second), total, atol=1e-9)


@given(games)
def test_player_without_effect_has_no_value_and_equal_players_have_equal_values(
    values: Float64Array,
) -> None:
    with_dummy = np.concatenate([values, values])  # the last player changes nothing
    assert np.isclose(shapley_values(with_dummy)[-1], 0, atol=1e-9)
    sizes = np.array([n.bit_count() for n in range(len(values))])
    symmetric = shapley_values(values[sizes])  # the value depends on the size only
    np.testing.assert_allclose(symmetric, symmetric[:1].repeat(len(symmetric)), atol=1e-9)


def test_known_game() -> None:
    # Players 0 and 1 own a left glove each, player 2 the right one; a pair is worth 1.
    values = [0, 0, 0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(shapley_values(values), [1 / 6, 1 / 6, 4 / 6])


def test_several_games_at_once() -> None:
    games = np.random.default_rng(0).random((8, 5))
    columns = [shapley_values(games[:, n]) for n in range(5)]
    np.testing.assert_allclose(shapley_values(games), np.transpose(columns))


@pytest.mark.parametrize("values", [[], [1, 2, 3], np.zeros((1 << 13,)), 3.0, np.zeros((2, 2, 2))])
def test_other_shapes_are_refused(values: object) -> None:
    with pytest.raises(InvalidInputError, match="values of all subsets"):
        shapley_values(values)  # type: ignore[arg-type]


def test_undefined_values_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="got NaN"):
        shapley_values([0.0, np.nan])
