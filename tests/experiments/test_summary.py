"""Cells are scored with intervals over groups, and compared clip by clip with the first rung."""

from collections.abc import Sequence

import numpy as np
import pytest

from audioprobe.experiments.classification import Cell
from audioprobe.experiments.summary import scored, summary
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.results import ClassificationResult, Failure, LabelScores, Provenance

LABELS = ("crow", "rain")
NAMES = tuple(f"clip {n}" for n in range(20))
TRUTH = {name: (LABELS[n % 2],) for n, name in enumerate(NAMES)}
RIGHT = np.array([[1.0, 0.0] if n % 2 == 0 else [0.0, 1.0] for n in range(20)])


def cell(rung: str, scores: np.ndarray, names: Sequence[str] = NAMES, **groups: str) -> Cell:
    failures = tuple(Failure(n, "read", "AudioReadError", "?") for n in NAMES if n not in names)
    table = LabelScores(tuple(names), LABELS, scores)
    result = ClassificationResult(
        table, (), failures, Provenance({}, {}, 0, "", {}, ""), TRUTH, "total"
    )
    return Cell("field", rung, None, result, groups or dict(zip(NAMES, "ABCDE" * 4, strict=True)))


def test_a_perfect_rung_gains_what_the_first_one_lacked() -> None:
    constant = np.zeros((20, 2))
    first, second = scored(
        [cell("caption", constant), cell("labels", RIGHT)], Bootstrap(n_resamples=200)
    )
    assert (first.auc.value, first.gain) == (0.5, None)
    assert (second.auc.value, second.auc.low, second.auc.n) == (1.0, 1.0, 2)
    assert second.gain is not None
    assert (second.gain.value, second.gain.low, second.gain.high) == (0.5, 0.5, 0.5)
    assert "5 groups" in second.gain.method
    assert "labels" in summary((first, second)).to_text()


def test_only_clips_with_both_scores_are_compared() -> None:
    noise = np.random.default_rng(0).random((12, 2))
    first, second = scored(
        [cell("caption", RIGHT), cell("labels", noise, NAMES[:12])], Bootstrap(n_resamples=50)
    )
    assert second.gain is not None
    assert (second.gain.n, second.n_clips, second.n_failed) == (12, 12, 8)
    assert second.auc.value is not None
    assert second.gain.value == pytest.approx(second.auc.value - 1.0)
    assert first.n_failed == 0


def test_where_nothing_was_scored_nothing_is_defined() -> None:
    first, second = scored(
        [cell("caption", RIGHT), cell("labels", np.zeros((0, 2)), ())], Bootstrap(n_resamples=50)
    )
    assert first.auc.value == 1.0
    assert (second.auc.value, second.n_failed) == (None, 20)
    assert second.gain is not None
    assert second.gain.value is None
