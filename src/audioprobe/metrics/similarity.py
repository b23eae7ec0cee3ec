"""How alike two representations of the same items are, whatever axes they are written in.

Conventions:
    A representation has shape (n_items, width), finite, any unit; rows of both are the same items
    in the same order, widths may differ. Everything is computed in float64, from matrices of
    shape (n_items, n_items).
"""

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.types import Float64Array

_NOTHING = 1e-12  # of a norm that only rounding has left


def linear_cka(
    first: npt.ArrayLike, second: npt.ArrayLike, *, unbiased: bool = False
) -> float | None:
    """Linear centred kernel alignment.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X' and L = Y Y'. It does not change
    when a representation is rotated, mirrored, shifted or scaled as a whole; it does change under
    other linear maps. Source: Kornblith et al., "Similarity of neural network representations
    revisited", ICML 2019.

    The biased HSIC is tr(K H L H) / (n - 1)^2 with H = I - 1 1' / n. Where there are fewer items
    than dimensions, even unrelated representations are then far above 0. The unbiased one is, with
    K~ and L~ as K and L but 0 on the diagonal,

        HSIC = [tr(K~ L~) + 1'K~1 1'L~1 / ((n - 1) (n - 2)) - 2 / (n - 2) 1'K~L~1] / (n (n - 3)).

    Source: Song et al., "Feature selection via dependence maximization", JMLR 13, 2012.

    Args:
        first: shape (n_items, width_a).
        second: shape (n_items, width_b).
        unbiased: take the unbiased HSIC, which needs n_items >= 4.

    Returns:
        In [0, 1], 1 for equal ones; in [-1, 1] and around 0 for unrelated ones if unbiased. None
        where it is undefined: one of both is the same for every item, or, if unbiased, all its
        items are equally far from each other.

    Raises:
        InvalidInputError: if arrays are not as in the conventions, or there are too few items.
    """
    one, other = _checked(first), _checked(second)
    n_items = len(one)
    if len(other) != n_items:
        raise InvalidInputError(f"Expected the same items twice, got {n_items} and {len(other)}.")
    if unbiased and n_items < 4:
        raise InvalidInputError(f"The unbiased HSIC needs at least 4 items, got {n_items}.")
    kernels = []
    for values in (one, other):
        kernel = _kernel(values, unbiased)
        norm = float(np.linalg.norm(kernel))
        if not norm:
            return None
        kernels.append(kernel / norm)
    return float(np.clip(np.vdot(*kernels), -1.0, 1.0))


def _kernel(values: Float64Array, unbiased: bool) -> Float64Array:
    """A centred Gram matrix: HSIC of two is the sum of their products, but for a common factor.

    The unbiased HSIC is such a sum, too, of matrices centred without their diagonals (Székely and
    Rizzo, "Partial distance correlation with methods for dissimilarities", 2014).
    """
    largest = float(np.abs(values).max())
    scaled = values / largest if largest else values  # no square overflows, or vanishes
    scaled = scaled - scaled[0]  # what is constant is now exactly 0
    centred = scaled - scaled.mean(axis=0)
    kernel: Float64Array = centred @ centred.T
    if not unbiased:
        return kernel
    n_items, whole = len(kernel), np.linalg.norm(kernel)
    np.fill_diagonal(kernel, 0.0)
    sums = kernel.sum(axis=0) / (n_items - 2)
    kernel = kernel - sums[:, None] - sums + sums.sum() / (n_items - 1)
    np.fill_diagonal(kernel, 0.0)
    return kernel if np.linalg.norm(kernel) > _NOTHING * whole else np.zeros_like(kernel)


def _checked(values: npt.ArrayLike) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InvalidInputError(
            "A representation needs finite numbers of shape (n_items, width), at least one of "
            f"each, got shape {array.shape}."
        )
    return array
