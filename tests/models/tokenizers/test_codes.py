"""Codes are nearest centroids by cosine; k-means finds planted centroids."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from audioprobe.errors import InvalidInputError, NonFiniteError
from audioprobe.models.tokenizers.centroids import fit_centroids, sample_frames, unit_vectors
from audioprobe.models.tokenizers.codes import assign_codes, nearest_code


def random_array(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def planted(n_codes: int, n_frames: int, width: int) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Frames of random loudness around planted directions, and the direction of each."""
    random = np.random.default_rng(1)
    directions = random.normal(size=(n_codes, width))
    owners = np.arange(n_frames) % n_codes
    frames = directions[owners] + 0.1 * random.normal(size=(n_frames, width))
    return (frames * random.lognormal(size=(n_frames, 1))).astype(np.float32), owners.tolist()


def test_known_codes() -> None:
    centroids = np.array([[1.0, 0.0], [0.0, 5.0]])
    features = np.array([[[3.0, 1.0], [0.1, 0.2]], [[-1.0, 0.5], [-1.0, -3.0]]])
    codes = assign_codes(features, centroids)
    assert codes.tolist() == [[0, 1], [1, 0]]
    assert codes.dtype == np.int64


def test_ties_and_zero_vectors_have_the_lowest_code() -> None:
    centroid = random_array(1, 7)
    centroids = np.concatenate([-centroid, centroid, 3 * centroid, centroid])
    assert assign_codes(random_array(1, 7), centroids).tolist() == [1]
    assert assign_codes(np.zeros((2, 7)), centroids).tolist() == [0, 0]


@given(st.integers(1, 40), st.integers(1, 64), st.sampled_from([np.float16, np.float32]))
def test_codes_do_not_depend_on_the_batch(start: int, size: int, dtype: type[np.floating]) -> None:
    features, centroids = random_array(100, 33).astype(dtype), random_array(17, 33, seed=1)
    centroids[9] = centroids[4]
    everything = assign_codes(features, centroids)
    assert 9 not in everything
    assert (
        assign_codes(features[start : start + size], centroids) == everything[start:][:size]
    ).all()


@given(st.floats(1e-30, 1e30), st.floats(1e-30, 1e30))
def test_codes_do_not_depend_on_scale(first: float, second: float) -> None:
    features, centroids = random_array(20, 5).astype(np.float64), random_array(6, 5, seed=1)
    scaled = assign_codes(first * features, second * centroids.astype(np.float64))
    assert (scaled == assign_codes(features, centroids)).all()


def test_more_features_than_a_chunk_and_none() -> None:
    features, centroids = random_array(10_000, 3), random_array(4, 3, seed=1)
    cosines = unit_vectors(features) @ unit_vectors(centroids).T
    assert (assign_codes(features, centroids) == cosines.argmax(axis=1)).mean() > 0.999
    assert assign_codes(features[:0], centroids).shape == (0,)
    assert assign_codes(features[0], centroids).shape == ()


def test_tensors_have_the_codes_of_arrays() -> None:
    features, centroids = random_array(3, 4, 5), random_array(6, 5, seed=1)
    codes = nearest_code(torch.tensor(features, requires_grad=True), torch.tensor(centroids))
    assert codes.dtype == torch.int64
    assert (codes.numpy() == assign_codes(features, centroids)).all()


def test_wrong_shapes_and_missing_values_are_refused() -> None:
    for features, centroids in (((2, 3), (2, 4)), ((3,), (3,)), ((2, 3), (0, 3)), ((), (2, 3))):
        with pytest.raises(InvalidInputError, match="features of shape"):
            assign_codes(np.zeros(features), np.zeros(centroids))
    for value in (np.nan, np.inf):
        with pytest.raises(NonFiniteError):
            assign_codes(np.full((1, 2), value), np.ones((2, 2)))
        with pytest.raises(NonFiniteError):
            assign_codes(np.ones((1, 2)), np.full((2, 2), value))


def test_k_means_finds_planted_directions_at_any_loudness() -> None:
    frames, owners = planted(8, 400, 16)
    centroids = fit_centroids(frames, 8, seed=3, n_init=3)
    assert centroids.shape == (8, 16)
    assert centroids.dtype == np.float32
    assert adjusted_rand_score(owners, assign_codes(frames, centroids)) == 1.0
    assert (np.linalg.norm(centroids, axis=1) <= 1 + 1e-6).all()


def test_k_means_is_that_of_scikit_learn_and_repeatable() -> None:
    frames, _ = planted(6, 300, 8)
    centroids = fit_centroids(frames, 6, seed=5, n_init=2)
    reference = KMeans(6, n_init=2, random_state=5).fit(unit_vectors(frames))
    np.testing.assert_allclose(centroids, reference.cluster_centers_, atol=1e-6)
    assert (centroids == fit_centroids(frames, 6, seed=5, n_init=2)).all()
    assert (frames == planted(6, 300, 8)[0]).all()  # the argument is unchanged


def test_zero_frames_are_left_out() -> None:
    frames, _ = planted(4, 80, 8)
    centroids = fit_centroids(np.concatenate([np.zeros((50, 8)), frames]), 4, n_init=3)
    assert np.linalg.norm(centroids, axis=1).min() > 0.5


def test_too_few_directions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="different directions"):
        fit_centroids(np.repeat(random_array(2, 4), 10, axis=0), 3)
    with pytest.raises(InvalidInputError, match="got 2"):
        fit_centroids(np.concatenate([random_array(2, 4), np.zeros((9, 4))]), 3)
    with pytest.raises(InvalidInputError, match="n_codes >= 1"):
        fit_centroids(random_array(9, 4), 0)
    with pytest.raises(InvalidInputError, match="n_init must be at least 1"):
        fit_centroids(random_array(9, 4), 2, n_init=0)
    with pytest.raises(NonFiniteError):
        fit_centroids(np.full((9, 4), np.nan), 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 60))
def test_drawn_frames_do_not_depend_on_how_clips_are_divided(sizes: list[int], most: int) -> None:
    frames = np.arange(sum(sizes) + 1, dtype=np.float32)[:, None] + 1
    parts = np.split(frames, np.cumsum(sizes))
    drawn = sample_frames(parts, most, seed=2)
    assert (drawn == sample_frames([frames], most, seed=2)).all()
    assert len(drawn) == min(most, len(frames))
    assert (np.diff(drawn[:, 0]) > 0).all()  # in order, without replacement


def test_each_frame_is_drawn_equally_often() -> None:
    frames = np.arange(20, dtype=np.float32)[:, None]
    drawn = [sample_frames(np.split(frames, 4), 5, seed=seed) for seed in range(2000)]
    counts = np.bincount(np.concatenate(drawn).astype(int).ravel(), minlength=20)
    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_frames_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\(n, 2\), got shape \(1, 3\)"):
        sample_frames([np.ones((4, 2)), np.ones((1, 3))])
    with pytest.raises(InvalidInputError, match=r"got shape \(4,\)"):
        sample_frames([np.ones(4)])
    with pytest.raises(InvalidInputError, match="at least one"):
        sample_frames([])
    with pytest.raises(InvalidInputError, match="max_frames"):
        sample_frames([np.ones((4, 2))], 0)
