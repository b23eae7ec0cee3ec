"""What an embedding service answers: vectors, or something else."""

import json

import numpy as np

from audioprobe.services.requests import Refusal
from audioprobe.types import FloatArray

# OverflowError is a number beyond any float, RecursionError a body of nothing but brackets.
_UNUSABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def vectors(body: bytes, n_texts: int, dimensions: int | None = None) -> FloatArray:
    """The vectors of an answer, in the order of the texts, float32, shape (n_texts, width).

    Args:
        body: JSON, with `data`: one object per text, with its `index` and its `embedding`.
        n_texts: how many were asked for.
        dimensions: the width that was asked for, if any.

    Raises:
        Refusal: retryable, for anything but one finite vector per text, all of one width; not
            retryable, for another width than was asked for.
    """
    try:
        items = json.loads(body)["data"]
        by_index = {int(item["index"]): item["embedding"] for item in items}
        array = np.array([by_index[n] for n in range(n_texts)], dtype=np.float64)
    except _UNUSABLE as error:
        raise Refusal(
            f"Expected {n_texts} vectors, got {_count(body)} ({type(error).__name__}).",
            retryable=True,
        ) from error
    if len(items) != n_texts or array.ndim != 2 or not array.shape[1]:
        raise Refusal(f"Expected {n_texts} vectors, got {_count(body)}.", retryable=True)
    with np.errstate(over="ignore"):  # becomes infinity, which is refused
        found = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise Refusal(
            f"Expected {n_texts} finite vectors, got NaN or infinity among them.", retryable=True
        )
    if dimensions is not None and found.shape[1] != dimensions:
        raise Refusal(
            f"Expected vectors of {dimensions} dimensions, got {found.shape[1]}. The model may "
            "have a fixed width: leave `dimensions` out."
        )
    return found


def _count(body: bytes) -> str:
    try:
        return f"{len(json.loads(body)['data'])}, or unequal ones"
    except _UNUSABLE:
        return f"{len(body)} bytes that are no such answer"
