"""AUC and average precision: laws that hold for any scores, and where there is no number."""

from collections.abc import Callable
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audioprobe.metrics import average_precision, roc_auc
from audioprobe.types import BoolArray, FloatArray

# Scores on a coarse grid: most draws have ties, and the transforms below are exact on it.
_clip = st.tuples(st.booleans(), st.integers(-8, 8).map(lambda quarter: quarter / 4))


@st.composite
def scored_clips(draw: st.DrawFn) -> tuple[BoolArray, FloatArray]:
    """Targets and scores of one label, with positives and negatives."""
    targets, scores = map(
        np.array, zip(*draw(st.lists(_clip, min_size=2, max_size=40)), strict=True)
    )
    assume(targets.any() and not targets.all())
    return targets, scores


def auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    value = roc_auc(targets, scores)
    assert value is not None
    return value


@given(scored_clips())
def test_auc_is_the_share_of_pairs_in_which_the_positive_wins_with_ties_as_half_a_win(
    clips: tuple[BoolArray, FloatArray],
) -> None:
    targets, scores = clips
    difference = scores[targets][:, None] - scores[~targets][None, :]
    assert auc(targets, scores) == np.mean((np.sign(difference) + 1) / 2)


@pytest.mark.parametrize("transform", [np.exp, np.arctan, lambda x: x**3, lambda x: 5 * x - 100])
@given(clips=scored_clips())
def test_only_the_order_of_scores_matters(
    transform: Callable[[FloatArray], FloatArray], clips: tuple[BoolArray, FloatArray]
) -> None:
    targets, scores = clips
    assert roc_auc(targets, transform(scores)) == roc_auc(targets, scores)
    assert average_precision(targets, transform(scores)) == average_precision(targets, scores)


@given(scored_clips())
def test_turning_the_scores_around_turns_auc_around(clips: tuple[BoolArray, FloatArray]) -> None:
    targets, scores = clips
    assert auc(targets, -scores) == pytest.approx(1 - auc(targets, scores), abs=1e-15)
    assert auc(~targets, scores) == pytest.approx(1 - auc(targets, scores), abs=1e-15)


@given(scored_clips(), st.floats(-1e300, 1e300))
def test_constant_scores_are_chance_and_for_auc_exactly_so(
    clips: tuple[BoolArray, FloatArray], constant: float
) -> None:
    targets, scores = clips
    assert auc(targets, np.full_like(scores, constant)) == 0.5
    prevalence = pytest.approx(targets.mean(), abs=1e-15)
    assert average_precision(targets, np.full_like(scores, constant)) == prevalence


@given(scored_clips(), st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(
    clips: tuple[BoolArray, FloatArray], random: Random
) -> None:
    targets, scores = clips
    order = list(range(targets.size))
    random.shuffle(order)
    assert roc_auc(targets[order], scores[order]) == roc_auc(targets, scores)
    assert average_precision(targets[order], scores[order]) == average_precision(targets, scores)


@given(scored_clips())
def test_perfect_scores_give_one_and_reversed_ones_an_auc_of_zero(
    clips: tuple[BoolArray, FloatArray],
) -> None:
    targets, _ = clips
    assert auc(targets, targets.astype(float)) == 1
    assert average_precision(targets, targets.astype(float)) == 1
    assert auc(targets, -targets.astype(float)) == 0


def test_tied_clips_are_found_together() -> None:
    # At 2.0 one hit in one, at 1.0 two hits in three: 1/2 · 1 + 1/2 · 2/3.
    assert average_precision([1, 0, 1], [2.0, 1.0, 1.0]) == pytest.approx(5 / 6, abs=1e-15)
    assert average_precision([1, 1, 0], [2.0, 1.0, 1.0]) == pytest.approx(5 / 6, abs=1e-15)
    assert roc_auc([1, 0, 1], [2.0, 1.0, 1.0]) == 0.75


def test_scores_that_differ_in_the_last_bit_are_no_tie() -> None:
    assert roc_auc([0, 1], [1.0, np.nextafter(1.0, 2.0)]) == 1
    assert roc_auc([0, 1], [0.0, 5e-324]) == 1


def test_minus_zero_ties_with_zero() -> None:
    assert roc_auc([0, 1], [-0.0, 0.0]) == 0.5


def test_targets_may_be_bools_integers_or_floats() -> None:
    scores = np.array([0.1, 0.7, 0.4], dtype=np.float32)
    for kind in (np.bool_, np.int8, np.uint64, np.float32):
        assert roc_auc(np.array([0, 1, 0], dtype=kind), scores) == 1


def test_without_positives_there_is_neither_auc_nor_average_precision() -> None:
    assert roc_auc([False, False], [0.1, 0.9]) is None
    assert average_precision([False, False], [0.1, 0.9]) is None


def test_without_negatives_there_is_no_auc_but_average_precision_is_one() -> None:
    assert roc_auc([True, True], [0.1, 0.9]) is None
    assert average_precision([True, True], [0.1, 0.9]) == 1


def test_a_hundred_thousand_clips_are_counted_without_overflow() -> None:
    targets = np.arange(200_000) % 2 == 0
    assert roc_auc(targets, np.zeros(targets.size, dtype=np.float32)) == 0.5
    assert roc_auc(targets, targets.astype(np.float32)) == 1
