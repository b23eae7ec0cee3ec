"""Linear CKA agrees with its definition, and has its invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.similarity import linear_cka

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
