"""Two results of the same clips are compared on what both scored and somebody annotated."""

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.results import ClassificationResult, LabelScores, Provenance
from audioprobe.results.paired import compare

LABELS = ("crow", "rain")
NAMES = tuple(f"clip {n}" for n in range(40))
TRUTH = {name: (LABELS[n % 2],) for n, name in enumerate(NAMES)}
RNG = np.random.default_rng(0)
RIGHT = np.array([[1.0, 0.0] if n % 2 == 0 else [0.0, 1.0] for n in range(40)])


def result(scores: np.ndarray, names: tuple[str, ...] = NAMES) -> ClassificationResult:
    table = LabelScores(names, LABELS, scores)
    return ClassificationResult(table, (), (), Provenance({}, {}, 0, "", {}, ""), TRUTH, "total")


def test_what_is_better_is_found_and_by_how_much() -> None:
    noise = RNG.random((40, 2))
    found = compare(result(RIGHT), result(noise))
    assert found.macro_auc.p_value is not None
    assert found.macro_auc.p_value < 0.01
    assert found.best_label.p_value is not None
    assert found.best_label.p_value < 0.01
    for one in found.labels:
        assert one.auc.p_value is not None
        assert one.holm is not None
        assert one.benjamini_hochberg is not None
        assert one.auc.p_value <= one.benjamini_hochberg <= one.holm
        assert one.detectable is not None
    assert "rain, AUC" in found.table().to_text()


def test_a_result_does_not_differ_from_itself() -> None:
    found = compare(result(RIGHT), result(RIGHT))
    assert found.macro_auc.p_value == found.best_label.p_value == 1.0
    assert [one.auc.difference.value for one in found.labels] == [0.0, 0.0]


def test_only_what_both_scored_is_compared() -> None:
    found = compare(result(RIGHT), result(RIGHT[:30], NAMES[:30]))
    assert (len(found.clip_ids), found.n_left_out) == (30, 10)
    known = {name: TRUTH[name] for name in NAMES[:12]}
    assert len(compare(result(RIGHT), result(RIGHT), truth=known).clip_ids) == 12


def test_results_that_have_nothing_in_common_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="No annotated clip"):
        compare(result(RIGHT), result(RIGHT), truth={})
    other = ClassificationResult(
        LabelScores(NAMES, ("a", "b"), RIGHT), (), (), Provenance({}, {}, 0, "", {}, ""), TRUTH
    )
    with pytest.raises(InvalidInputError, match="other labels"):
        compare(result(RIGHT), other)
