"""AUC and average precision: properties for any scores, ties, and undefined cases."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audioprobe.metrics import average_precision, roc_auc
from audioprobe.types import BoolArray, FloatArray

# Scores on a coarse grid: most draws have ties, and the transforms below are exact on it.
_clip = st.tuples(st.booleans(), st.integers(-8, 8).map(lambda quarter: quarter / 4))
few_examples = settings(deadline=None, max_examples=25)


@st.composite
def scored_clips(draw: st.DrawFn) -> tuple[BoolArray, FloatArray]:
    """Draw targets and scores of one label, with positives and negatives."""
    targets, scores = map(
        np.array, zip(*draw(st.lists(_clip, min_size=2, max_size=40)), strict=True)
    )
    assume(targets.any() and not targets.all())
    return targets, scores


def auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    value = roc_auc(targets, scores)
    assert value is not None
    return value


@few_examples
@given(scored_clips())
def test_auc_is_the_share_of_pairs_ranked_correctly_with_half_for_ties(
    clips: tuple[BoolArray, FloatArray],
) -> None:
    targets, scores = clips
    difference = scores[targets][:, None] - scores[~targets][None, :]
    expected = np.mean((np.sign(difference) + 1) / 2)
    assert auc(targets, scores) == pytest.approx(expected, abs=1e-12)
    assert auc(targets, -scores) == pytest.approx(1 - expected, abs=1e-12)
    assert auc(~targets, scores) == pytest.approx(1 - expected, abs=1e-12)


@pytest.mark.parametrize("transform", [np.exp, lambda x: 5 * x - 100])
@few_examples
@given(clips=scored_clips())
def test_only_the_order_of_scores_matters(
    transform: Callable[[FloatArray], FloatArray], clips: tuple[BoolArray, FloatArray]
) -> None:
    targets, scores = clips
    assert roc_auc(targets, transform(scores)) == roc_auc(targets, scores)
    assert average_precision(targets, transform(scores)) == average_precision(targets, scores)
    reversed_clips = targets[::-1], scores[::-1]
    assert roc_auc(*reversed_clips) == roc_auc(targets, scores)
    assert average_precision(*reversed_clips) == average_precision(targets, scores)


@few_examples
@given(scored_clips(), st.floats(-1e300, 1e300))
def test_constant_scores_give_chance_level(
    clips: tuple[BoolArray, FloatArray], constant: float
) -> None:
    targets, scores = clips
    assert auc(targets, np.full_like(scores, constant)) == 0.5
    prevalence = pytest.approx(targets.mean(), abs=1e-15)
    assert average_precision(targets, np.full_like(scores, constant)) == prevalence


def test_perfect_and_reversed_scores_have_extreme_values() -> None:
    targets = np.array([0, 1, 1, 0, 1])
    assert auc(targets, targets) == average_precision(targets, targets) == 1
    assert auc(targets, -targets) == 0


def test_tied_clips_have_one_threshold() -> None:
    # Precision is 1/1 at score 2.0 and 2/3 at 1.0, so the AP is 1/2 · 1 + 1/2 · 2/3.
    assert average_precision([1, 0, 1], [2.0, 1.0, 1.0]) == pytest.approx(5 / 6, abs=1e-15)
    assert average_precision([1, 1, 0], [2.0, 1.0, 1.0]) == pytest.approx(5 / 6, abs=1e-15)
    assert roc_auc([1, 0, 1], [2.0, 1.0, 1.0]) == 0.75
    assert roc_auc([0, 1], [-0.0, 0.0]) == 0.5


def test_scores_that_differ_in_the_last_bit_are_not_tied() -> None:
    assert roc_auc([0, 1], [1.0, np.nextafter(1.0, 2.0)]) == 1
    assert roc_auc([0, 1], [0.0, 5e-324]) == 1


def test_targets_may_be_bools_integers_or_floats() -> None:
    scores = np.array([0.1, 0.7, 0.4], dtype=np.float32)
    for kind in (np.bool_, np.int8, np.uint64, np.float32):
        assert roc_auc(np.array([0, 1, 0], dtype=kind), scores) == 1


def test_metrics_are_undefined_without_positives_and_auc_without_negatives() -> None:
    assert roc_auc([False, False], [0.1, 0.9]) is None
    assert average_precision([False, False], [0.1, 0.9]) is None
    assert roc_auc([True, True], [0.1, 0.9]) is None
    assert average_precision([True, True], [0.1, 0.9]) == 1


def test_many_clips_do_not_overflow() -> None:
    targets = np.arange(200_000) % 2 == 0
    assert roc_auc(targets, np.zeros(targets.size, dtype=np.float32)) == 0.5
    assert roc_auc(targets, targets.astype(np.float32)) == 1
