"""Cohen's kappa agrees with scikit-learn; shares of variance add up and find known effects."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.variance import COMPONENTS, Component, variance_shares
from audioprobe.metrics.vectorized_metrics import cohen_kappa

FEW = Bootstrap(100)
RATINGS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1)


@given(RATINGS)
def test_kappa_agrees_with_scikit_learn(ratings: list[tuple[str, str]]) -> None:
    first, second = zip(*ratings, strict=True)
    kappa = float(cohen_kappa(first, second)(np.ones((1, len(ratings))))[0])
    if len({*first, *second}) == 1:
        assert np.isnan(kappa)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert kappa == pytest.approx(cohen_kappa_score(first, second))


@given(RATINGS, st.integers(0, 99))
def test_kappa_of_a_resample_is_that_of_the_repeated_items(
    ratings: list[tuple[str, str]], seed: int
) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, len(ratings))
    counts[0] = 1
    repeated = [pair for pair, n in zip(ratings, counts, strict=True) for _ in range(n)]
    resampled = cohen_kappa(*zip(*ratings, strict=True))(counts[None].astype(float))
    expected = cohen_kappa(*zip(*repeated, strict=True))(np.ones((1, len(repeated))))
    np.testing.assert_allclose(resampled, expected)


def test_kappa_needs_both_raters() -> None:
    with pytest.raises(InvalidInputError, match="got 2 and 1"):
        cohen_kappa("ab", "a")


def shares(table: np.ndarray, clusters: list[str], strata: list[str]) -> dict[Component, float]:
    parts = variance_shares(table.tolist(), clusters, strata, FEW)
    assert all(part.share.value is not None for part in parts.values())
    return {name: part.share.value or 0.0 for name, part in parts.items()}


CLUSTERS = ["a", "a", "b", "b", "c", "c"]
ONE = [""] * 6


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_pure_effect_is_all_of_the_variance(component: Component) -> None:
    cluster = np.repeat([1.0, 2.0, 4.0], 2)[:, None]
    item = np.tile([1.0, -1.0], 3)[:, None]
    variant = np.array([[1.0, 0.0, -1.0]])
    effects: dict[Component, np.ndarray] = {
        "clusters": cluster + 0 * variant,
        "items": item + 0 * variant,
        "variants": 0 * item + variant,
        "interaction": (cluster - cluster.mean()) * variant,
        "residual": item * variant,
    }
    result = shares(effects[component], CLUSTERS, ONE)
    assert result == pytest.approx({name: float(name == component) for name in COMPONENTS})


@given(st.integers(0, 200))
def test_shares_add_up_to_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 2, (8, 3)).astype(float)
    table[0, 0] = 1 - table[0, 1]  # not constant
    clusters = [*rng.choice(["a", "b", "c"], 8)]
    parts = variance_shares(table.tolist(), clusters, ["x"] * 5 + ["y"] * 3, Bootstrap(5))
    assert sum(part.share.value or 0.0 for part in parts.values()) == pytest.approx(1)
    assert sum(part.chance or 0.0 for part in parts.values()) == pytest.approx(1)
    assert all((part.share.value or 0.0) >= -1e-9 for part in parts.values())


def test_the_chance_level_is_the_mean_of_random_assignments() -> None:
    rng = np.random.default_rng(1)
    table = np.array([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    expected = variance_shares(table.tolist(), CLUSTERS, ONE, Bootstrap(1))
    drawn = [
        shares(rng.permutation(table.ravel()).reshape(table.shape), CLUSTERS, ONE)
        for _ in range(600)
    ]
    for name in COMPONENTS:
        mean = np.mean([each[name] for each in drawn])
        assert mean == pytest.approx(expected[name].chance, abs=0.03)


def test_differences_between_strata_do_not_count() -> None:
    table = np.repeat([[1.0, 1, 1], [0.0, 0, 0]], 3, axis=0)
    parts = variance_shares(table.tolist(), ["a", "b", "c"] * 2, ["x"] * 3 + ["y"] * 3, FEW)
    assert all((part.share.value, part.chance) == (None, None) for part in parts.values())


def test_items_of_a_stratum_have_the_same_variants() -> None:
    with pytest.raises(InvalidInputError, match="equally many variants"):
        variance_shares([[1.0, 0.0], [1.0]], ["a", "b"], ["", ""], FEW)
    with pytest.raises(InvalidInputError, match="got 1, 2 and 1"):
        variance_shares([[1.0, 0.0]], ["a", "b"], [""], FEW)
