"""Rotation-invariant similarity of two representations of the same items.

Conventions:
    A representation is a finite array of shape (n_items, width), in any unit. Both representations
    have the same items in the same order; their widths may differ. Computations are in float64, on
    matrices of shape (n_items, n_items).

    Each measure is the inner product of one matrix per representation, see `relation_matrix`.
    Permuting the items of a representation permutes rows and columns of its matrix, so a
    permutation test computes the matrices once.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.validation import validate_representation
from audioprobe.types import Float64Array

SimilarityMeasure: TypeAlias = Literal["cka", "rsa", "mutual-knn"]
"""Unbiased linear CKA, representational similarity analysis, or mutual nearest neighbours."""

Distance: TypeAlias = Literal["cosine", "euclidean", "correlation"]
"""Dissimilarity of two items; "correlation" is 1 - Pearson's r over the dimensions."""

_RELATIVE_ROUNDING = 1e-12  # smaller relative norms are rounding errors
_DECIMALS = 12  # distances, divided by the largest one, that differ by less count as tied


def linear_cka(
    first: npt.ArrayLike, second: npt.ArrayLike, *, unbiased: bool = False
) -> float | None:
    """Return the linear centred kernel alignment (CKA) of two representations.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X' and L = Y Y'. It is invariant to
    rotation, reflection, translation and isotropic scaling, but not to other linear maps. Source:
    Kornblith et al., "Similarity of neural network representations revisited", ICML 2019.

    The biased HSIC is tr(K H L H) / (n - 1)^2 with H = I - 1 1' / n. With fewer items than
    dimensions it is far above 0 even for unrelated representations. If K~ and L~ are K and L with
    zeros on the diagonal, the unbiased HSIC is

        HSIC = [tr(K~ L~) + 1'K~1 1'L~1 / ((n - 1) (n - 2)) - 2 / (n - 2) 1'K~L~1] / (n (n - 3)).

    Source: Song et al., "Feature selection via dependence maximization", JMLR 13, 2012.

    Args:
        first: shape (n_items, width_a).
        second: shape (n_items, width_b).
        unbiased: whether to use the unbiased HSIC, which needs n_items >= 4.

    Returns:
        A number in [0, 1], 1 for equal representations. With the unbiased HSIC, a number in
        [-1, 1], near 0 for unrelated representations. None if a representation is the same for
        every item, or, with the unbiased HSIC, if its items all have the same distance from each
        other.

    Raises:
        InvalidInputError: if an array violates the conventions, or there are too few items.
    """
    return _inner_product(first, second, lambda values: _unit_kernel(values, unbiased))


def rsa(
    first: npt.ArrayLike, second: npt.ArrayLike, *, distance: Distance = "cosine"
) -> float | None:
    """Return the representational similarity: the rank correlation of two sets of distances.

    It is Spearman's correlation of the distances between all pairs of items in the first and in the
    second representation; ties get mid-ranks. Source: Kriegeskorte et al., "Representational
    similarity analysis", Frontiers in Systems Neuroscience 2, 2008.

    Args:
        first: shape (n_items, width_a), at least 3 items.
        second: shape (n_items, width_b).
        distance: dissimilarity of two items. "cosine" and "euclidean" are invariant to rotation.

    Returns:
        A number in [-1, 1], about 0 for unrelated representations. None if a distance is undefined
        (the cosine of a zero vector) or all distances of a representation are equal.

    Raises:
        InvalidInputError: if an array violates the conventions, or there are too few items.
    """
    return _inner_product(first, second, lambda values: _rank_matrix(values, distance))


def mutual_knn(first: npt.ArrayLike, second: npt.ArrayLike, *, k: int = 10) -> float | None:
    """Return the mean share of common nearest neighbours of an item in two representations.

    It is the mean of |N(x) & N(y)| / k over items, where N has the k other items with the highest
    cosine similarity. If items tie for the last places, each of them counts in part, as in the
    mean over random choices. Source: Huh et al., "The platonic representation hypothesis", ICML
    2024.

    Args:
        first: shape (n_items, width_a).
        second: shape (n_items, width_b).
        k: number of neighbours, at least 1 and less than n_items - 1.

    Returns:
        A number in [0, 1]; k / (n_items - 1) is expected for unrelated representations. None if a
        representation has a zero vector, or all its distances are equal.

    Raises:
        InvalidInputError: if an array violates the conventions, or `k` is out of range.
    """
    return _inner_product(first, second, lambda values: _neighbour_matrix(values, k))


def relation_matrix(
    values: npt.ArrayLike, measure: SimilarityMeasure, *, k: int = 10
) -> Float64Array | None:
    """Return a matrix of the relations between items, for computing many similarities.

    The similarity of two representations is the sum over the elementwise product of their matrices:
    `linear_cka(..., unbiased=True)`, `rsa` with cosine distances, or `mutual_knn`.

    Args:
        values: representation of shape (n_items, width).
        measure: name of the measure.
        k: number of neighbours; only used by "mutual-knn".

    Returns:
        Shape (n_items, n_items); None if the measure is undefined for this representation.

    Raises:
        InvalidInputError: if an argument violates the conventions, or there are too few items.
    """
    array = validate_representation(values)
    if measure == "cka":
        return _unit_kernel(array, unbiased=True)
    if measure == "rsa":
        return _rank_matrix(array, "cosine")
    if measure == "mutual-knn":
        return _neighbour_matrix(array, k)
    raise InvalidInputError(
        f"measure must be one of {', '.join(get_args(SimilarityMeasure))}, got {measure!r}."
    )


