"""LEACE: remove all linear information about a label from states, in closed form.

Source: Belrose et al., "LEACE: perfect linear concept erasure in closed form", NeurIPS 2023.

With the covariance S of the states, the covariance C of states and labels (one column per class),
and W = S^(-1/2), a state x becomes

    x - W^(-1) P W (x - mean),

where P is the orthogonal projection to the columns of W C. The covariance of changed states and
labels is 0, so that no linear classifier is better than a constant. Among all affine maps with this
property it has the smallest mean squared Euclidean norm of the change.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf_shrinkage

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.grouping import grouped
from audioprobe.metrics.validation import validate_representation
from audioprobe.types import Float64Array

_RELATIVE_ROUNDING = 1e-9  # a smaller relative standard deviation is a rounding error
_SMALLEST = 1e-150  # singular values whose square is 0 in float64


@dataclass(frozen=True, slots=True, eq=False)
class Leace:
    """An affine map that removes what a linear classifier can read about a label.

    Attributes:
        mean: mean of the states, shape (width,).
        axes: principal axes of the states, shape (width, n_axes).
        deviations: standard deviation of the states along each axis, shape (n_axes,), after
            shrinkage.
        basis: orthonormal basis of the removed subspace of the whitened states, shape (n_axes,
            rank).
    """

    mean: Float64Array
    axes: Float64Array
    deviations: Float64Array
    basis: Float64Array

    @classmethod
    def fit(
        cls,
        states: npt.ArrayLike,
        labels: Sequence[Hashable],
        *,
        shrinkage: float | None = None,
    ) -> "Leace":
        """Return the map for labelled states.

        The erasure of the states that it is fitted to is exact for any shrinkage. Shrinkage limits
        the change of other states if there are few items per dimension.

        Args:
            states: shape (n_items, width), finite.
            labels: label of each item.
            shrinkage: weight, in [0, 1], of a multiple of the identity in the covariance; 0 uses
                the pseudo-inverse, and None the weight of Ledoit and Wolf (2004).

        Raises:
            InvalidInputError: if an argument is out of range, the numbers differ, or a label is
                missing.
        """
        array, names = validate_representation(states), list(labels)
        if grouped(len(array), names).n_missing:
            raise InvalidInputError("Expected a label for each state, got missing labels.")
        if shrinkage is not None and not 0 <= shrinkage <= 1:
            raise InvalidInputError(f"Expected a shrinkage in [0, 1] or None, got {shrinkage}.")
        mean = array.mean(axis=0)
        weight = float(ledoit_wolf_shrinkage(array)) if shrinkage is None else shrinkage
        axes, deviations = _principal_axes(array - mean, weight)
        classes = sorted(set(names), key=repr)
        is_of = np.array([[name == label for label in classes] for name in names], dtype=np.float64)
        whitened = (array - mean) @ axes / deviations
        covariance = whitened.T @ (is_of - is_of.mean(axis=0)) / len(array)
        left, sizes, _ = np.linalg.svd(covariance, full_matrices=False)
        return cls(mean, axes, deviations, left[:, sizes > _RELATIVE_ROUNDING])

    def __call__(self, states: npt.ArrayLike) -> Float64Array:
        """Return states without the information, of the same shape (..., width)."""
        array = np.asarray(states, dtype=np.float64)
        return np.asarray(array - (array - self.mean) @ self.right @ self.left.T, dtype=np.float64)

    @property
    def rank(self) -> int:
        """Number of removed dimensions, at most the number of labels minus 1."""
        return int(self.basis.shape[1])

    @property
    def left(self) -> Float64Array:
        """Directions along which states change, shape (width, rank)."""
        return np.asarray(self.axes @ (self.deviations[:, None] * self.basis), dtype=np.float64)

    @property
    def right(self) -> Float64Array:
        """Directions along which the removed information is read, shape (width, rank)."""
        return np.asarray(self.axes @ (self.basis / self.deviations[:, None]), dtype=np.float64)

    def random(self, seed: Sequence[int]) -> "Leace":
        """Return the map that removes a random subspace of the same rank from whitened states.

        It is a control: any direction of the whitened states is equally likely.

        Args:
            seed: non-negative numbers.
        """
        normal = np.random.default_rng(list(seed)).normal(size=self.basis.shape)
        return replace(self, basis=np.linalg.qr(normal)[0])


def _principal_axes(centred: Float64Array, shrinkage: float) -> tuple[Float64Array, Float64Array]:
    """Return the axes in which states vary, and the standard deviations after shrinkage.

    Axes in which the states do not vary have no covariance with any label, so they are left out
    also where shrinkage gives them a variance.
    """
    n_items, width = centred.shape
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    varies = sizes > max(_RELATIVE_ROUNDING * float(sizes[0]), _SMALLEST)
    variances = sizes**2 / n_items
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / width
    return axes[varies].T, np.sqrt(shrunk[varies])
