"""Hierarchical metrics: distances, ancestors, credit and invalid hierarchies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.hierarchy import Hierarchy

TREE = Hierarchy(
    {"bio": (), "bird": ("bio",), "grouse": ("bird",), "loon": ("bird",), "bug": ("bio",),
     "geo": (), "rain": ("geo",)}
)  # fmt: skip
LABELS = TREE.labels


def row(*present: str) -> np.ndarray:
    return np.array([[label in present for label in LABELS]])


@pytest.mark.parametrize(
    ("first", "second", "steps"),
    [("grouse", "grouse", 0), ("grouse", "bird", 1), ("grouse", "loon", 2), ("grouse", "bug", 3),
     ("grouse", "rain", 5), ("bio", "geo", 2)],
)  # fmt: skip
def test_distances_of_a_known_tree(first: str, second: str, steps: int) -> None:
    assert TREE.distance(first, second) == TREE.distance(second, first) == steps


@given(st.sampled_from(LABELS), st.sampled_from(LABELS), st.sampled_from(LABELS))
def test_distances_satisfy_the_triangle_inequality(a: str, b: str, c: str) -> None:
    assert TREE.distance(a, c) <= TREE.distance(a, b) + TREE.distance(b, c)


def test_distance_over_two_parents_is_the_shorter() -> None:
    graph = Hierarchy({"top": (), "a": ("top",), "b": ("a",), "c": ("b", "top")})
    assert (graph.distance("c", "top"), graph.distance("c", "b")) == (1, 1)
    assert graph.ancestors("c") == {"top", "a", "b"}


def test_closing_adds_exactly_the_ancestors() -> None:
    closed = TREE.closed(row("grouse"), LABELS)
    assert np.array_equal(closed, row("grouse", "bird", "bio"))
    assert np.array_equal(TREE.closed(closed, LABELS), closed)


def test_hierarchical_f1_gives_credit_for_common_ancestors() -> None:
    truth = row("grouse")
    values = [
        TREE.precision_recall_f1(truth, row(predicted), LABELS).f1
        for predicted in ("bird", "loon", "rain")
    ]
    assert values == pytest.approx([2 * 2 / 5, 2 * 2 / 6, 0.0])


def test_distance_of_the_best_label() -> None:
    truth = np.concatenate([row("grouse"), row("rain"), row()])
    scores = np.concatenate([row("loon"), row("rain"), row("rain")]).astype(float)
    values = TREE.distances_of_best(truth, scores, LABELS)
    assert values == pytest.approx([2, 0, np.nan], nan_ok=True)


def test_invalid_hierarchies_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="its own ancestor"):
        Hierarchy({"a": ("b",), "b": ("a",)})
    with pytest.raises(InvalidInputError, match="not a label"):
        Hierarchy({"a": ("b",)})
    with pytest.raises(InvalidInputError, match="no label 'wind'"):
        TREE.distance("wind", "rain")
