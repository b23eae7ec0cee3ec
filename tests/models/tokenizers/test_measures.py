"""Measures of a codebook on planted features: what codes keep, and what they lose."""

import numpy as np
import numpy.typing as npt
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.models.tokenizers.centroids import fit_centroids
from audioprobe.models.tokenizers.codes import assign_codes
from audioprobe.models.tokenizers.measures import measure_codebook


def planted(
    n_clips: int = 200, n_labels: int = 4, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Clips of six frames, each of which is near the direction of one label of the clip."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(9).normal(size=(n_labels, 16))
    present = np.zeros((n_clips, n_labels), dtype=bool)
    sources = random.integers(n_labels, size=(n_clips, 2))
    present[np.arange(n_clips)[:, None], sources] = True
    owners = np.repeat(sources, 3, axis=1)
    features = directions[owners] + 0.3 * random.normal(size=(n_clips, 6, 16))
    return features.astype(np.float32), present


def test_codes_that_name_the_labels_keep_everything_a_linear_probe_reads() -> None:
    features, present = planted()
    centroids = fit_centroids(planted(seed=1)[0].reshape(-1, 16), 4, n_init=3)
    measures = measure_codebook(features, centroids, present, penalty=1e-3)
    assert (measures.n_codes, measures.n_frames, measures.codes_in_use) == (4, 1200, 4)
    assert measures.perplexity == pytest.approx(4, abs=0.1)
    assert measures.explained_variance is not None
    assert 0.8 < measures.explained_variance < 1
    for auc in (measures.continuous_auc, measures.quantized_auc):
        assert auc is not None
        assert auc.value is not None
        assert auc.value > 0.99
    assert measures.label_information is not None
    assert measures.permuted_information is not None
    assert measures.label_information.value is not None
    assert measures.permuted_information.value is not None
    assert measures.label_information.value > 0.2 > 20 * measures.permuted_information.value
    assert "4 of 4" in repr(measures)


def test_one_code_keeps_nothing() -> None:
    features, present = planted()
    measures = measure_codebook(features, np.ones((1, 16)), present, penalty=1e-3)
    assert (measures.codes_in_use, measures.perplexity, measures.largest_share) == (1, 1.0, 1.0)
    assert measures.label_information is not None
    assert measures.label_information.value == pytest.approx(0)
    assert measures.quantized_auc is not None
    assert measures.quantized_auc.value == pytest.approx(0.5)


def test_more_codes_explain_more_variance() -> None:
    features, _ = planted()
    values = []
    for n_codes in (1, 2, 4, 32):
        centroids = fit_centroids(features.reshape(-1, 16), n_codes, n_init=2)
        measures = measure_codebook(features, centroids)
        assert measures.label_information is None
        assert measures.quantized_auc is None
        assert measures.explained_variance is not None
        values.append(measures.explained_variance)
    assert values == sorted(values)
    assert values[0] == pytest.approx(0, abs=1e-6)


def test_a_label_without_training_clips_is_undefined() -> None:
    features, present = planted()
    present[:, 3] = False
    measures = measure_codebook(features, features[0], present, penalty=1e-3)
    for estimate in (measures.quantized_auc, measures.label_information):
        assert estimate is not None
        assert (estimate.n, estimate.n_undefined) == (3, 1)


def test_clips_of_different_lengths() -> None:
    features, _ = planted(20)
    clips = [clip[: n % 5 + 1] for n, clip in enumerate(features)]
    measures = measure_codebook(clips, features[0])
    assert measures.n_frames == sum(map(len, clips))
    codes = np.concatenate([assign_codes(clip, features[0]) for clip in clips])
    assert measures.codes_in_use == len(set(codes.tolist()))


def test_invalid_arguments_are_refused() -> None:
    features, present = planted(10)
    with pytest.raises(InvalidInputError, match="at least one clip"):
        measure_codebook([], features[0])
    with pytest.raises(InvalidInputError, match="at least one frame"):
        measure_codebook([np.zeros((0, 16))], features[0])
    with pytest.raises(InvalidInputError, match="same clips"):
        measure_codebook(features, features[0], present[:5])
    with pytest.raises(InvalidInputError, match="at least 2 groups"):
        measure_codebook(features, features[0], present, groups=["site"] * 10)
