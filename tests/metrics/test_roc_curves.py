"""ROC curves with bands, and confusion of the best label."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

from audioprobe.metrics import macro, per_label, roc_auc
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import confusion_of_best
from audioprobe.metrics.vectorized_metrics import macro_roc_curve

RNG = np.random.default_rng(0)
TRUTH = RNG.random((80, 3)) < 0.4
SCORES = np.round(TRUTH + RNG.normal(size=(80, 3)), 1)  # with ties


def test_curve_of_one_label_agrees_with_scikit_learn() -> None:
    curve = macro_roc_curve(TRUTH[:, :1], SCORES[:, :1])
    assert curve is not None
    false, true, _ = roc_curve(TRUTH[:, 0], SCORES[:, 0], drop_intermediate=False)
    expected = np.interp(curve.false_positive_rate, false, true)
    assert curve.true_positive_rate == pytest.approx(expected)


def test_area_under_the_mean_curve_is_the_mean_area() -> None:
    curve = macro_roc_curve(TRUTH, SCORES)
    assert curve is not None
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(macro(per_label(roc_auc, TRUTH, SCORES)).value, abs=5e-3)


def test_band_contains_the_curve_and_is_wider_for_fewer_groups() -> None:
    widths = []
    truth, scores = np.tile(TRUTH[:20], (4, 1)), np.tile(SCORES[:20], (4, 1))
    for n_groups in (80, 20):  # each clip is a group, or every four copies are one
        curve = macro_roc_curve(
            truth, scores, bootstrap=Bootstrap(100), groups=[n % n_groups for n in range(80)]
        )
        assert curve is not None
        assert curve.low is not None
        assert curve.high is not None
        middle = curve.true_positive_rate
        assert (curve.low <= middle + 0.05).all()
        assert (curve.high >= middle - 0.05).all()
        widths.append(float(np.mean(curve.high - curve.low)))
    assert widths[1] > 1.5 * widths[0]


def test_labels_without_positives_are_left_out_of_the_curve() -> None:
    empty = np.zeros((80, 1), dtype=bool)
    curve = macro_roc_curve(np.hstack([TRUTH, empty]), np.hstack([SCORES, empty]))
    assert curve is not None
    assert curve.n_labels == 3
    assert macro_roc_curve(empty, SCORES[:, :1]) is None


def test_confusion_of_single_labels_agrees_with_scikit_learn() -> None:
    right = RNG.integers(3, size=80)
    confusion = confusion_of_best(np.eye(3, dtype=bool)[right], SCORES)
    assert np.array_equal(confusion, confusion_matrix(right, SCORES.argmax(axis=1)))


def test_every_labelled_clip_counts_once_in_the_confusion() -> None:
    assert confusion_of_best(TRUTH, SCORES).sum() == pytest.approx(TRUTH.any(axis=1).sum())
