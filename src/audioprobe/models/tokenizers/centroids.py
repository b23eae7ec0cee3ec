"""Centroids of codes: k-means on the directions of feature vectors.

A feature vector is divided by its length first, so that k-means groups vectors by their cosine.
`codes` assigns codes in the same way.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.types import FloatArray

MAX_FRAMES = 100_000
"""Default number of feature vectors that k-means uses."""


def fit_centroids(
    frames: npt.ArrayLike,
    n_codes: int,
    *,
    seed: int = 0,
    n_init: int = 10,
    max_frames: int = MAX_FRAMES,
) -> FloatArray:
    """Return the centroids of k-means (k-means++, scikit-learn) on the directions of vectors.

    A centroid is the mean of vectors of length 1, so its own length is at most 1. Zero vectors have
    no direction, and are left out.

    Args:
        frames: feature vectors of training clips only, shape (n_frames, width).
        n_codes: number of centroids.
        seed: seed of the choice of frames and of the starts of k-means.
        n_init: number of starts; the result with the lowest inertia is returned.
        max_frames: number of feature vectors that are drawn if there are more.

    Returns:
        float32, shape (n_codes, width).

    Raises:
        InvalidInputError: if the frames have another shape, or fewer than `n_codes` different
            directions, or a number is less than 1.
        NonFiniteError: if a frame is NaN or infinite.
    """
    if n_init < 1:
        raise InvalidInputError(f"n_init must be at least 1, got {n_init}.")
    drawn = sample_frames([frames], max_frames, seed=seed)
    directions = unit_vectors(drawn)
    directions = directions[directions.any(axis=1)]
    if not 1 <= n_codes <= len(directions):
        raise InvalidInputError(
            f"k-means with {n_codes} codes needs n_codes >= 1 and as many frames that are not "
            f"zero, got {len(directions)}. Use fewer codes or more clips."
        )
    kmeans: Any = KMeans  # its types do not allow an integer as `n_init`
    model = kmeans(n_codes, init="k-means++", n_init=n_init, random_state=seed, copy_x=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(directions)
    except ConvergenceWarning as warning:
        raise InvalidInputError(
            f"k-means found fewer than {n_codes} different directions in {len(directions)} "
            "frames. Use fewer codes or more clips."
        ) from warning
    return np.asarray(model.cluster_centers_, dtype=np.float32)


def sample_frames(
    features: Iterable[npt.ArrayLike], max_frames: int = MAX_FRAMES, *, seed: int = 0
) -> FloatArray:
    """Return feature vectors that are drawn at random without replacement, in their order.

    The arrays are read one after another, and at most about twice `max_frames` vectors are in
    memory. The result does not depend on how the vectors are divided into arrays.

    Args:
        features: arrays of shape (n, width), such as the features of one clip each.
        max_frames: maximum number of vectors to return.
        seed: random seed.

    Returns:
        float32, shape (n_frames, width); all vectors if there are at most `max_frames`.

    Raises:
        InvalidInputError: if there is no vector, or an array has another shape.
    """
    if max_frames < 1:
        raise InvalidInputError(f"max_frames must be at least 1, got {max_frames}.")
    random = np.random.default_rng(seed)
    rows: FloatArray = np.zeros((0, 0), dtype=np.float32)
    keys: FloatArray = np.zeros(0)
    waiting: list[FloatArray] = []
    for part in features:
        waiting.append(_checked(part, width=waiting[0].shape[1] if waiting else rows.shape[1]))
        if sum(map(len, waiting)) >= max_frames:
            rows, keys = _smallest_keys(rows, keys, waiting, max_frames, random)
            waiting = []
    if waiting:
        rows, keys = _smallest_keys(rows, keys, waiting, max_frames, random)
    if not len(rows):
        raise InvalidInputError("Expected at least one feature vector, got none.")
    return rows


def unit_vectors(frames: FloatArray) -> FloatArray:
    """Return vectors of length 1 in float32; zero vectors are unchanged."""
    largest = np.abs(frames).max(axis=1, keepdims=True, initial=0)
    scaled = frames / np.where(largest, largest, 1)  # squares neither overflow nor vanish
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norms, norms, 1), dtype=np.float32)


def _checked(part: npt.ArrayLike, width: int) -> FloatArray:
    """Return an array of feature vectors as float32; raise unless its shape is (n, width)."""
    array = np.asarray(part)
    if array.ndim != 2 or array.shape[1] != (width or array.shape[1]) or not array.shape[1]:
        raise InvalidInputError(
            f"Expected feature vectors of shape (n, {width or 'width'}), got shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise NonFiniteError(
            "Expected finite feature vectors, got NaN or infinity. " + NonFiniteError.ADVICE
        )
    return array.astype(np.float32)


def _smallest_keys(
    rows: FloatArray,
    keys: FloatArray,
    waiting: list[FloatArray],
    max_frames: int,
    random: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Give each waiting vector a random key; return the vectors with the smallest keys so far."""
    first = [rows] if len(rows) else []
    all_rows = np.concatenate([*first, *waiting])
    all_keys = np.concatenate([keys, random.random(sum(map(len, waiting)))])
    if len(all_rows) > max_frames:
        chosen = np.sort(np.argpartition(all_keys, max_frames)[:max_frames])
        all_rows, all_keys = all_rows[chosen], all_keys[chosen]
    return all_rows, all_keys
