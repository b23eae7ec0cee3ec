"""Paired tests: known answers, error rates and power."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.delong import delong
from audioprobe.metrics.paired import (
    exchanged_differences,
    mcnemar,
    permutation,
)
from audioprobe.metrics.significance import benjamini_hochberg, holm, smallest_detectable

P_VALUES = st.lists(st.floats(0, 1) | st.none(), max_size=8)


def noisy(seed: int, gain: float, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.5
    return truth, gain * truth + rng.normal(size=n)


def test_delong_agrees_with_auc_difference_and_jackknife_error() -> None:
    truth, first = noisy(0, 1.5, 200)
    _, second = noisy(1, 0.0, 200)
    result = delong(truth, first, second)
    assert result.difference.value == pytest.approx(
        roc_auc_score(truth, first) - roc_auc_score(truth, second), abs=1e-12
    )
    assert result.standard_error == pytest.approx(_jackknife(truth, first, second), rel=0.02)
    assert result.p_value is not None
    assert result.p_value < 1e-3


def _jackknife(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the jackknife standard error, in which each class has its own variance."""
    variance = 0.0
    for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
        values = []
        for index in members:
            remaining = np.arange(len(truth)) != index
            values.append(
                roc_auc_score(truth[remaining], first[remaining])
                - roc_auc_score(truth[remaining], second[remaining])
            )
        n = len(members)
        variance += (n - 1) / n * float(np.sum((np.array(values) - np.mean(values)) ** 2))
    return float(np.sqrt(variance))


def test_system_does_not_differ_from_itself() -> None:
    truth, scores = noisy(0, 1.0)
    same = delong(truth, scores, scores)
    assert (same.difference.value, same.p_value) == (0.0, 1.0)
    assert permutation(truth[:, None], scores[:, None], 9 * scores[:, None]).p_value == 1.0


@pytest.mark.parametrize("test", ["delong", "permutation"])
def test_false_positive_rate_is_that_of_the_level(test: str) -> None:
    """About 5 % of 200 p-values of equal systems are below 0.05 (binomial interval, 99.9 %)."""
    n_significant = 0
    for seed in range(200):
        truth, first = noisy(seed, 1.0, 40)
        second = truth + np.random.default_rng([seed, 1]).normal(size=40)
        if test == "delong":
            p = delong(truth, first, second).p_value
        else:
            p = permutation(
                truth[:, None], first[:, None], second[:, None], n_permutations=99
            ).p_value
        assert p is not None
        n_significant += p < 0.05
    assert stats.binom.ppf(0.0005, 200, 0.05) <= n_significant <= stats.binom.ppf(0.9995, 200, 0.05)


def test_permutations_exchange_whole_groups() -> None:
    """Two sites cannot give a small p-value, for any number of clips."""
    truth, first = noisy(0, 2.0, 100)
    _, second = noisy(1, 0.0, 100)
    arrays = truth[:, None], first[:, None], second[:, None]
    by_clip = permutation(*arrays, n_permutations=500)
    by_site = permutation(*arrays, groups=[n % 2 for n in range(100)], n_permutations=500)
    assert by_clip.p_value is not None
    assert by_site.p_value is not None
    assert by_clip.p_value < 0.01
    assert by_site.p_value > 0.4
    assert "2 groups" in by_site.name


def test_permutations_do_not_depend_on_the_scale_of_scores() -> None:
    truth, first = noisy(0, 1.0)
    _, second = noisy(1, 0.5)
    plain = permutation(truth[:, None], first[:, None], second[:, None], n_permutations=99)
    other = permutation(truth[:, None], np.exp(first)[:, None], second[:, None], n_permutations=99)
    assert plain.p_value == other.p_value


def test_label_without_positives_has_no_p_value() -> None:
    none = np.zeros(10, dtype=bool)
    scores = np.arange(10.0)
    assert delong(none, scores, scores[::-1]).p_value is None
    assert permutation(none[:, None], scores[:, None], scores[:, None]).difference.value is None


def test_mcnemar_agrees_with_the_binomial_test() -> None:
    first = np.array([1] * 10 + [0] * 2 + [1] * 20)
    second = np.array([0] * 10 + [1] * 2 + [1] * 20)
    result = mcnemar(first, second)
    assert result.p_value == pytest.approx(stats.binomtest(10, 12).pvalue)
    assert result.difference.value == pytest.approx(8 / 32)
    assert mcnemar([1, 0], [1, 0]).p_value == 1.0


def test_corrections_of_known_p_values() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx((0.03, None, 0.06, 0.06))
    assert benjamini_hochberg([0.01, None, 0.04, 0.03]) == pytest.approx((0.03, None, 0.04, 0.04))


@given(P_VALUES)
def test_corrections_increase_p_values_and_keep_their_order(p_values: list[float | None]) -> None:
    for correct in (holm, benjamini_hochberg):
        pairs = [(p, q) for p, q in zip(p_values, correct(p_values), strict=True) if p is not None]
        assert all((q is not None and p <= q <= 1) or q == pytest.approx(p) for p, q in pairs)
        ordered = [q for _, q in sorted(pairs, key=lambda pair: pair[0])]
        assert all(a <= b for a, b in pairwise(ordered))  # type: ignore[operator]


def test_smallest_detectable_difference_has_the_stated_power() -> None:
    error = 0.1
    true = smallest_detectable(error, power=0.8)
    assert true is not None
    rng = np.random.default_rng(0)
    result = np.abs(rng.normal(true, error, size=20_000)) > stats.norm.ppf(0.975) * error
    assert result.mean() == pytest.approx(0.8, abs=0.01)


def test_invalid_test_arguments_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="group"):
        permutation([[1], [0]], [[1.0], [0.0]], [[1.0], [0.0]], groups=[1])
    with pytest.raises(InvalidInputError, match="p-values"):
        holm([2.0])
    with pytest.raises(InvalidInputError, match="standard error"):
        smallest_detectable(-1.0)


@pytest.mark.parametrize("n_times", [1, 7])
def test_exchanged_differences_agree_with_exchanged_scores(n_times: int) -> None:
    rng = np.random.default_rng(n_times)
    targets = rng.random((30, 3)) < (0.4, 0.1, 0.0)  # no clip has the last label, so it has no AUC
    targets[0, 1] = True
    first_scores, other = np.round(rng.random((2, 30, 3)), 1)
    swaps = rng.random((n_times, 30)) < 0.5
    expected = []
    for swap in swaps:
        first, second = np.where(swap[:, None], (other, first_scores), (first_scores, other))
        aucs = [[roc_auc_score(targets[:, k], s[:, k]) for k in (0, 1)] for s in (first, second)]
        expected.append(np.mean(aucs[0]) - np.mean(aucs[1]))
    assert exchanged_differences(targets, first_scores, other, swaps) == pytest.approx(
        expected, abs=1e-12
    )
    assert np.isnan(
        exchanged_differences(targets[:, 2:], first_scores[:, 2:], other[:, 2:], swaps)
    ).all()
