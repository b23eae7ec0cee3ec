"""Cells are scored with intervals over groups, and compared clip by clip with the first rung."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from audioprobe.experiments.classification.analysis import scored
from audioprobe.experiments.classification.config import (
    ClassificationConfig,
    ComponentSpec,
    EvaluationSet,
    PromptSpec,
)
from audioprobe.experiments.classification.familiarity import drops
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.experiments.classification.tables import (
    drops_table,
    labels_table,
    notes,
    p_text,
    summary,
)
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.results import ClassificationResult, Failure, LabelScores, Provenance

LABELS = ("crow", "rain")
NAMES = tuple(f"clip {n}" for n in range(20))
TRUTH = {name: (LABELS[n % 2],) for n, name in enumerate(NAMES)}
RIGHT = np.array([[1.0, 0.0] if n % 2 == 0 else [0.0, 1.0] for n in range(20)])
NOTHING = np.zeros((20, 2))


def config(*sounds: EvaluationSet) -> ClassificationConfig:
    return ClassificationConfig(
        "classification",
        ComponentSpec("scripted"),
        sounds or (EvaluationSet("field", ComponentSpec("recordings"), "all"),),
        (PromptSpec("caption"), PromptSpec("labels")),
        bootstrap=Bootstrap(n_resamples=200),
    )


def cell(
    rung: str,
    scores: np.ndarray,
    names: Sequence[str] = NAMES,
    *,
    sounds: str = "field",
    familiar: bool | None = None,
    truth: Mapping[str, tuple[str, ...]] = TRUTH,
) -> ClassificationCell:
    failures = tuple(Failure(n, "read", "AudioReadError", "?") for n in NAMES if n not in names)
    table = LabelScores(tuple(names), LABELS, scores)
    result = ClassificationResult(
        label_scores=table,
        captions=(),
        failures=failures,
        provenance=Provenance(components={}, options={}, seed=0, data="", versions={}, created=""),
        truth=truth,
        measure="total",
    )
    return ClassificationCell(
        sounds, rung, familiar, result, dict(zip(NAMES, "ABCDE" * 4, strict=True))
    )


def test_a_perfect_rung_gains_what_the_first_one_lacked() -> None:
    first, second = scored([cell("caption", NOTHING), cell("labels", RIGHT)], config())
    assert (first.auc.value, first.gain) == (0.5, None)
    assert (second.auc.value, second.auc.low, second.auc.n) == (1.0, 1.0, 2)
    assert second.gain is not None
    found = second.gain.difference
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert "5 groups" in found.method
    assert second.gain.adjusted is not None
    assert second.gain.p_value is not None
    assert second.gain.adjusted >= second.gain.p_value
    assert [(entry.label, entry.n_positive, entry.auc.value) for entry in second.labels] == [
        ("crow", 10, 1.0), ("rain", 10, 1.0),
    ]  # fmt: skip
    assert "labels" in summary((first, second)).to_text(200)
    assert "rain" in labels_table(second).to_text()


def test_only_clips_with_both_scores_are_compared() -> None:
    noise = np.random.default_rng(0).random((12, 2))
    first, second = scored([cell("caption", RIGHT), cell("labels", noise, NAMES[:12])], config())
    assert second.gain is not None
    assert (second.gain.difference.n, second.n_clips, second.n_failed) == (12, 12, 8)
    assert second.auc.value is not None
    assert second.gain.difference.value == pytest.approx(second.auc.value - 1.0)
    assert first.n_failed == 0


def test_where_nothing_was_scored_nothing_is_defined() -> None:
    cells = [cell("caption", RIGHT), cell("labels", np.zeros((0, 2)), ())]
    first, second = scored(cells, config())
    assert first.auc.value == 1.0
    assert (second.auc.value, second.n_failed) == (None, 20)
    assert second.gain is not None
    assert (second.gain.difference.value, second.gain.p_value) == (None, None)


def test_what_nobody_annotated_is_counted_and_takes_no_part() -> None:
    known = {name: TRUTH[name] for name in NAMES[:14]}
    (score,) = scored([cell("caption", RIGHT, truth=known)], config())
    assert (score.n_clips, score.n_unannotated, score.auc.value) == (14, 6, 1.0)
    assert sum(entry.n_positive for entry in score.labels) == 14


def test_thresholds_come_from_the_named_sounds() -> None:
    sounds = (
        EvaluationSet("valid", ComponentSpec("recordings"), "all"),
        EvaluationSet("field", ComponentSpec("recordings"), "all", thresholds_from="valid"),
    )
    shifted = RIGHT + 5  # tuned there, nothing of `field` reaches a threshold
    cells = [cell("caption", shifted, sounds="valid"), cell("caption", RIGHT)]
    valid, field = scored(cells, config(*sounds))
    assert (valid.f1.value, valid.threshold_policy) == (
        1.0,
        "oracle (best on the scored data itself)",
    )
    assert (field.f1.value, field.threshold_policy) == (0.0, "tuned on valid")
    (alone,) = scored(cells[1:], config())
    assert alone.f1.value == 1.0


def test_the_drop_between_familiar_and_unfamiliar_sound() -> None:
    cells = [
        cell("caption", RIGHT, sounds="known", familiar=True),
        cell("caption", NOTHING, sounds="new", familiar=False),
        cell("caption", NOTHING, sounds="who knows"),
    ]
    (drop,) = drops(cells, Bootstrap(n_resamples=100))
    assert (drop.familiar, drop.unfamiliar, drop.difference.value) == ("known", "new", -0.5)
    assert drop.difference.high == -0.5
    assert "-0.500" in drops_table([drop]).to_text()


def test_groups_with_a_rare_label_are_drawn_apart() -> None:
    rare = {name: (("rain",) if n % 5 in (0, 1) else ("crow",)) for n, name in enumerate(NAMES)}
    one = LabelledScores(cell("caption", RIGHT, truth=rare))
    by_group = dict(zip(one.groups, one.strata, strict=True))
    assert by_group["group A"] == by_group["group B"] != by_group["group C"]
    (score,) = scored([cell("caption", RIGHT, truth=rare)], config())
    assert "undefined" not in score.auc.method


def test_with_a_hierarchy_the_best_label_is_so_many_steps_off() -> None:
    tree = Hierarchy({"sound": (), "crow": ("sound",), "rain": ("sound",)})
    always_crow = np.tile([1.0, 0.0], (20, 1))
    (score,) = scored([replace(cell("caption", always_crow), hierarchy=tree)], config())
    assert score.steps is not None
    assert score.steps.value == 1.0  # right half of the time, and two steps off otherwise
    # Both labels are said everywhere: three with the parent, and two of them are there.
    assert score.credited_f1 is not None
    assert score.credited_f1.value == pytest.approx(2 * 2 / (2 + 3))
    assert "parents credited" in summary([score]).header[8]
    assert "steps" in summary([score]).header[9]
    (plain,) = scored([cell("caption", RIGHT)], config())
    assert plain.steps is None
    assert plain.credited_f1 is None


def test_p_values_are_never_0() -> None:
    assert [p_text(p) for p in (None, 0.0, 0.0312)] == ["–", "< .001", "0.031"]


def test_a_test_of_few_groups_tells_what_it_cannot_show() -> None:
    """Five groups give no p-value below .0625: no difference can be found, however large."""
    scores = scored([cell("caption", NOTHING), cell("labels", RIGHT)], config())
    gain = scores[1].gain
    assert gain is not None
    assert (gain.p_value, gain.smallest_p_value, gain.smallest_adjusted) == (0.0625,) * 3
    assert (gain.n_groups, gain.unit, gain.detectable) == (5, "groups", None)
    assert len(notes(scores)) == 1
    assert "5 groups" in notes(scores)[0]
    assert notes(scores[:1]) == ()


def test_a_label_of_a_single_group_has_no_interval() -> None:
    rare = {name: (("rain",) if n == 0 else ("crow",)) for n, name in enumerate(NAMES)}
    (score,) = scored([cell("caption", RIGHT, truth=rare)], config())
    rain = score.labels[1]
    assert (rain.n_positive, rain.auc.low, rain.average_precision.low) == (1, None, None)
    assert rain.auc.value is not None
