"""Crossed bootstrap: known answers, agreement with the ordinary bootstrap, coverage."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.crossed import Replicate, crossed_bootstrap
from audioprobe.metrics.vectorized_metrics import cohen_kappa, mean, ratio

FEW = Bootstrap(200)
VALUES = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-1, 1)), min_size=1, max_size=12)


def replicate(values: Sequence[float], groups: Sequence[str]) -> Replicate:
    return Replicate(mean(list(values)), list(groups))


def test_value_is_the_mean_over_replicates_not_over_items() -> None:
    many, few = replicate([1.0, 1.0, 1.0, 1.0], "abcd"), replicate([0.0], "a")
    estimate = crossed_bootstrap([many, few], FEW, unit="concepts")
    assert estimate.value == 0.5
    assert (estimate.n, estimate.n_groups, estimate.unit) == (5, 4, "concepts")
    assert "2 replicates and 4 concepts" in estimate.method


@given(VALUES, st.integers(0, 5))
def test_one_replicate_has_the_interval_of_the_ordinary_bootstrap(
    items: list[tuple[str, float]], seed: int
) -> None:
    groups, values = zip(*items, strict=True)
    bootstrap = Bootstrap(100, seed=seed)
    crossed = crossed_bootstrap([replicate(values, groups)], bootstrap)
    ordinary = bootstrap.estimate(mean(values), len(values), groups=groups)
    assert replace(crossed, method="") == replace(ordinary, method="")


def test_one_replicate_agrees_for_other_statistics() -> None:
    first, second, groups = "yynnyn", "yynyyy", "aabbcc"
    kappa = cohen_kappa(first, second)
    crossed = crossed_bootstrap([Replicate(kappa, groups)], FEW)
    ordinary = FEW.estimate(kappa, 6, groups=list(groups))
    assert (crossed.value, crossed.low, crossed.high) == (
        ordinary.value,
        ordinary.low,
        ordinary.high,
    )


def test_equal_groups_leave_the_interval_of_the_replicates() -> None:
    """If groups do not differ, two replicates are drawn twice each in 1/4 of the resamples."""
    replicates = [replicate([value] * 3, "abc") for value in (0.0, 1.0)]
    estimate = crossed_bootstrap(replicates, Bootstrap(2000))
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.0, 1.0)
    narrow = crossed_bootstrap(replicates, Bootstrap(2000, level=0.4))
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_equal_replicates_leave_the_interval_of_the_groups() -> None:
    same = [replicate([0.0, 0.5, 1.0], "abc")] * 4
    crossed, single = crossed_bootstrap(same, FEW), crossed_bootstrap(same[:1], FEW)
    assert (crossed.low, crossed.high) == (single.low, single.high)


def test_a_constant_has_an_interval_without_width() -> None:
    replicates = [replicate([0.25] * 4, "aabb"), replicate([0.25] * 2, "ac")]
    estimate = crossed_bootstrap(replicates, FEW)
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)


def test_order_of_replicates_does_not_change_the_value() -> None:
    replicates = [replicate([0.1, 0.9], "ab"), replicate([0.4, 0.2], "bc")]
    first, second = crossed_bootstrap(replicates, FEW), crossed_bootstrap(replicates[::-1], FEW)
    assert first.value == second.value


def test_draws_do_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    replicates = [replicate(rng.random(30).tolist(), "abcdef" * 5) for _ in range(3)]
    whole = crossed_bootstrap(replicates, FEW)
    monkeypatch.setattr("audioprobe.metrics.crossed._CHUNK", 100)
    assert crossed_bootstrap(replicates, FEW) == whole


def test_undefined_is_not_zero() -> None:
    undefined = Replicate(ratio([1.0, 1.0], [0.0, 0.0]), ["a", "b"])
    estimate = crossed_bootstrap([undefined, replicate([1.0, 1.0], "ab")], FEW)
    assert (estimate.value, estimate.n_undefined) == (None, 4)
    assert "undefined in 1 of 2 replicates" in estimate.method
    assert crossed_bootstrap([], FEW).value is None
    single = crossed_bootstrap([replicate([1.0, 0.0], "aa")], FEW)
    assert (single.value, single.low) == (0.5, None)
    assert "single group" in single.method


def test_undefined_resamples_are_counted() -> None:
    rare = Replicate(ratio([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), ["a", "b", "c"])
    estimate = crossed_bootstrap([rare], Bootstrap(500))
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)
    assert "resamples undefined and left out" in estimate.method
    rarer = [Replicate(ratio(only, only), list("abcdefghij")) for only in np.eye(10)[:4].tolist()]
    assert "resamples are undefined" in crossed_bootstrap(rarer, Bootstrap(500)).method


def simulated(seed: int, n_replicates: int, n_groups: int) -> list[Replicate]:
    """Replicates of normal effects of replicates, groups and items, whose true mean is 0."""
    rng = np.random.default_rng(seed)
    groups = [str(n) for n in range(n_groups) for _ in range(3)]
    of_groups = np.repeat(rng.normal(0, 1, n_groups), 3)
    return [
        replicate(
            (of_groups + rng.normal() * 0.3 + rng.normal(0, 1, 3 * n_groups)).tolist(), groups
        )
        for _ in range(n_replicates)
    ]


def coverage(n_replicates: int, n_groups: int, n: int = 300) -> float:
    bootstrap = Bootstrap(400)
    estimates = [
        crossed_bootstrap(simulated(s, n_replicates, n_groups), bootstrap) for s in range(n)
    ]
    return float(np.mean([e.low is not None and e.low <= 0 <= (e.high or 0) for e in estimates]))


@pytest.mark.slow
def test_intervals_cover_the_true_mean() -> None:
    assert 0.91 <= coverage(10, 40) <= 0.99


@pytest.mark.slow
def test_few_seeds_give_short_intervals() -> None:
    """With 2 seeds and many groups, the variance between seeds is half of its true value."""
    assert coverage(2, 400, 150) < 0.85
