"""Measures of the codes that an audio tokenizer assigns to clips.

Conventions:
    All measures of codes use a matrix of counts, see `count_codes`: how often each code occurs in
    each clip. Logarithms are natural. An undefined result is None.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.validation import validate_binary
from audioprobe.types import IntArray

_CHUNK = 4096  # vectors that are converted to float64 at once


def count_codes(codes: Iterable[npt.ArrayLike], n_codes: int) -> IntArray:
    """Return how often each code occurs in each clip, shape (n_clips, n_codes).

    Args:
        codes: codes of each clip, integers in [0, n_codes) of any shape.
        n_codes: number of codes of the tokenizer.

    Raises:
        InvalidInputError: if a code is not an integer of this range.
    """
    counts = []
    for clip in codes:
        array = np.asarray(clip)
        is_valid = array.dtype.kind in "iu" and ((array >= 0) & (array < n_codes)).all()
        if array.size and not is_valid:
            raise InvalidInputError(
                f"Expected codes that are integers from 0 to {n_codes - 1}, got {array.dtype} from "
                f"{array.min()} to {array.max()}."
            )
        counts.append(np.bincount(array.astype(np.int64).ravel(), minlength=n_codes))
    return np.array(counts, dtype=np.int64).reshape(len(counts), n_codes)


def codes_in_use(counts: npt.ArrayLike) -> int:
    """Return the number of codes that occur at least once.

    Args:
        counts: shape (n_clips, n_codes).
    """
    return int(np.count_nonzero(_totals(counts)))


def code_perplexity(counts: npt.ArrayLike) -> float | None:
    """Return the perplexity of the codes: the exponential of the entropy of their distribution.

    Args:
        counts: shape (n_clips, n_codes).

    Returns:
        A number from 1, if one code is used, to n_codes, if all occur equally often; None if no
        code occurs.
    """
    totals = _totals(counts)
    return float(np.exp(_entropy(totals))) if totals.any() else None


def largest_share(counts: npt.ArrayLike) -> float | None:
    """Return the share of the most frequent code, in (0, 1]; None if no code occurs.

    Args:
        counts: shape (n_clips, n_codes).
    """
    totals = _totals(counts)
    return float(totals.max() / totals.sum()) if totals.any() else None


def label_information(counts: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[float | None, ...]:
    """Return the share of the entropy of each label that the code of one frame explains.

    It is the mutual information of the code of a frame and the presence of the label in its clip,
    normalised by the entropy of the presence: I(code; label) / H(label). For phones instead of
    labels this is the phone-normalised mutual information of Hsu et al., "HuBERT", TASLP 2021. The
    value is biased upwards for many codes and few frames, so compare it with the value for
    permuted clips.

    Args:
        counts: shape (n_clips, n_codes).
        targets: shape (n_clips, n_labels); True or 1 where a clip has a label.

    Returns:
        A number in [0, 1] per label, 0 if codes and label are independent; None if the label is
        present in all frames or in none.
    """
    array, present = _checked(counts), validate_binary(targets, "targets", n_dimensions=2)
    if len(array) != len(present):
        raise InvalidInputError(
            f"Expected counts and targets of the same clips, got {len(array)} and {len(present)}."
        )
    with_label = array.T @ present.astype(np.int64)  # shape (n_codes, n_labels)
    totals = array.sum(axis=0)
    return tuple(
        _explained_entropy(np.stack([column, totals - column], axis=1)) for column in with_label.T
    )


def explained_variance(values: npt.ArrayLike, reconstructions: npt.ArrayLike) -> float | None:
    """Return the share of the variance of vectors that their reconstructions explain.

    It is 1 - sum |x - x'|^2 / sum |x - mean|^2, the coefficient of determination with all
    dimensions pooled. The quantisation error is the rest.

    Args:
        values: shape (..., width).
        reconstructions: vectors that replace them, such as centroids, of the same shape.

    Returns:
        A number of at most 1; negative if the mean is the better reconstruction. None if all
        values are equal.
    """
    first, second = np.asarray(values), np.asarray(reconstructions)
    if first.shape != second.shape or not first.ndim or not first.size:
        raise InvalidInputError(
            "Expected values and reconstructions of the same shape (..., width), got "
            f"{first.shape} and {second.shape}."
        )
    first, second = first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
    mean = first.mean(axis=0, dtype=np.float64)
    error = total = 0.0
    for start in range(0, len(first), _CHUNK):
        part = first[start : start + _CHUNK].astype(np.float64)
        error += float(((part - second[start : start + _CHUNK]) ** 2).sum())
        total += float(((part - mean) ** 2).sum())
    if not (np.isfinite(error) and np.isfinite(total)):
        raise InvalidInputError("Expected finite values and reconstructions, got NaN or infinity.")
    is_constant = bool((first == first[0]).all())
    return None if is_constant or not total else 1 - error / total


def _checked(counts: npt.ArrayLike) -> IntArray:
    array = np.asarray(counts)
    if array.ndim != 2 or array.dtype.kind not in "iu" or (array < 0).any():
        raise InvalidInputError(
            "Expected counts from `count_codes`, integers of shape (n_clips, n_codes), got "
            f"{array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)


def _totals(counts: npt.ArrayLike) -> IntArray:
    totals: IntArray = _checked(counts).sum(axis=0)
    return totals


def _entropy(counts: IntArray) -> float:
    """Return the entropy in nats of the distribution that is proportional to counts."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _explained_entropy(table: IntArray) -> float | None:
    """Return I(row; column) / H(column) of a contingency table; None if H(column) is 0."""
    columns = table.sum(axis=0)
    if np.count_nonzero(columns) < 2:
        return None
    column_entropy = _entropy(columns)
    joint = _entropy(table.ravel())
    information = _entropy(table.sum(axis=1)) + column_entropy - joint
    return float(np.clip(information / column_entropy, 0.0, 1.0))
