"""Per-label metrics, macro means and micro averages."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import (
    average_precision,
    macro,
    micro_average_precision,
    micro_f1,
    micro_roc_auc,
    per_label,
    precision_recall_f1,
    roc_auc,
    with_failures,
)
from audioprobe.types import Estimate

# Three labels in four clips; the last has no positives.
TARGETS = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]])
SCORES = np.array([[0.9, 0.3, 0.3], [0.2, 0.8, 0.1], [0.6, 0.5, 0.9], [0.5, 0.2, 0.2]])


def test_metric_is_returned_per_label_in_order() -> None:
    assert per_label(roc_auc, TARGETS, SCORES) == pytest.approx((1.0, 2 / 3, None))
    assert per_label(average_precision, TARGETS, SCORES) == (1.0, 0.5, None)


def test_per_label_accepts_any_function() -> None:
    assert per_label(lambda truth, _: float(truth.sum()), TARGETS, SCORES) == (2.0, 1.0, 0.0)


def test_macro_mean_is_over_defined_labels_and_counts_the_others() -> None:
    assert macro((1.0, None, 0.5, None)) == Estimate(
        value=0.75, n=2, n_undefined=2, method="macro mean over the labels that are defined"
    )


def test_zero_counts_in_the_macro_mean() -> None:
    assert macro((1.0, 0.0)).value == 0.5
    assert macro((1.0, 0.0)).n_undefined == 0


def test_macro_mean_without_defined_labels_is_undefined() -> None:
    mean = macro((None, None))
    assert (mean.value, mean.n, mean.n_undefined) == (None, 0, 2)
    assert macro(()).value is None


@given(st.lists(st.floats(0, 1), min_size=1), st.randoms(use_true_random=False))
def test_macro_mean_does_not_depend_on_label_order(values: list[float], random: Random) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)
    assert macro(shuffled) == macro(values)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_macro_mean_rejects_nan_and_infinity(value: float) -> None:
    with pytest.raises(InvalidInputError, match="or None for undefined values"):
        macro((0.5, value))


def test_micro_averages_pool_all_pairs_of_clip_and_label() -> None:
    pooled = TARGETS.ravel(), SCORES.ravel()
    predictions = SCORES >= 0.5
    method = "micro, over all pairs of clip and label"
    auc, precision = roc_auc(*pooled), average_precision(*pooled)
    f1 = precision_recall_f1(TARGETS.ravel(), predictions.ravel()).f1
    assert micro_roc_auc(TARGETS, SCORES) == Estimate(value=auc, n=12, method=method)
    assert micro_average_precision(TARGETS, SCORES) == Estimate(
        value=precision, n=12, method=method
    )
    assert micro_f1(TARGETS, predictions) == Estimate(value=f1, n=12, method=method)
    assert f1 == 2 * 3 / (3 + 6)


def test_micro_averages_without_positives_are_undefined_and_count_the_pairs() -> None:
    nothing = np.zeros_like(TARGETS)
    for estimate in (
        micro_roc_auc(nothing, SCORES),
        micro_average_precision(nothing, SCORES),
        micro_f1(nothing, SCORES >= 0.5),
    ):
        assert (estimate.value, estimate.n, estimate.n_undefined) == (None, 0, 12)


def test_micro_auc_without_negatives_is_undefined() -> None:
    assert micro_roc_auc(np.ones_like(TARGETS), SCORES).value is None


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), st.integers(0))
def test_no_score_of_a_failed_clip_gives_less_than_counting_it_as_wrong(
    n_positive: int, n_negative: int, failed_positive: int, failed_negative: int, seed: int
) -> None:
    """AUC: pairs with a failed clip are wrong, and all others stay."""
    random = np.random.default_rng(seed)
    targets = np.array([[True]] * n_positive + [[False]] * n_negative)
    failed = np.array([[True]] * failed_positive + [[False]] * failed_negative).reshape(-1, 1)
    scores = random.choice([0.0, 0.5, 1e30, -3.0], size=targets.shape)
    all_targets, all_scores = with_failures(targets, scores, failed.astype(bool))
    strict = roc_auc(all_targets[:, 0], all_scores[:, 0])
    n_pairs = (n_positive + failed_positive) * (n_negative + failed_negative)
    auc = roc_auc(targets[:, 0], scores[:, 0])
    assert auc is not None
    assert strict == pytest.approx(auc * n_positive * n_negative / n_pairs)
    scores = random.normal(size=targets.shape)  # without ties
    all_targets, all_scores = with_failures(targets, scores, failed.astype(bool))
    guessed = np.concatenate([scores[:, 0], random.normal(size=len(failed))])
    for metric in (roc_auc, average_precision):
        least, other = (
            metric(all_targets[:, 0], all_scores[:, 0]),
            metric(all_targets[:, 0], guessed),
        )
        assert least is not None
        assert other is not None
        assert least <= other + 1e-12
