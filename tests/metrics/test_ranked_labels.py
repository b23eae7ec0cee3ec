"""Metrics of resamples from sums per step: ties, blocks of steps, groups, undefined resamples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audioprobe.metrics import average_precision, precision_recall_f1, roc_auc
from audioprobe.metrics import ranked_labels as ranked
from audioprobe.metrics.bootstrap import Bootstrap, Method
from audioprobe.metrics.ranked_labels import CellSums, RankedLabels
from audioprobe.metrics.vectorized_metrics import macro_f1, macro_roc_auc
from audioprobe.types import Estimate, Float64Array

N_CLIPS, N_LABELS = 12, 2


def matrices(elements: st.SearchStrategy[object], dtype: str) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(dtype, (N_CLIPS, N_LABELS), elements=elements)


TARGETS = matrices(st.booleans(), "bool")
SCORES = matrices(st.sampled_from([-1.5, 0.0, -0.0, 0.1, 1 / 3, 7.0]), "float64")  # many ties
DRAWS = arrays.arrays("int64", (5, N_CLIPS), elements=st.integers(0, N_CLIPS - 1))


def counts_of(draws: np.ndarray) -> Float64Array:
    """Return how often each row of drawn clips contains each clip."""
    return np.array([np.bincount(row, minlength=N_CLIPS) for row in draws], dtype=np.float64)


def number(value: float | None) -> float:
    return math.nan if value is None else value


@settings(deadline=None)
@given(TARGETS, SCORES, DRAWS, st.sampled_from([1, 3, 1024]))
def test_each_value_equals_that_of_the_drawn_clips(
    targets: np.ndarray, scores: np.ndarray, draws: np.ndarray, block: int
) -> None:
    labels, counts = RankedLabels(targets, scores), counts_of(draws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranked, "_BLOCK", block)
        areas = labels.areas(counts, ranked.roc_auc, ranked.average_precision)
    for row, drawn in enumerate(draws):
        for label in range(N_LABELS):
            truth, values = targets[drawn, label], scores[drawn, label]
            expected = [number(roc_auc(truth, values)), number(average_precision(truth, values))]
            np.testing.assert_allclose(areas[:, label, row], expected, atol=1e-12)


@settings(deadline=None)
@given(TARGETS, TARGETS, DRAWS)
def test_f1_equals_that_of_the_drawn_clips(
    targets: np.ndarray, predictions: np.ndarray, draws: np.ndarray
) -> None:
    values = macro_f1(targets[:, :1], predictions[:, :1])(counts_of(draws))
    for drawn, value in zip(draws, values, strict=True):
        expected = precision_recall_f1(targets[drawn, 0], predictions[drawn, 0]).f1
        np.testing.assert_allclose(value, number(expected), atol=1e-12)


@settings(deadline=None)
@given(TARGETS, SCORES, DRAWS)
def test_steps_have_all_drawn_clips_and_few_steps_for_few_positives(
    targets: np.ndarray, scores: np.ndarray, draws: np.ndarray
) -> None:
    counts = counts_of(draws)
    for label, (positives, negatives) in enumerate(RankedLabels(targets, scores).steps(counts)):
        assert np.array_equal(positives.sum(axis=0), counts @ targets[:, label])
        assert np.array_equal(negatives.sum(axis=0), counts @ ~targets[:, label])
        n_scores_of_positives = len(np.unique(scores[targets[:, label], label]))
        assert len(positives) <= 2 * n_scores_of_positives + 1


def test_auc_of_a_million_pairs_is_exact() -> None:
    """Counts are integers, so that no order of summation changes the AUC."""
    rng = np.random.default_rng(0)
    targets, scores = rng.random((2000, 1)) < 0.5, rng.random((2000, 1))
    counts = rng.poisson(1.0, (3, 2000)).astype(np.float64)
    order = rng.permutation(2000)
    values = macro_roc_auc(targets, scores)(counts)
    assert np.array_equal(values, macro_roc_auc(targets[order], scores[order])(counts[:, order]))


def test_sums_do_not_depend_on_the_memory_layout_of_counts() -> None:
    counts = np.arange(24, dtype=np.float64).reshape(2, 12)
    cells = CellSums([(np.arange(12) % 3, 3)])
    for layout in (counts, np.asfortranarray(counts)):
        (sums,) = cells(layout)
        assert sums.tolist() == [[18.0, 66.0], [22.0, 70.0], [26.0, 74.0]]


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_values_with_the_same_resamples_equal_single_estimates(method: Method) -> None:
    """One label has no positives, one has them in a single group, and some resamples lack one."""
    rng = np.random.default_rng(0)
    groups = (np.arange(60) % 12).tolist()
    targets = rng.random((60, 4)) < 0.3
    targets[:, 1] = False
    targets[:, 2] = np.arange(60) == 5
    targets[:, 3] = np.isin(groups, [0, 1])
    statistics = [
        macro_roc_auc(targets[:, [n]], rng.random((60, 1)).round(1)) for n in range(len(targets.T))
    ]
    bootstrap = Bootstrap(n_resamples=300, method=method)
    points = [Estimate(value=0.5, n=60), None, Estimate(value=0.5, n=1, n_undefined=2), None]
    joint = bootstrap.estimates(
        lambda counts: np.stack([statistic(counts) for statistic in statistics], axis=1),
        60,
        points,
        present=[targets[:, [n]] for n in range(4)],
        groups=groups,
        unit="sites",
    )
    assert joint == tuple(
        bootstrap.estimate(
            statistic, 60, groups=groups, present=targets[:, [n]], point=points[n], unit="sites"
        )
        for n, statistic in enumerate(statistics)
    )
    assert [estimate.low is None for estimate in joint] == [False, True, True, False]
    assert "resamples undefined and left out" in joint[3].method
    assert bootstrap.estimates(statistics[0], 0, [None], present=[None])[0].method == "no items"


def test_interval_of_groups_equals_quantiles_over_drawn_rows() -> None:
    """The resamples of the interval are computed again, one by one, from copied rows."""
    rng = np.random.default_rng(3)
    groups = np.sort(rng.integers(0, 9, 70))
    targets = rng.random((70, 1)) < 0.4
    scores = (rng.random((70, 1)) + 0.4 * targets).round(1)
    bootstrap = Bootstrap(n_resamples=80)
    estimate = bootstrap.estimate(macro_roc_auc(targets, scores), 70, groups=groups.tolist())
    n_groups = len(np.unique(groups))
    shares = np.full(n_groups, 1 / n_groups)
    draws = np.random.default_rng([0, 0]).multinomial(n_groups, shares, size=80)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    values = []
    for draw in draws:
        rows = np.concatenate([np.tile(m, n) for m, n in zip(members, draw, strict=True)])
        values.append(number(roc_auc(targets[rows, 0], scores[rows, 0])))
    assert [estimate.low, estimate.high] == pytest.approx(np.nanquantile(values, [0.025, 0.975]))
