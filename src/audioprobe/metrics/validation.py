"""Validation of the arrays that are passed to metrics.

Conventions:
    Arrays have shape (n_clips,) for one label and (n_clips, n_labels) for several. Targets and
    predictions are True/False or 1/0. Scores are finite, in any range. Invalid arrays raise
    `InvalidInputError`. A label without positives is valid.
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
    """Return targets as bool and scores as float64, both of the same shape."""
    present = validate_binary(targets, "targets", n_dimensions)
    values = _numeric(scores, "scores", n_dimensions)
    _check_same_shape(present, values, "scores")
    return present, _finite(values)


def validate_predictions(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, *, n_dimensions: int
) -> tuple[BoolArray, BoolArray]:
    """Return targets and predictions as bool, both of the same shape."""
    present = validate_binary(targets, "targets", n_dimensions)
    predicted = validate_binary(predictions, "predictions", n_dimensions)
    _check_same_shape(present, predicted, "predictions")
    return present, predicted


def validate_binary(values: npt.ArrayLike, name: str, n_dimensions: int) -> BoolArray:
    """Return True/False or 1/0 as bool; error messages contain `name`, such as "targets"."""
    array = _numeric(values, name, n_dimensions)
    invalid = (array != 0) & (array != 1)
    if invalid.any():
        raise InvalidInputError(
            f"{name} must be True/False or 1/0, but {np.count_nonzero(invalid)} of {array.size} "
            f"values are neither, the first is {array[invalid][0]}. Compare probabilities or "
            "counts with a threshold first."
        )
    return array.astype(np.bool_)


def finite_columns(name: str, *columns: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """Return the arrays as float64; raise unless all are finite and of the same shape (n_items,).

    `name` is the name of the statistic in error messages.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(a.ndim != 1 or a.shape != arrays[0].shape for a in arrays):
        raise InvalidInputError(
            f"{name} needs arrays of the same shape (n_items,), got shapes "
            f"{' and '.join(str(array.shape) for array in arrays)}."
        )
    if n_invalid := sum(int((~np.isfinite(array)).sum()) for array in arrays):
        raise InvalidInputError(
            f"{name} needs finite values, got {n_invalid} values that are NaN or infinite."
        )
    return arrays


def validate_representation(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return a representation as float64; raise unless it has finite rows, one per item."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InvalidInputError(
            "A representation must be a non-empty array, with finite numbers of shape "
            f"(n_items, width), got shape {array.shape}."
        )
    return array


def _finite(values: npt.NDArray[Any]) -> FloatArray:
    array = values.astype(np.float64, copy=False)
    # Integers above 2**53 and long doubles are rounded.
    is_rounded = values.dtype.itemsize >= 8 and values.dtype != array.dtype
    if is_rounded and np.unique(values).size != np.unique(array).size:
        raise InvalidInputError(
            f"Some scores of dtype {values.dtype} differ, but are equal after conversion to "
            "float64. Pass their ranks, or subtract an offset first."
        )
    n_invalid = array.size - np.count_nonzero(np.isfinite(array))
    if n_invalid:
        raise InvalidInputError(
            f"scores must be finite, but {n_invalid} of {array.size} are NaN or infinite. Leave "
            "out clips that have no score, and report their number."
        )
    return array


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


def _check_same_shape(targets: BoolArray, others: npt.NDArray[Any], name: str) -> None:
    if targets.shape != others.shape:
        raise InvalidInputError(
            f"targets and {name} need the same shape, got {targets.shape} and {others.shape}."
        )
