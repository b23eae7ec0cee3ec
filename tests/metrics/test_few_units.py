"""Tests and intervals from few units: smallest p-values, power, and missing intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import Bootstrap
from audioprobe.metrics.delong import delong
from audioprobe.metrics.label_metrics import roc_auc
from audioprobe.metrics.paired import mcnemar, permutation, sign_flips
from audioprobe.metrics.significance import (
    benjamini_hochberg,
    detectable_effect,
    holm,
    smallest_detectable,
)
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean
from audioprobe.small_ltu.measures import macro_auc

TWO_AND_TWO = [1, 1, 0, 0], [3, 4, 1, 2], [1, 1, 1, 1]


def test_delong_without_variance_is_replaced_by_exchanges() -> None:
    result = delong(*TWO_AND_TWO)
    assert (result.difference.value, result.p_value, result.smallest_p_value) == (0.5, 0.125, 0.125)
    assert (result.difference.low, result.standard_error, result.detectable()) == (None, None, None)
    assert holm([result.p_value, 0.04]) == pytest.approx((0.125, 0.08))
    assert benjamini_hochberg([result.p_value, 0.04]) == pytest.approx((0.125, 0.08))


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10_000))
def test_delong_p_value_is_at_least_that_of_all_exchanges(
    n_positive: int, n_negative: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = np.arange(n_positive + n_negative) < n_positive
    first, second = rng.integers(4, size=(2, len(truth))) + 3 * truth * [[1], [seed % 2]]
    result = delong(truth, first, second)
    assert result.p_value is not None
    assert result.p_value >= 2.0 ** (1 - len(truth))
    if result.difference.low is not None:
        assert result.difference.high is not None
        assert result.difference.low < result.difference.high


@pytest.mark.parametrize("level", [95, 1.0, 0, -1, math.nan])
def test_level_outside_0_and_1_is_rejected(level: float) -> None:
    with pytest.raises(InvalidInputError, match="level"):
        delong([1, 1, 0, 0], [3, 1, 4, 2], [4, 3, 2, 1], level=level)


@pytest.mark.parametrize("n", [0, -3])
def test_number_of_permutations_must_be_positive(n: int) -> None:
    with pytest.raises(InvalidInputError, match=f"n_permutations >= 1, got {n}"):
        permutation([[1], [0]], [[0.9], [0.2]], [[0.1], [0.2]], n_permutations=n)
    with pytest.raises(InvalidInputError, match="n_permutations"):
        sign_flips([1.0, 2.0], n_permutations=n)


@pytest.mark.parametrize(("n_groups", "smallest"), [(2, 0.5), (4, 0.125), (6, 0.03125)])
def test_smallest_p_value_of_few_groups_is_reached_and_reported(
    n_groups: int, smallest: float
) -> None:
    truth = np.array([[1], [0]] * 2 * n_groups)
    groups = np.repeat(np.arange(n_groups), 4).tolist()
    result = permutation(truth, truth, 1 - truth, groups=groups, bootstrap=Bootstrap(100))
    assert (result.p_value, result.smallest_p_value) == (smallest, smallest)
    assert (result.n_units, result.unit) == (n_groups, "groups")
    flips = sign_flips(np.ones(4 * n_groups), groups=groups)
    assert (flips.p_value, flips.smallest_p_value) == (smallest, smallest)


def test_single_group_has_no_p_value() -> None:
    for result in (
        permutation([[1], [0]], [[0.9], [0.2]], [[0.1], [0.2]], groups=["a", "a"]),
        sign_flips([1.0, 2.0], groups=["a", "a"]),
    ):
        assert result.p_value is None
        assert "two groups are needed" in result.name
    assert mcnemar([1] * 4, [0] * 4).smallest_p_value == 0.125


def test_undetectable_differences_are_undefined() -> None:
    assert smallest_detectable(0.0) is None
    assert smallest_detectable(None) is None
    assert smallest_detectable(0.1, n_units=5) is None  # the smallest p-value is 0.0625
    assert smallest_detectable(0.1, n_units=6) is not None
    assert smallest_detectable(0.1, n_units=6, level=1 - 0.05 / 3) is None
    for error in (math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="standard error"):
            smallest_detectable(error)


@pytest.mark.parametrize("n_units", [7, 9, 16])
def test_power_agrees_with_simulated_exchanges(n_units: int) -> None:
    effect = detectable_effect(n_units, 0.95, 0.8)
    assert effect is not None
    rng = np.random.default_rng(1)
    samples = rng.normal(effect / math.sqrt(n_units), 1, size=(600, n_units))
    p_values = [sign_flips(sample, n_permutations=600).p_value for sample in samples]
    assert np.mean([p is not None and p <= 0.05 for p in p_values]) == pytest.approx(0.8, abs=0.06)


def test_strata_of_one_group_are_merged_and_reported() -> None:
    values = [0.0, 1.0, 0.0, 1.0]
    plain = Bootstrap().estimate(mean(values), 4)
    result = Bootstrap().estimate(mean(values), 4, strata=["a", "b", "c", "d"])
    assert (result.low, result.high, result.n_groups) == (plain.low, plain.high, 4) == (0.0, 1.0, 4)
    assert "4 strata of a single group merged" in result.method
    alone = Bootstrap().estimate(mean([0.0, 1.0, 0.0, 5.0]), 4, strata=["a", "a", "a", "b"])
    assert alone.high is not None
    assert alone.high > 2  # resampled like the others, not once in each resample


def test_clips_with_unique_label_sets_are_resampled() -> None:
    targets = np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]],
        dtype=bool,
    )
    scores = np.random.default_rng(0).normal(size=targets.shape) + 0.7 * targets
    result = macro_auc(targets, scores, Bootstrap(500))
    plain = Bootstrap(500).estimate(macro_roc_auc(targets, scores), 8)
    assert (result.low, result.high, result.n_groups) == (plain.low, plain.high, 8)


@pytest.mark.parametrize(
    ("groups", "targets"),
    [
        (None, [1, 0, 0, 0, 0]),  # one positive
        (None, [1, 1, 1, 1, 0]),  # one negative
        (["a", "a", "b", "c", "d"], [1, 1, 0, 0, 0]),  # all positives are of one site
    ],
)
def test_single_positive_or_negative_group_gives_no_interval(
    groups: list[str] | None, targets: list[int]
) -> None:
    truth, scores = np.array(targets, dtype=bool), np.arange(5.0)[::-1]
    statistic = macro_roc_auc(truth[:, None], scores[:, None])
    result = Bootstrap().estimate(statistic, 5, groups=groups, present=truth)
    assert result.value == roc_auc(truth, scores)
    assert (result.low, result.high, result.n_groups) == (None, None, None)
    assert "no interval" in result.method


def test_number_of_groups_is_printed_with_the_interval() -> None:
    result = Bootstrap(100).estimate(
        mean([0.0, 0.0, 1.0, 1.0]), 4, groups=["a", "a", "b", "b"], unit="sites"
    )
    assert (result.n_groups, result.unit) == (2, "sites")
    assert str(result).endswith("(2 sites)")


@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), np.datetime64("NaT")])
def test_items_without_a_group_are_their_own_group_and_counted(missing: object) -> None:
    result = Bootstrap(100).estimate(
        mean([0.0, 0, 0, 1, 1, 1]),
        6,
        groups=["a", "a", "a", *[missing] * 3],
    )
    assert result.n_groups == 4
    assert "3 of them items without a group" in result.method


def test_unhashable_groups_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="names or numbers"):
        Bootstrap().estimate(mean([0.0, 1.0]), 2, groups=[["a"], ["b"]])  # type: ignore[list-item]


def test_scores_that_are_equal_only_as_float64_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="equal after conversion"):
        roc_auc([1, 0], [2**53 + 1, 2**53])
    assert roc_auc([1, 0], [2**60, 2**53]) == 1.0
    assert roc_auc([1, 0], [2**53 + 1, 2**53 + 1]) == 0.5
