"""Bootstrap intervals: known answers, agreement with scipy, groups, strata and invalid input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap, Method, Statistic
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.types import Estimate


def test_interval_of_a_mean_agrees_with_theory() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = Bootstrap(n_resamples=8000).estimate(mean(values), 400)
    half = 1.96 * values.std() / math.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.02)
    assert "400 items" in estimate.method
    assert "seed 0" in estimate.method


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_agrees_with_scipy_on_a_skewed_sample(method: Method) -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 60)
    estimate = Bootstrap(n_resamples=20_000, method=method).estimate(mean(values), 60)
    peer = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(2)
    ).confidence_interval
    assert estimate.low == pytest.approx(peer.low, abs=0.03)
    assert estimate.high == pytest.approx(peer.high, abs=0.05)


def test_interval_depends_only_on_the_seed() -> None:
    statistic = mean(np.random.default_rng(0).normal(size=50))
    first, repeated, other = (Bootstrap(seed=seed).estimate(statistic, 50) for seed in (1, 1, 2))
    assert first == repeated
    assert first != other


def test_summation_order_does_not_change_the_interval() -> None:
    """The last digit of a sum of thirds depends on their order."""
    values = np.random.default_rng(0).integers(0, 4, 200) / 3

    def added(order: slice) -> Statistic:
        return lambda counts: np.cumsum((counts * values)[:, order], axis=1)[:, -1] / len(values)

    forwards, backwards = added(slice(None)), added(slice(None, None, -1))
    counts = next(Bootstrap().resamples(200))
    assert (forwards(counts) != backwards(counts)).any()
    assert Bootstrap().estimate(forwards, 200) == Bootstrap().estimate(backwards, 200)


def test_items_of_a_group_are_resampled_together() -> None:
    """Copies of an item that form a group do not make the interval narrower."""
    values = np.random.default_rng(0).normal(size=30)
    copies, groups = np.repeat(values, 10), np.repeat(np.arange(30), 10)
    originals = Bootstrap().estimate(mean(values), 30)
    grouped = Bootstrap().estimate(mean(copies), 300, groups=groups.tolist())
    blind = Bootstrap().estimate(mean(copies), 300)
    assert (grouped.low, grouped.high) == pytest.approx((originals.low, originals.high))
    assert _width(blind) < 0.5 * _width(grouped)


def test_strata_keep_their_size_in_resamples() -> None:
    """Constant strata do not vary."""
    values = np.repeat([0.0, 1.0], [18, 2])
    estimate = Bootstrap().estimate(mean(values), 20, strata=values.tolist())
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    assert _width(Bootstrap().estimate(mean(values), 20)) > 0.1


def test_resamples_do_not_depend_on_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values, strata = np.random.default_rng(0).normal(size=40), [0] * 10 + [1] * 30
    for method in ("percentile", "bca"):
        expected = Bootstrap(method=method).estimate(mean(values), 40, strata=strata)
        with monkeypatch.context() as patch:
            patch.setattr("audioprobe.metrics.resampling._CHUNK", 300)
            assert Bootstrap(method=method).estimate(mean(values), 40, strata=strata) == expected


def test_undefined_resamples_are_left_out_and_counted() -> None:
    def only_with_the_first(counts: np.ndarray) -> np.ndarray:
        return np.where(counts[:, 0] > 0, 1.0, np.nan)

    estimate = Bootstrap().estimate(only_with_the_first, 5)
    assert (estimate.low, estimate.high) == (1.0, 1.0)
    n_left_out = int(estimate.method.split(" resamples undefined")[0].rsplit(" ", 1)[1])
    assert n_left_out == pytest.approx(2000 * (4 / 5) ** 5, rel=0.15)


def test_undefined_statistic_has_no_value_and_single_group_no_interval() -> None:
    nothing = Bootstrap().estimate(lambda counts: np.full(len(counts), np.nan), 4)
    assert (nothing.value, nothing.n, nothing.n_undefined, nothing.low) == (None, 0, 4, None)
    assert Bootstrap().estimate(mean([]), 0).value is None
    single = Bootstrap().estimate(mean([1.0, 2.0]), 2, groups=["a", "a"])
    assert (single.value, single.low, single.method) == (1.5, None, "no interval: a single group")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Bootstrap(n_resamples=0), "n_resamples >= 1"),
        (lambda: Bootstrap(level=1.0), "0 < level < 1"),
        (lambda: Bootstrap(method="normal"), "'percentile' or"),  # type: ignore[arg-type]
        (lambda: Bootstrap().estimate(mean([1.0, 2.0]), 2, groups=["a"]), "2 items, got 1"),
        (
            lambda: Bootstrap().estimate(mean([1.0, 2.0]), 2, groups="aa", strata="xy"),
            "in the strata 'x' and 'y'",
        ),
    ],
)
def test_invalid_bootstrap_arguments_are_rejected(call: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call()  # type: ignore[operator]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=40), st.integers(0, 5))
def test_interval_of_shares_stays_between_0_and_1(values: list[int], seed: int) -> None:
    for method in ("percentile", "bca"):
        bootstrap = Bootstrap(n_resamples=200, method=method, seed=seed)
        estimate = bootstrap.estimate(mean(values), len(values))
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low <= estimate.high <= 1


def _width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low
