"""Statistics of many resamples agree with scikit-learn and scipy on each resample."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import average_precision, f1_per_label, macro, per_label, roc_auc
from audioprobe.metrics.threshold import FixedThreshold
from audioprobe.metrics.vectorized_metrics import (
    macro_average_precision,
    macro_f1,
    macro_roc_auc,
    mean,
    rank_correlation,
    ratio,
)

CLIPS, LABELS = 40, 3


def material(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw targets, tied scores, and counts of five resamples."""
    rng = np.random.default_rng(seed)
    targets = rng.random((CLIPS, LABELS)) < (0.5, 0.2, 0.05)
    scores = np.round(rng.random((CLIPS, LABELS)) + 0.3 * targets, 1)
    return targets, scores, rng.multinomial(CLIPS, np.full(CLIPS, 1 / CLIPS), size=5).astype(float)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_each_resample_agrees_with_scikit_learn(seed: int) -> None:
    targets, scores, counts = material(seed)
    measured = {
        name: statistic(counts)
        for name, statistic in {
            "auc": macro_roc_auc(targets, scores),
            "ap": macro_average_precision(targets, scores),
            "f1": macro_f1(targets, scores >= 0.8),
        }.items()
    }
    for number, row in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(CLIPS), row)
        truth, values = targets[drawn], scores[drawn]
        present = [k for k in range(LABELS) if truth[:, k].any()]
        both = [k for k in present if not truth[:, k].all()]
        expected = {
            "auc": [sklearn.roc_auc_score(truth[:, k], values[:, k]) for k in both],
            "ap": [sklearn.average_precision_score(truth[:, k], values[:, k]) for k in present],
            "f1": [sklearn.f1_score(truth[:, k], values[:, k] >= 0.8) for k in present],
        }
        for name, each in expected.items():
            assert measured[name][number] == pytest.approx(np.mean(each), abs=1e-12)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10_000))
def test_rank_correlation_of_each_resample_agrees_with_scipy(seed: int) -> None:
    _, scores, counts = material(seed)
    first, second = scores[:, 0], scores[:, 1]
    values = rank_correlation(first, second)(counts)
    for row, rho in zip(counts.astype(int), values, strict=True):
        drawn = np.repeat(np.arange(CLIPS), row)
        expected = stats.spearmanr(first[drawn], second[drawn]).statistic
        assert rho == pytest.approx(expected, abs=1e-12)


def test_rank_correlation_of_equal_values_is_undefined() -> None:
    counts = np.array([[1.0, 1, 1, 1], [2, 2, 0, 0], [0, 0, 1, 3]])
    values = rank_correlation([0.1, 0.1, 0.3, 0.3], [1, 2, 3, 3])(counts)
    assert values[0] == pytest.approx(stats.spearmanr([0.1, 0.1, 0.3, 0.3], [1, 2, 3, 3]).statistic)
    assert np.isnan(values[1:]).all()  # all first values, and all second values, are equal
    assert np.isnan(rank_correlation([1.1] * 4, [1, 2, 3, 4])(counts)).all()
    with pytest.raises(InvalidInputError, match=r"correlation needs .* \(2,\) and \(3,\)"):
        rank_correlation([1, 2], [1, 2, 3])


@pytest.mark.parametrize("seed", range(5))
def test_statistics_with_every_count_one_equal_the_metrics(seed: int) -> None:
    targets, scores, _ = material(seed)
    once = np.ones((1, CLIPS))
    f1 = f1_per_label(targets, scores, FixedThreshold(0.8))
    for statistic, each in (
        (macro_roc_auc(targets, scores), per_label(roc_auc, targets, scores)),
        (macro_average_precision(targets, scores), per_label(average_precision, targets, scores)),
        (macro_f1(targets, scores >= 0.8), f1),
    ):
        assert statistic(once)[0] == pytest.approx(macro(each).value, abs=1e-12)


def test_undefined_macro_means_are_nan_without_a_warning() -> None:
    targets, scores = np.zeros((4, 2), bool), np.ones((4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for statistic in (macro_roc_auc, macro_average_precision):
            assert np.isnan(statistic(targets, scores)(np.ones((2, 4)))).all()
        assert np.isnan(macro_f1(targets, targets)(np.ones((2, 4)))).all()


def test_mean_of_invalid_values_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="needs finite values, got 1 "):
        mean([1.0, np.nan])
    with pytest.raises(InvalidInputError, match="same shape"):
        mean([[1.0]])


def test_ratio_of_sums_is_undefined_for_a_zero_denominator() -> None:
    counts = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    values = ratio([1, 2, 0], [2, 2, 0])(counts)
    assert values[:2].tolist() == [0.75, 1.0]
    assert np.isnan(values[2])
    with pytest.raises(InvalidInputError, match="ratio needs arrays of the same shape"):
        ratio([1.0], [1.0, 2.0])
    with pytest.raises(InvalidInputError, match="ratio needs finite values, got 1 "):
        ratio([1.0, math.nan], [1.0, 2.0])
