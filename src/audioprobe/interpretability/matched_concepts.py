"""Mean states of the concepts that two sides share, such as text and audio."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.grouping import grouped
from audioprobe.metrics.validation import validate_representation
from audioprobe.types import BoolArray, Float64Array

States: TypeAlias = Mapping[str, npt.ArrayLike]
"""States by the name of the layer, each of shape (n_items, width)."""


def matched_concepts(
    first: States,
    second: States,
    first_concepts: Sequence[Hashable] | None,
    second_concepts: Sequence[Hashable] | None,
) -> tuple[tuple[dict[str, Float64Array], dict[str, Float64Array]], int]:
    """Return the mean state of each concept in each layer of both sides.

    Args:
        first: states by layer of the first side.
        second: states by layer of the second side.
        first_concepts: concept of each item; None if items of both sides are the same concepts.
        second_concepts: concept of each item; None with `first_concepts` only.

    Returns:
        States by layer of both sides, shape (n_concepts, width), sorted by the name of the concept
        (unsorted without names), and the number of concepts that only one side has.
    """
    sides = [{name: validate_representation(v) for name, v in s.items()} for s in (first, second)]
    lengths = [{len(values) for values in side.values()} for side in sides]
    if any(len(each) != 1 for each in lengths):
        raise InvalidInputError(
            "Expected at least one layer on both sides, and the same items in all layers of a "
            f"side, got {sorted(lengths[0])} and {sorted(lengths[1])} items."
        )
    if first_concepts is None and second_concepts is None:
        if lengths[0] != lengths[1]:
            raise InvalidInputError(
                f"Expected one item per concept on both sides, got {lengths[0].pop()} and "
                f"{lengths[1].pop()} items. Pass the concept of each item."
            )
        return (sides[0], sides[1]), 0
    if first_concepts is None or second_concepts is None:
        raise InvalidInputError("Expected the concepts of both sides, got those of one side.")
    for names, each in zip((first_concepts, second_concepts), lengths, strict=True):
        if grouped(next(iter(each)), names).n_missing:
            raise InvalidInputError("Expected a concept for each item, got missing ones.")
    shared = sorted(set(first_concepts) & set(second_concepts), key=repr)
    if not shared:
        raise InvalidInputError("Expected shared concepts, got no concept that both sides have.")
    n_left_out = len(set(first_concepts) ^ set(second_concepts))
    return (
        _means(sides[0], first_concepts, shared),
        _means(sides[1], second_concepts, shared),
    ), n_left_out


def _means(
    side: Mapping[str, Float64Array], concepts: Sequence[Hashable], shared: Sequence[Hashable]
) -> dict[str, Float64Array]:
    """Return the mean of the items of each shared concept, by layer."""
    is_of: BoolArray = np.array([[name == concept for name in concepts] for concept in shared])
    weights = is_of / is_of.sum(axis=1, keepdims=True)
    return {name: np.asarray(weights @ values, dtype=np.float64) for name, values in side.items()}
