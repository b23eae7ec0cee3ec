"""The Pareto front agrees with all pairwise comparisons."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.effects import pareto_front

# Few numbers, so that ties are many.
NUMBERS = st.integers(-3, 3).map(float) | st.just(math.inf) | st.just(-math.inf) | st.just(-0.0)
POINTS = st.lists(st.tuples(*[NUMBERS | st.none() | st.just(math.nan)] * 2), max_size=12)


def defined(point: tuple[float | None, float | None]) -> bool:
    return all(value is not None and not math.isnan(value) for value in point)


def by_hand(points: list[tuple[float | None, float | None]]) -> list[bool]:
    rivals = [(g, c) for g, c in points if g is not None and c is not None and defined((g, c))]
    return [
        gain is not None
        and loss is not None
        and defined((gain, loss))
        and not any(g >= gain and c <= loss and (g, c) != (gain, loss) for g, c in rivals)
        for gain, loss in points
    ]


@given(POINTS)
def test_front_agrees_with_all_pairwise_comparisons(
    points: list[tuple[float | None, float | None]],
) -> None:
    front = pareto_front([gain for gain, _ in points], [loss for _, loss in points])
    assert front.tolist() == by_hand(points)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_front_contains_the_best_gain_and_the_best_loss(
    points: list[tuple[float, float]],
) -> None:
    front = pareto_front([gain for gain, _ in points], [loss for _, loss in points])
    assert front.tolist() == by_hand([*points])
    chosen = [point for point, on_it in zip(points, front, strict=True) if on_it]
    assert max(gain for gain, _ in chosen) == max(gain for gain, _ in points)
    assert min(loss for _, loss in chosen) == min(loss for _, loss in points)


def test_equal_points_are_on_the_front_and_undefined_ones_are_not() -> None:
    gains = [1.0, 1.0, 1.0, 0.0, None, 5.0, 0.5]
    losses = [2.0, 2.0, 3.0, 0.0, -9.0, math.nan, 2.0]
    assert pareto_front(gains, losses).tolist() == [True, True, False, True, False, False, False]


def test_front_of_no_points_is_empty() -> None:
    assert pareto_front([], []).tolist() == []
    assert pareto_front([None], [1.0]).tolist() == [False]


def test_different_numbers_of_gains_and_losses_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="same shape"):
        pareto_front([1.0, 2.0], [1.0])
