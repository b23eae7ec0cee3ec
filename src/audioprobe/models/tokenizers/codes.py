"""Assignment of codes to feature vectors: the nearest of a fixed set of centroids.

Conventions:
    Vectors are compared by their cosine, because features of audio encoders grow with loudness.
    Cosines that differ by less than 1e-9 count as ties, and the lowest code wins. So a code depends
    on one feature vector alone: the rounding errors of other batch sizes cannot change it. A zero
    vector, which has no direction, ties with all centroids and has code 0.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.types import IntArray

_TIE = 1e-9  # far above the rounding errors of float64, far below those of float32 features
_CHUNK = 4096  # feature vectors whose cosines are in memory at once
_SMALLEST_NORM = 1e-300


def nearest_code(features: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the centroid with the highest cosine for each feature vector.

    Computed in float64 on the device of the tensors, which must be the same.

    Args:
        features: shape (..., width), of any float type and any scale.
        centroids: shape (n_codes, width), of any scale.

    Returns:
        int64, shape (...), in [0, n_codes).

    Raises:
        InvalidInputError: if the shapes do not fit together.
        NonFiniteError: if a feature or a centroid is NaN or infinite.
    """
    if centroids.ndim != 2 or not len(centroids) or features.shape[-1:] != centroids.shape[1:]:
        raise InvalidInputError(
            "Expected features of shape (..., width) and centroids of shape (n_codes, width), got "
            f"{tuple(features.shape)} and {tuple(centroids.shape)}."
        )
    with torch.no_grad():
        cosines = _directions(features) @ _directions(centroids).T
        if not torch.isfinite(cosines).all():
            raise NonFiniteError(
                "Expected finite features and centroids, got NaN or infinity. "
                f"{NonFiniteError.ADVICE}"
            )
        is_nearest = cosines >= cosines.amax(dim=-1, keepdim=True) - _TIE
        return is_nearest.int().argmax(dim=-1)  # the first of equal values


def assign_codes(features: npt.ArrayLike, centroids: npt.ArrayLike) -> IntArray:
    """Return the code of each feature vector of an array; see `nearest_code`.

    Args:
        features: shape (..., width).
        centroids: shape (n_codes, width).

    Returns:
        int64, shape (...), in [0, n_codes).

    Raises:
        InvalidInputError: if the shapes do not fit together.
        NonFiniteError: if a feature or a centroid is NaN or infinite.
    """
    rows, points = np.atleast_1d(features), torch.tensor(np.asarray(centroids))
    flat = rows.reshape(-1, rows.shape[-1])
    parts = [
        nearest_code(torch.tensor(flat[start : start + _CHUNK]), points)
        for start in range(0, max(len(flat), 1), _CHUNK)
    ]
    codes: IntArray = torch.cat(parts).numpy().reshape(rows.shape[:-1])
    return codes


def _directions(vectors: Tensor) -> Tensor:
    """Return vectors of length 1 in float64; zero vectors are unchanged."""
    return normalize(vectors.double(), dim=-1, eps=_SMALLEST_NORM)
