"""A hierarchy gives credit for the right branch and measures how far off an answer is."""

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
    ("one", "other", "steps"),
    [("grouse", "grouse", 0), ("grouse", "bird", 1), ("grouse", "loon", 2), ("grouse", "bug", 3),
     ("grouse", "rain", 5), ("bio", "geo", 2)],
)  # fmt: skip
def test_distances_of_a_known_tree(one: str, other: str, steps: int) -> None:
    assert TREE.distance(one, other) == TREE.distance(other, one) == steps


@given(st.sampled_from(LABELS), st.sampled_from(LABELS), st.sampled_from(LABELS))
def test_distances_keep_the_triangle_inequality(a: str, b: str, c: str) -> None:
    assert TREE.distance(a, c) <= TREE.distance(a, b) + TREE.distance(b, c)


def test_with_two_parents_the_shorter_way_counts() -> None:
    graph = Hierarchy({"top": (), "a": ("top",), "b": ("a",), "c": ("b", "top")})
    assert (graph.distance("c", "top"), graph.distance("c", "b")) == (1, 1)
    assert graph.ancestors("c") == {"top", "a", "b"}


def test_closing_adds_what_lies_above_and_nothing_else() -> None:
    closed = TREE.closed(row("grouse"), LABELS)
    assert np.array_equal(closed, row("grouse", "bird", "bio"))
    assert np.array_equal(TREE.closed(closed, LABELS), closed)


def test_the_right_branch_earns_credit() -> None:
    truth = row("grouse")
    found = [
        TREE.precision_recall_f1(truth, row(said), LABELS).f1 for said in ("bird", "loon", "rain")
    ]
    assert found == pytest.approx([2 * 2 / 5, 2 * 2 / 6, 0.0])


def test_the_best_label_is_so_far_off() -> None:
    truth = np.concatenate([row("grouse"), row("rain"), row()])
    scores = np.concatenate([row("loon"), row("rain"), row("rain")]).astype(float)
    found = TREE.distances_of_best(truth, scores, LABELS)
    assert found == pytest.approx([2, 0, np.nan], nan_ok=True)


def test_what_cannot_be_a_hierarchy_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="its own ancestor"):
        Hierarchy({"a": ("b",), "b": ("a",)})
    with pytest.raises(InvalidInputError, match="not a label"):
        Hierarchy({"a": ("b",)})
    with pytest.raises(InvalidInputError, match="no label 'wind'"):
        TREE.distance("wind", "rain")
