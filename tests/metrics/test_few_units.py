"""Tests and intervals from too few units claim no more than so many units can show."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics import Bootstrap
from audioprobe.metrics.multiple_testing import benjamini_hochberg, holm
from audioprobe.metrics.paired import delong, mcnemar, permutation, sign_flips
from audioprobe.metrics.power import detectable_effect, smallest_detectable
from audioprobe.metrics.ranking import roc_auc
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean
from audioprobe.small_ltu.evaluation.audio_metrics import auc_of

TWO_AND_TWO = [1, 1, 0, 0], [3, 4, 1, 2], [1, 1, 1, 1]


def test_delong_without_variance_exchanges_clips_instead() -> None:
    found = delong(*TWO_AND_TWO)
    assert (found.difference.value, found.p_value, found.smallest_p_value) == (0.5, 0.125, 0.125)
    assert (found.difference.low, found.standard_error, found.detectable()) == (None, None, None)
    assert holm([found.p_value, 0.04]) == pytest.approx((0.125, 0.08))
    assert benjamini_hochberg([found.p_value, 0.04]) == pytest.approx((0.125, 0.08))


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10_000))
def test_delong_is_never_surer_than_all_exchanges_of_its_clips(
    n_positive: int, n_negative: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = np.arange(n_positive + n_negative) < n_positive
    first, second = rng.integers(4, size=(2, len(truth))) + 3 * truth * [[1], [seed % 2]]
    found = delong(truth, first, second)
    assert found.p_value is not None
    assert found.p_value >= 2.0 ** (1 - len(truth))
    if found.difference.low is not None:
        assert found.difference.high is not None
        assert found.difference.low < found.difference.high


@pytest.mark.parametrize("level", [95, 1.0, 0, -1, math.nan])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(InvalidInputError, match="level"):
        delong([1, 1, 0, 0], [3, 1, 4, 2], [4, 3, 2, 1], level=level)


@pytest.mark.parametrize("n", [0, -3])
def test_permutations_are_counted_from_1(n: int) -> None:
    with pytest.raises(InvalidInputError, match=f"n_permutations >= 1, got {n}"):
        permutation([[1], [0]], [[0.9], [0.2]], [[0.1], [0.2]], n_permutations=n)
    with pytest.raises(InvalidInputError, match="n_permutations"):
        sign_flips([1.0, 2.0], n_permutations=n)


@pytest.mark.parametrize(("n_groups", "smallest"), [(2, 0.5), (4, 0.125), (6, 0.03125)])
def test_the_smallest_p_of_so_many_groups_is_reached_and_told(
    n_groups: int, smallest: float
) -> None:
    truth = np.array([[1], [0]] * 2 * n_groups)
    groups = np.repeat(np.arange(n_groups), 4).tolist()
    found = permutation(truth, truth, 1 - truth, groups=groups, bootstrap=Bootstrap(100))
    assert (found.p_value, found.smallest_p_value) == (smallest, smallest)
    assert (found.n_units, found.unit) == (n_groups, "groups")
    flips = sign_flips(np.ones(4 * n_groups), groups=groups)
    assert (flips.p_value, flips.smallest_p_value) == (smallest, smallest)


def test_a_single_group_is_no_test() -> None:
    for found in (
        permutation([[1], [0]], [[0.9], [0.2]], [[0.1], [0.2]], groups=["a", "a"]),
        sign_flips([1.0, 2.0], groups=["a", "a"]),
    ):
        assert found.p_value is None
        assert "two groups are needed" in found.name
    assert mcnemar([1] * 4, [0] * 4).smallest_p_value == 0.125


def test_a_difference_that_cannot_be_found_has_no_power() -> None:
    assert smallest_detectable(0.0) is None
    assert smallest_detectable(None) is None
    assert smallest_detectable(0.1, n_units=5) is None  # no p below .0625
    assert smallest_detectable(0.1, n_units=6) is not None
    assert smallest_detectable(0.1, n_units=6, level=1 - 0.05 / 3) is None
    for error in (math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="standard error"):
            smallest_detectable(error)


@pytest.mark.parametrize("n_units", [7, 9, 16])
def test_power_is_that_of_the_test_of_exchanges(n_units: int) -> None:
    effect = detectable_effect(n_units, 0.95, 0.8)
    assert effect is not None
    rng = np.random.default_rng(1)
    samples = rng.normal(effect / math.sqrt(n_units), 1, size=(600, n_units))
    p_values = [sign_flips(sample, n_permutations=600).p_value for sample in samples]
    assert np.mean([p is not None and p <= 0.05 for p in p_values]) == pytest.approx(0.8, abs=0.06)


def test_strata_of_one_group_are_merged_and_told() -> None:
    values = [0.0, 1.0, 0.0, 1.0]
    plain = Bootstrap().estimate(mean(values), 4)
    found = Bootstrap().estimate(mean(values), 4, strata=["a", "b", "c", "d"])
    assert (found.low, found.high, found.n_groups) == (plain.low, plain.high, 4) == (0.0, 1.0, 4)
    assert "4 strata of a single group merged" in found.method
    alone = Bootstrap().estimate(mean([0.0, 1.0, 0.0, 5.0]), 4, strata=["a", "a", "a", "b"])
    assert alone.high is not None
    assert alone.high > 2  # drawn as often as the others, not once in each resample


def test_clips_with_label_sets_of_their_own_vary() -> None:
    targets = np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]],
        dtype=bool,
    )
    scores = np.random.default_rng(0).normal(size=targets.shape) + 0.7 * targets
    found = auc_of(targets, scores, Bootstrap(500))
    plain = Bootstrap(500).estimate(macro_roc_auc(targets, scores), 8)
    assert (found.low, found.high, found.n_groups) == (plain.low, plain.high, 8)


@pytest.mark.parametrize(
    ("groups", "targets"),
    [
        (None, [1, 0, 0, 0, 0]),  # one positive
        (None, [1, 1, 1, 1, 0]),  # one negative
        (["a", "a", "b", "c", "d"], [1, 1, 0, 0, 0]),  # positives of one site
    ],
)
def test_one_positive_or_negative_group_gives_no_interval(
    groups: list[str] | None, targets: list[int]
) -> None:
    truth, scores = np.array(targets, dtype=bool), np.arange(5.0)[::-1]
    statistic = macro_roc_auc(truth[:, None], scores[:, None])
    found = Bootstrap().estimate(statistic, 5, groups=groups, present=truth)
    assert found.value == roc_auc(truth, scores)
    assert (found.low, found.high, found.n_groups) == (None, None, None)
    assert "no interval" in found.method


def test_the_number_of_groups_stands_beside_the_interval() -> None:
    found = Bootstrap(100).estimate(
        mean([0.0, 0.0, 1.0, 1.0]), 4, groups=["a", "a", "b", "b"], unit="sites"
    )
    assert (found.n_groups, found.unit) == (2, "sites")
    assert str(found).endswith("(2 sites)")


@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), np.datetime64("NaT")])
def test_items_without_a_group_are_their_own_and_counted(missing: object) -> None:
    found = Bootstrap(100).estimate(
        mean([0.0, 0, 0, 1, 1, 1]),
        6,
        groups=["a", "a", "a", *[missing] * 3],
    )
    assert found.n_groups == 4
    assert "3 of them items without a group" in found.method


def test_groups_that_are_no_names_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="names or numbers"):
        Bootstrap().estimate(mean([0.0, 1.0]), 2, groups=[["a"], ["b"]])  # type: ignore[list-item]


def test_scores_that_float64_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="would tie"):
        roc_auc([1, 0], [2**53 + 1, 2**53])
    assert roc_auc([1, 0], [2**60, 2**53]) == 1.0
    assert roc_auc([1, 0], [2**53 + 1, 2**53 + 1]) == 0.5
