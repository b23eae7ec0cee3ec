"""Similarity of two representations of the same items, independent of rotation.

Conventions:
    A representation has shape (n_items, width), finite, any unit; rows of both are the same items
    in the same order, widths may differ. Computations are in float64, on matrices of shape
    (n_items, n_items).
"""

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.types import Float64Array

_RELATIVE_ROUNDING = 1e-12  # norms below this share are rounding errors


def linear_cka(
    first: npt.ArrayLike, second: npt.ArrayLike, *, unbiased: bool = False
) -> float | None:
    """Return the linear centred kernel alignment.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X' and L = Y Y'. It is invariant to
    rotation, reflection, translation and isotropic scaling, but not to other linear maps. Source:
    Kornblith et al., "Similarity of neural network representations revisited", ICML 2019.

    The biased HSIC is tr(K H L H) / (n - 1)^2 with H = I - 1 1' / n; with fewer items than
    dimensions it is far above 0 even for unrelated representations. The unbiased one is, with K~
    and L~ as K and L but 0 on the diagonal,

        HSIC = [tr(K~ L~) + 1'K~1 1'L~1 / ((n - 1) (n - 2)) - 2 / (n - 2) 1'K~L~1] / (n (n - 3)).

    Source: Song et al., "Feature selection via dependence maximization", JMLR 13, 2012.

    Args:
        first: shape (n_items, width_a).
        second: shape (n_items, width_b).
        unbiased: take the unbiased HSIC, which needs n_items >= 4.

    Returns:
        In [0, 1], 1 for equal representations; in [-1, 1] and around 0 for unrelated ones if
        unbiased. None if one representation is the same for every item, or, if unbiased, all its
        items are equally far from each other.

    Raises:
        InvalidInputError: if arrays are not as in the conventions, or there are too few items.
    """
    representations = _validate(first), _validate(second)
    n_items, n_others = (len(values) for values in representations)
    if n_others != n_items:
        raise InvalidInputError(f"Expected the same items twice, got {n_items} and {n_others}.")
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
    """A centred Gram matrix: HSIC is the sum of the product of two, but for a constant factor.

    The unbiased HSIC is such a sum of matrices centred without their diagonals (Székely and Rizzo,
    "Partial distance correlation with methods for dissimilarities", 2014).
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
            "A representation needs finite numbers of shape (n_items, width), at least one of "
            f"each, got shape {array.shape}."
        )
    return array