def _inner_product(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    matrix_of: Callable[[Float64Array], Float64Array | None],
) -> float | None:
    representations = validate_representation(first), validate_representation(second)
    n_items, n_others = (len(values) for values in representations)
    if n_others != n_items:
        raise InvalidInputError(
            "Expected two representations of the same items, got representations of "
            f"{n_items} and {n_others} items."
        )
    a, b = (matrix_of(values) for values in representations)
    return None if a is None or b is None else float(np.clip(np.vdot(a, b), -1.0, 1.0))


def _unit_kernel(values: Float64Array, unbiased: bool) -> Float64Array | None:
    if unbiased and len(values) < 4:
        raise InvalidInputError(f"The unbiased HSIC needs at least 4 items, got {len(values)}.")
    kernel = _centered_kernel(values, unbiased)
    norm = float(np.linalg.norm(kernel))
    return kernel / norm if norm else None


def _centered_kernel(values: Float64Array, unbiased: bool) -> Float64Array:
    """Return the centred Gram matrix of a representation.

    Up to a constant factor, HSIC is the sum over the elementwise product of two such matrices. For
    the unbiased HSIC the diagonal is excluded (Székely and Rizzo, "Partial distance correlation
    with methods for dissimilarities", 2014).
    """
    scaled = _unit_scale(values)
    scaled = scaled - scaled[0]  # constant columns become exactly 0
    centered = scaled - scaled.mean(axis=0)
    kernel: Float64Array = centered @ centered.T
    if not unbiased:
        return kernel
    n_items, norm_before = len(kernel), np.linalg.norm(kernel)
    np.fill_diagonal(kernel, 0.0)
    sums = kernel.sum(axis=0) / (n_items - 2)
    kernel = kernel - sums[:, None] - sums + sums.sum() / (n_items - 1)
    np.fill_diagonal(kernel, 0.0)
    is_rounding = np.linalg.norm(kernel) <= _RELATIVE_ROUNDING * norm_before
    return np.zeros_like(kernel) if is_rounding else kernel


def _rank_matrix(values: Float64Array, distance: Distance) -> Float64Array | None:
    """Return the centred ranks of the distances, with zeros on the diagonal and norm 1."""
    if len(values) < 3:
        raise InvalidInputError(f"A correlation of distances needs 3 items, got {len(values)}.")
    distances = _distances(values, distance)
    if distances is None:
        return None
    ranks = rankdata(distances) - (len(distances) + 1) / 2
    return np.asarray(squareform(ranks) / (np.sqrt(2) * np.linalg.norm(ranks)), dtype=np.float64)


def _neighbour_matrix(values: Float64Array, k: int) -> Float64Array | None:
    """Return the share of each other item in the k neighbours of an item, with norm 1 if no ties.

    With n items, rows sum to k / sqrt(k n).
    """
    n_items = len(values)
    if not 1 <= k < n_items - 1:
        raise InvalidInputError(
            f"The number of neighbours k must be at least 1 and less than n_items - 1, got k={k} "
            f"for {n_items} items."
        )
    distances = _distances(values, "cosine")
    if distances is None:
        return None
    matrix = squareform(distances)
    np.fill_diagonal(matrix, np.inf)
    last = np.partition(matrix, k - 1, axis=1)[:, k - 1 : k]
    is_closer, is_tied = matrix < last, matrix == last
    n_open = k - is_closer.sum(axis=1, keepdims=True)
    shares = is_closer + is_tied * n_open / is_tied.sum(axis=1, keepdims=True)
    return np.asarray(shares / np.sqrt(k * n_items), dtype=np.float64)


def _distances(values: Float64Array, distance: Distance) -> Float64Array | None:
    """Return the distances of all pairs of items; None if one is undefined or all are equal.

    The result is divided by the largest distance and rounded, so that ties do not depend on the
    last digits.
    """
    if distance not in get_args(Distance):
        raise InvalidInputError(
            f"distance must be one of {', '.join(get_args(Distance))}, got {distance!r}."
        )
    with np.errstate(invalid="ignore", divide="ignore"):  # zero vectors are checked below
        distances = np.asarray(pdist(_unit_scale(values), distance), dtype=np.float64)
    if np.isnan(distances).any() or not distances.max() > _RELATIVE_ROUNDING:
        return None
    rounded = (distances / distances.max()).round(_DECIMALS)
    return None if (rounded == rounded[0]).all() else rounded


def _unit_scale(values: Float64Array) -> Float64Array:
    """Return the values divided by the largest one: squares neither overflow nor vanish."""
    largest = float(np.abs(values).max())
    return values / largest if largest else values
