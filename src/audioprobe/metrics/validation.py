"""Check what metrics are given, with messages that say what to do.

Conventions:
    One label has arrays of shape (n_clips,), many have (n_clips, n_labels). Targets and predictions
    hold True/False or 1/0 and come out as bool. Scores are finite, in any range and order, and come
    out as float64. Nothing here is undefined: what breaks a rule raises `InvalidInputError`, and
    what merely has no positives passes, for the metrics to judge.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.types import BoolArray, FloatArray

_SHAPES = {1: "(n_clips,)", 2: "(n_clips, n_labels)"}


def validate(
    targets: npt.ArrayLike, scores: npt.ArrayLike, *, n_dimensions: int
) -> tuple[BoolArray, FloatArray]:
    """Targets as bool and scores as float64.

    Args:
        targets: shape (n_clips,) or (n_clips, n_labels); True or 1 where the label is present.
        scores: of the same shape, finite.
        n_dimensions: how many both must have, 1 or 2.

    Raises:
        InvalidInputError: if a shape is another one, the two differ, there is nothing in them,
            targets are not binary, or scores are not finite numbers.
    """
    checked = _binary(targets, "targets", n_dimensions), _finite(scores, n_dimensions)
    _same_shape(*checked, "scores")
    return checked


def validate_predictions(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, *, n_dimensions: int
) -> tuple[BoolArray, BoolArray]:
    """Targets and predictions, both as bool.

    Args:
        targets: shape (n_clips,) or (n_clips, n_labels); True or 1 where the label is present.
        predictions: of the same shape; True or 1 where it is said to be present.
        n_dimensions: how many both must have, 1 or 2.

    Raises:
        InvalidInputError: if a shape is another one, the two differ, there is nothing in them, or
            either is not binary.
    """
    checked = (
        _binary(targets, "targets", n_dimensions),
        _binary(predictions, "predictions", n_dimensions),
    )
    _same_shape(*checked, "predictions")
    return checked


def _binary(values: npt.ArrayLike, name: str, n_dimensions: int) -> BoolArray:
    array = _numeric(values, name, n_dimensions)
    neither = (array != 0) & (array != 1)
    if neither.any():
        raise InvalidInputError(
            f"{name} must be True/False or 1/0, but {np.count_nonzero(neither)} of {array.size} "
            f"values are neither, the first is {array[neither][0]}. Compare probabilities or "
            "counts with a threshold first."
        )
    return array.astype(np.bool_)


def _finite(values: npt.ArrayLike, n_dimensions: int) -> FloatArray:
    given = _numeric(values, "scores", n_dimensions)
    array = given.astype(np.float64)
    if _ties_are_made(given, array):
        raise InvalidInputError(
            f"scores of dtype {given.dtype} differ by less than float64 can tell, so that clips "
            "would tie. Give their ranks, or subtract an offset first."
        )
    n_bad = array.size - np.count_nonzero(np.isfinite(array))
    if n_bad:
        raise InvalidInputError(
            f"scores must be finite, but {n_bad} of {array.size} are NaN or infinite. Leave out "
            "clips that have no score, and count them."
        )
    return array


def _ties_are_made(given: npt.NDArray[Any], rounded: npt.NDArray[np.float64]) -> bool:
    """Whether scores that differ do not any more as float64: integers above 2**53, long doubles."""
    is_large = given.dtype.kind in "iu" and given.itemsize == 8 and np.abs(rounded).max() >= 2.0**53
    is_long = given.dtype.kind == "f" and given.itemsize > 8
    return (is_large or is_long) and np.unique(given).size != np.unique(rounded).size


def _numeric(values: npt.ArrayLike, name: str, n_dimensions: int) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != n_dimensions:
        raise InvalidInputError(
            f"{name} need shape {_SHAPES[n_dimensions]}, got shape {array.shape}."
        )
    if not array.size:
        raise InvalidInputError(f"{name} need at least one value, got shape {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"{name} need real numbers or bools, got dtype {array.dtype}.")
    return array


def _same_shape(targets: BoolArray, others: npt.NDArray[Any], name: str) -> None:
    if targets.shape != others.shape:
        raise InvalidInputError(
            f"targets and {name} need the same shape, got {targets.shape} and {others.shape}."
        )
