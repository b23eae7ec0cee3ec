"""CKA, RSA and mutual nearest neighbours agree with their definitions, and have invariances."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.similarity import (
    Distance,
    SimilarityMeasure,
    linear_cka,
    mutual_knn,
    relation_matrix,
    rsa,
)

SEEDS = st.integers(0, 10_000)


def drawn(seed: int, n_items: int = 12, width: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_items, width))


def defined(first: np.ndarray, second: np.ndarray, unbiased: bool) -> float:
    """Return HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) by the formulas of the papers."""
    hsic = _unbiased_hsic if unbiased else _hsic
    k, l = first @ first.T, second @ second.T  # noqa: E741 - as in the papers
    return float(hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)))


def _hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(k @ h @ l @ h) / (n - 1) ** 2)


def _unbiased_hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    n, ones = len(k), np.ones(len(k))
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    total = np.trace(k @ l) + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3)))


@given(SEEDS, st.integers(4, 20), st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_cka_agrees_with_the_definition_by_kernel_matrices(
    seed: int, n_items: int, width_a: int, width_b: int, unbiased: bool
) -> None:
    first, second = drawn(seed, n_items, width_a) + 1, drawn(seed + 1, n_items, width_b)
    second[:, :1] += first[:, :1]
    cka = linear_cka(first, second, unbiased=unbiased)
    assert cka == pytest.approx(defined(first, second, unbiased), abs=1e-9)


def test_cka_agrees_with_the_formula_of_features() -> None:
    first, second = drawn(0, 30, 4), drawn(0, 30, 4)[:, :2] + drawn(1, 30, 2)
    x, y = first - first.mean(axis=0), second - second.mean(axis=0)
    expected = np.linalg.norm(y.T @ x) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert linear_cka(first, second) == pytest.approx(float(expected))


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_of_equal_representations_is_one(unbiased: bool) -> None:
    assert linear_cka(drawn(0), drawn(0), unbiased=unbiased) == pytest.approx(1.0)


@settings(deadline=None)
@given(SEEDS, st.floats(-150, 150), st.floats(-100, 100), st.booleans())
def test_cka_is_invariant_to_rotation_scaling_and_translation(
    seed: int, exponent: float, shift: float, unbiased: bool
) -> None:
    first, second = drawn(seed), drawn(seed) ** 2
    turn, _ = np.linalg.qr(drawn(seed + 1, 5, 5))
    turned = (second @ turn + shift) * 10.0**exponent
    straight = linear_cka(first, second, unbiased=unbiased)
    assert straight is not None
    assert straight < 0.99
    assert linear_cka(first, turned, unbiased=unbiased) == pytest.approx(straight, abs=1e-9)


def test_cka_is_not_invariant_to_other_linear_maps() -> None:
    stretched = drawn(0) * [100, 1, 1, 1, 1]
    cka = linear_cka(drawn(0), stretched)
    assert cka is not None
    assert cka < 0.9


@given(SEEDS, st.booleans())
def test_cka_is_symmetric_and_independent_of_item_order(seed: int, unbiased: bool) -> None:
    first, second = drawn(seed), drawn(seed + 1, width=3)
    cka = linear_cka(first, second, unbiased=unbiased)
    assert linear_cka(second, first, unbiased=unbiased) == pytest.approx(cka)
    order = np.random.default_rng(seed).permutation(len(first))
    again = linear_cka(first[order], second[order], unbiased=unbiased)
    assert again == pytest.approx(cka, abs=1e-12)


def test_only_biased_cka_of_noise_is_large_for_few_items() -> None:
    pairs = [(drawn(seed, 20, 200), drawn(seed + 100, 20, 200)) for seed in range(20)]
    biased = [linear_cka(*pair) for pair in pairs]
    assert min(value for value in biased if value is not None) > 0.8
    unbiased = [value for p in pairs if (value := linear_cka(*p, unbiased=True)) is not None]
    assert len(unbiased) == len(pairs)
    assert abs(np.mean(unbiased)) < 0.05
    assert min(unbiased) < 0 < max(unbiased)


def test_cka_of_constant_representations_is_undefined() -> None:
    constant = np.full((12, 5), 0.1, dtype=np.float32)
    for unbiased in (False, True):
        assert linear_cka(constant, drawn(0), unbiased=unbiased) is None
        assert linear_cka(drawn(0), constant, unbiased=unbiased) is None
        assert linear_cka(np.zeros((12, 1)), drawn(0), unbiased=unbiased) is None
    equally_far = np.eye(12)
    assert linear_cka(equally_far, drawn(0)) is not None
    assert linear_cka(equally_far, drawn(0), unbiased=True) is None


def test_invalid_representations_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="representations of 12 and 11 items"):
        linear_cka(drawn(0), drawn(0)[1:])
    with pytest.raises(InvalidInputError, match="at least 4 items, got 3"):
        linear_cka(drawn(0, 3), drawn(1, 3), unbiased=True)
    for bad in (np.ones(12), np.full((12, 5), np.nan), np.ones((0, 5))):
        with pytest.raises(InvalidInputError, match="finite numbers of shape"):
            linear_cka(bad, drawn(0))


def test_rsa_agrees_with_the_rank_correlation_of_distances_written_out() -> None:
    first, second = drawn(0, 9, 4), drawn(1, 9, 6)
    second[:, :2] += 2 * first[:, :2]
    pairs = [(i, j) for i in range(9) for j in range(i)]
    of_distance: dict[Distance, Callable[[np.ndarray, np.ndarray], float]] = {
        "euclidean": lambda a, b: float(np.linalg.norm(a - b)),
        "cosine": lambda a, b: 1 - float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
        "correlation": lambda a, b: 1 - float(np.corrcoef(a, b)[0, 1]),
    }
    for distance, of_pair in of_distance.items():
        a, b = (np.array([of_pair(x[i], x[j]) for i, j in pairs]) for x in (first, second))
        value = rsa(first, second, distance=distance)
        assert value == pytest.approx(float(spearmanr(a, b).statistic))


@given(SEEDS, st.integers(1, 10))
def test_mutual_neighbours_agree_with_sets_of_neighbours(seed: int, k: int) -> None:
    first, second = drawn(seed), drawn(seed + 1)
    second[:, :3] += 2 * first[:, :3]

    def neighbours(values: np.ndarray, item: int) -> set[int]:
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        others = [n for n in np.argsort(-unit @ unit[item], kind="stable").tolist() if n != item]
        return set(others[:k])

    shares = [len(neighbours(first, n) & neighbours(second, n)) / k for n in range(12)]
    assert mutual_knn(first, second, k=k) == pytest.approx(np.mean(shares))


@given(SEEDS, st.floats(-100, 100), st.sampled_from(["cosine", "euclidean"]))
def test_rsa_and_neighbours_are_invariant_to_rotation_and_scale(
    seed: int, exponent: float, distance: Distance
) -> None:
    first, second = drawn(seed), drawn(seed) ** 2
    turn, _ = np.linalg.qr(drawn(seed + 1, 5, 5))
    turned = second @ turn * 10.0**exponent
    straight = rsa(first, second, distance=distance)
    assert rsa(first, turned, distance=distance) == pytest.approx(straight, abs=1e-9)
    assert mutual_knn(first, turned, k=3) == pytest.approx(mutual_knn(first, second, k=3))
    assert rsa(second, turned, distance=distance) == pytest.approx(1.0)
    assert mutual_knn(second, turned, k=3) == pytest.approx(1.0)


@given(SEEDS)
def test_rsa_and_neighbours_are_symmetric_and_independent_of_item_order(seed: int) -> None:
    first, second = drawn(seed), drawn(seed + 1, width=3)
    order = np.random.default_rng(seed).permutation(len(first))
    for measure in (rsa, mutual_knn):
        value = measure(first, second)
        assert measure(second, first) == pytest.approx(value)
        assert measure(first[order], second[order]) == pytest.approx(value)


def test_neighbours_of_unrelated_representations_are_at_chance() -> None:
    values = [mutual_knn(drawn(seed, 30, 6), drawn(seed + 50, 30, 6), k=5) for seed in range(40)]
    assert np.mean([v for v in values if v is not None]) == pytest.approx(5 / 29, abs=0.02)


def test_tied_neighbours_count_in_part() -> None:
    # The others of item 0 are equally far in the second representation: 2 of 4 at random.
    first = np.array([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1], [-1, 0]])
    second = np.eye(5) + np.array([[0, 0, 0, 0, 0], *([[0, 1, 1, 1, 1]] * 4)])
    common = relation_matrix(second, "mutual-knn", k=2)
    assert common is not None
    assert common[0] == pytest.approx(np.array([0, 1, 1, 1, 1]) / 2 / np.sqrt(10))
    assert mutual_knn(first, second, k=2) is not None


@given(SEEDS, st.sampled_from(["cka", "rsa", "mutual-knn"]))
def test_similarities_are_inner_products_of_relation_matrices(
    seed: int, measure: SimilarityMeasure
) -> None:
    first, second = drawn(seed), drawn(seed + 1)
    a, b = (relation_matrix(values, measure, k=4) for values in (first, second))
    assert a is not None
    assert b is not None
    expected = {
        "cka": linear_cka(first, second, unbiased=True),
        "rsa": rsa(first, second),
        "mutual-knn": mutual_knn(first, second, k=4),
    }
    assert float((a * b).sum()) == pytest.approx(expected[measure])


def test_similarities_without_distances_are_undefined() -> None:
    constant, with_zero = np.full((12, 5), 0.1), drawn(0) * (np.arange(12) > 0)[:, None]
    for values in (constant, np.eye(12), with_zero, np.linspace(1, 2, 12)[:, None]):
        assert rsa(values, drawn(0)) is None
        assert mutual_knn(drawn(0), values, k=3) is None
    assert rsa(with_zero, drawn(0), distance="euclidean") is not None


def test_invalid_arguments_of_similarities_are_rejected() -> None:
    for k in (0, 11, 12):
        with pytest.raises(InvalidInputError, match=f"k={k} for 12 items"):
            mutual_knn(drawn(0), drawn(1), k=k)
    with pytest.raises(InvalidInputError, match="needs 3 items, got 2"):
        rsa(drawn(0, 2), drawn(1, 2))
    with pytest.raises(InvalidInputError, match="cosine, euclidean, correlation, got 'city'"):
        rsa(drawn(0), drawn(1), distance="city")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="cka, rsa, mutual-knn, got 'svcca'"):
        relation_matrix(drawn(0), "svcca")  # type: ignore[arg-type]
