"""What an embedding service answers: vectors, or something else."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.types import FloatArray

_SHOWN = 10  # indices in a message


def vectors(answer: Mapping[str, Any], n_texts: int, dimensions: int | None = None) -> FloatArray:
    """The vectors of an answer, in the order of the texts, float32, shape (n_texts, width).

    Args:
        answer: with `data`: one object per text, with its `index` and its `embedding`.
        n_texts: how many were asked for.
        dimensions: the width that was asked for, if any.

    Raises:
        Refusal: retryable, for anything but one finite vector per text, all of one width; not
            retryable, for another width than was asked for.
    """
    items = answer.get("data")
    if not isinstance(items, list):
        raise RequestFailedError(
            f"Expected {n_texts} vectors, got an answer without a list.", retryable=True
        )
    if len(items) != n_texts:
        raise RequestFailedError(f"Expected {n_texts} vectors, got {len(items)}.", retryable=True)
    try:
        numbers = [int(item["index"]) for item in items]
        lists = [item["embedding"] for item in items]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestFailedError(
            f"Expected {n_texts} vectors, each an object with `index` and `embedding`, got others "
            f"({type(error).__name__}).",
            retryable=True,
        ) from error
    if sorted(numbers) != list(range(n_texts)):
        shown = f"{numbers[:_SHOWN]}{', ...' * (n_texts > _SHOWN)}"
        raise RequestFailedError(
            f"Expected {n_texts} vectors with the indices 0 to {n_texts - 1}, got the indices "
            f"{shown}.",
            retryable=True,
        )
    found = _array(dict(zip(numbers, lists, strict=True)))
    if dimensions is not None and found.shape[1] != dimensions:
        raise RequestFailedError(
            f"Expected vectors of {dimensions} dimensions, got {found.shape[1]}. The model may "
            "have a fixed width: leave `dimensions` out."
        )
    return found


def _array(by_index: Mapping[int, Any]) -> FloatArray:
    n_texts = len(by_index)
    texts = sum(isinstance(vector, str) for vector in by_index.values())
    if texts:
        raise RequestFailedError(
            f"Expected {n_texts} vectors as lists of numbers, got {texts} as text (base64?).",
            retryable=True,
        )
    try:
        array = np.array([by_index[n] for n in range(n_texts)], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # of unequal width, or not numeric
        raise RequestFailedError(
            f"Expected {n_texts} vectors of one width, as lists of numbers, got others "
            f"({type(error).__name__}).",
            retryable=True,
        ) from error
    if array.ndim != 2 or not array.shape[1]:
        raise RequestFailedError(
            f"Expected {n_texts} vectors as lists of numbers, got arrays of shape "
            f"{array.shape[1:]}.",
            retryable=True,
        )
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        found = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise RequestFailedError(
            f"Expected {n_texts} finite vectors, got NaN or infinity among them.", retryable=True
        )
    return found
