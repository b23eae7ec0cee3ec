"""Calibration of probabilities whose truth is known, against scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.calibration import brier, expected_calibration_error, reliability

RNG = np.random.default_rng(0)
SAID = RNG.random(2000)
TRUE = RNG.random(2000) < SAID


def test_bins_are_those_of_scikit_learn() -> None:
    true, said = calibration_curve(TRUE, SAID, n_bins=10)
    bins = reliability(TRUE, SAID)
    assert [b.true for b in bins] == pytest.approx(true)
    assert [b.said for b in bins] == pytest.approx(said)
    assert sum(b.n for b in bins) == 2000
    assert brier(TRUE, SAID) == pytest.approx(brier_score_loss(TRUE, SAID))


def test_who_is_true_to_their_word_has_little_error_and_who_boasts_has_much() -> None:
    assert expected_calibration_error(TRUE, SAID) < 0.05
    boasting = np.where(SAID > 0.5, 1.0, 0.0)
    assert expected_calibration_error(TRUE, boasting) == pytest.approx(0.25, abs=0.05)


def test_the_last_bin_has_its_upper_edge_and_empty_ones_are_left_out() -> None:
    bins = reliability([1, 0], [1.0, 0.0])
    assert [(b.low, b.high, b.n) for b in bins] == [(0.0, 0.1, 1), (0.9, 1.0, 1)]
    assert expected_calibration_error([1, 0], [1.0, 0.0]) == 0.0


def test_cosines_are_no_probabilities() -> None:
    with pytest.raises(InvalidInputError, match="no probabilities"):
        reliability([1, 0], [-0.1, 0.5])
