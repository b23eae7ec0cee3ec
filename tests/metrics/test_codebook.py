"""Measures of codes: known answers, laws, agreement with scikit-learn."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import homogeneity_score, mutual_info_score, r2_score

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.codebook import (
    code_perplexity,
    codes_in_use,
    count_codes,
    explained_variance,
    label_information,
    largest_share,
)

CODES = arrays(
    np.int64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.integers(0, 4)
)


def test_counts_of_clips_of_different_lengths() -> None:
    counts = count_codes([[0, 2, 2], np.array([1], dtype=np.uint16), []], 3)
    assert counts.tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 0]]
    assert count_codes([], 3).shape == (0, 3)


@pytest.mark.parametrize("codes", [[3], [-1], [0.0], [True]])
def test_invalid_codes_are_refused(codes: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="integers from 0 to 2"):
        count_codes([codes], 3)


def test_known_answers() -> None:
    equal, single = count_codes([[0, 1], [2, 3]], 8), count_codes([[5, 5], [5]], 8)
    assert (codes_in_use(equal), codes_in_use(single)) == (4, 1)
    assert code_perplexity(equal) == pytest.approx(4)
    assert code_perplexity(single) == pytest.approx(1)
    assert (largest_share(equal), largest_share(single)) == (0.25, 1.0)


def test_no_codes_are_undefined_and_not_zero() -> None:
    counts = count_codes([[]], 4)
    assert codes_in_use(counts) == 0
    assert code_perplexity(counts) is None
    assert largest_share(counts) is None
    assert label_information(counts, [[1]]) == (None,)


@given(CODES)
def test_perplexity_lies_between_one_and_the_codes_in_use(codes: npt.NDArray[np.int64]) -> None:
    counts = count_codes(codes, 5)
    perplexity, share = code_perplexity(counts), largest_share(counts)
    assert perplexity is not None
    assert share is not None
    assert 1 - 1e-12 <= perplexity <= codes_in_use(counts) + 1e-12
    assert perplexity >= 1 / share - 1e-12  # entropy is at least min-entropy


@given(CODES, st.data())
def test_label_information_agrees_with_scikit_learn(
    codes: npt.NDArray[np.int64], data: st.DataObject
) -> None:
    present = data.draw(arrays(np.bool_, (len(codes), 2)))
    values = label_information(count_codes(codes, 5), present)
    for value, column in zip(values, present.T, strict=True):
        frames = np.repeat(column, codes.shape[1])
        if column.all() or not column.any():
            assert value is None
        else:
            assert value == pytest.approx(homogeneity_score(frames, codes.ravel()), abs=1e-9)
            entropy = mutual_info_score(frames, frames)
            expected = mutual_info_score(frames, codes.ravel()) / entropy
            assert value == pytest.approx(expected, abs=1e-9)


@given(CODES, st.permutations(range(5)))
def test_names_of_codes_do_not_matter(codes: npt.NDArray[np.int64], names: list[int]) -> None:
    present = (np.arange(len(codes)) % 2)[:, None]
    first = count_codes(codes, 5)
    second = count_codes(np.array(names)[codes], 5)
    assert code_perplexity(first) == pytest.approx(code_perplexity(second))
    assert largest_share(first) == largest_share(second)
    assert label_information(first, present) == pytest.approx(label_information(second, present))


def test_label_information_is_one_if_a_code_names_the_label_and_zero_if_independent() -> None:
    present = [[1, 1], [1, 0], [0, 1], [0, 0]]
    counts = count_codes([[0, 1], [0, 1], [2, 3], [2, 3]], 4)
    assert label_information(counts, present) == pytest.approx((1.0, 0.0))


def test_label_information_needs_counts_and_targets_of_the_same_clips() -> None:
    with pytest.raises(InvalidInputError, match="same clips, got 1 and 2"):
        label_information(count_codes([[0]], 1), [[1], [0]])
    with pytest.raises(InvalidInputError, match="True/False or 1/0"):
        label_information(count_codes([[0]], 1), [[0.5]])


def test_counts_must_be_a_matrix_of_integers() -> None:
    for wrong in ([1, 2], [[0.5]], [[-1]]):
        with pytest.raises(InvalidInputError, match="Expected counts"):
            codes_in_use(wrong)


def test_explained_variance_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 2000, 4)).astype(np.float32)
    others = values + 0.3 * random.normal(size=values.shape)
    expected = r2_score(
        values.reshape(-1, 4), others.reshape(-1, 4), multioutput="variance_weighted"
    )
    assert explained_variance(values, others) == pytest.approx(expected)
    assert explained_variance(values, values) == 1.0
    mean = np.broadcast_to(values.mean(axis=(0, 1), dtype=np.float64), values.shape)
    assert explained_variance(values, mean) == pytest.approx(0, abs=1e-9)


def test_explained_variance_of_equal_values_is_undefined() -> None:
    assert explained_variance(np.full((3, 2), 0.1), np.zeros((3, 2))) is None
    with pytest.raises(InvalidInputError, match="same shape"):
        explained_variance(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(InvalidInputError, match="finite"):
        explained_variance(np.zeros((3, 2)), np.full((3, 2), np.nan))
