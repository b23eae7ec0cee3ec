"""Calibration: agreement with scikit-learn, known errors, resampling."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.calibration import (
    Platt,
    brier,
    expected_calibration_error,
    reliability,
    resampled_calibration_error,
)

RNG = np.random.default_rng(0)
SAID = RNG.random(2000)
TRUE = RNG.random(2000) < SAID


def test_bins_agree_with_scikit_learn() -> None:
    true, predicted = calibration_curve(TRUE, SAID, n_bins=10)
    bins = reliability(TRUE, SAID)
    assert [b.positive_rate for b in bins] == pytest.approx(true)
    assert [b.mean_probability for b in bins] == pytest.approx(predicted)
    assert sum(b.n for b in bins) == 2000
    assert brier(TRUE, SAID) == pytest.approx(brier_score_loss(TRUE, SAID))


def test_overconfident_probabilities_have_a_large_calibration_error() -> None:
    assert expected_calibration_error(TRUE, SAID) < 0.05
    overconfident = np.where(SAID > 0.5, 1.0, 0.0)
    assert expected_calibration_error(TRUE, overconfident) == pytest.approx(0.25, abs=0.05)


def test_last_bin_includes_its_upper_edge_and_empty_bins_are_left_out() -> None:
    bins = reliability([1, 0], [1.0, 0.0])
    assert [(b.low, b.high, b.n) for b in bins] == [(0.0, 0.1, 1), (0.9, 1.0, 1)]
    assert expected_calibration_error([1, 0], [1.0, 0.0]) == 0.0


def test_values_outside_0_and_1_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="needs probabilities"):
        reliability([1, 0], [-0.1, 0.5])


def test_platt_scaling_agrees_with_logistic_regression_and_is_calibrated() -> None:
    logits = RNG.normal(size=4000)
    present = RNG.random(4000) < 1 / (1 + np.exp(-(3 * logits - 1)))
    scores = 0.2 + logits / 50  # a narrow range, like that of cosines
    curve = Platt.fit(present, scores)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, None], present)
    expected = reference.predict_proba(logits[:, None])[:, 1]
    assert curve(scores) == pytest.approx(expected, abs=2e-3)  # Platt's targets are smoothed
    assert expected_calibration_error(present, curve(scores)) < 0.02


def test_platt_scaling_is_finite_for_separable_scores_and_needs_both_classes() -> None:
    curve = Platt.fit([0, 0, 1, 1], [0.0, 0.1, 0.8, 0.9])
    assert np.isfinite([curve.slope, curve.offset]).all()
    low, high = curve([0.0, 0.9])
    assert low < 0.3
    assert high > 0.7
    with pytest.raises(InvalidInputError, match="positives and negatives"):
        Platt.fit([1, 1], [0.1, 0.2])


def test_resampled_calibration_error_equals_that_of_the_resampled_clips() -> None:
    truth, predicted = TRUE.reshape(-1, 4), SAID.reshape(-1, 4)
    statistic = resampled_calibration_error(truth, predicted)
    drawn = RNG.integers(len(truth), size=len(truth))
    counts = np.stack([np.ones(len(truth)), np.bincount(drawn, minlength=len(truth))])
    of_all, resample = statistic(counts.astype(np.float64))
    assert of_all == pytest.approx(expected_calibration_error(TRUE, SAID))
    again = expected_calibration_error(truth[drawn].ravel(), predicted[drawn].ravel())
    assert resample == pytest.approx(again)
    assert Bootstrap(50).estimate(statistic, len(truth)).low is not None
