"""Rotation-invariant similarity of two representations of the same items.

Conventions:
    A representation is a finite array of shape (n_items, width), in any unit. Both representations
    have the same items in the same order; their widths may differ. Computations are in float64, on
    matrices of shape (n_items, n_items).
"""

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.types import Float64Array

_RELATIVE_ROUNDING = 1e-12  # smaller relative norms are rounding errors


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
    representations = _validate(first), _validate(second)
    n_items, n_others = (len(values) for values in representations)
    if n_others != n_items:
        raise InvalidInputError(
            "Expected two representations of the same items, got representations of "
            f"{n_items} and {n_others} items."
        )
    if unbiased and n_items < 4:
        raise InvalidInputError(f"The unbiased HSIC needs at least 4 items, got {n_items}.")
    kernels = []
    for values in representations:
        kernel = _centered_kernel(values, unbiased)
        norm = float(np.linalg.norm(kernel))
        if not norm:
            return None
        kernels.append(kernel / norm)
    return float(np.clip(np.vdot(*kernels), -1.0, 1.0))


def _centered_kernel(values: Float64Array, unbiased: bool) -> Float64Array:
    """Return the centred Gram matrix of a representation.

    Up to a constant factor, HSIC is the sum over the elementwise product of two such matrices. For
    the unbiased HSIC the diagonal is excluded (Székely and Rizzo, "Partial distance correlation
    with methods for dissimilarities", 2014).
    """
    largest = float(np.abs(values).max())
    scaled = values / largest if largest else values  # squares neither overflow nor vanish
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


def _validate(values: npt.ArrayLike) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InvalidInputError(
            "A representation must be a non-empty array, with finite numbers of shape "
            f"(n_items, width), got shape {array.shape}."
        )
    return array
