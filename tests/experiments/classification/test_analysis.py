"""Cells are scored with intervals over groups and compared with the first prompt level."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from audioprobe.experiments.classification.across_sets import familiarity_drops
from audioprobe.experiments.classification.analysis import score_cells
from audioprobe.experiments.classification.config import (
    ClassificationConfig,
    EvaluationSet,
    PromptSpec,
)
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.experiments.classification.tables import (
    drops_table,
    headline,
    labels_table,
    notes,
    p_text,
    summary,
)
from audioprobe.experiments.components import ComponentSpec
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.results import ClassificationResult, Failure, LabelScores, Provenance

LABELS = ("crow", "rain")
NAMES = tuple(f"clip {n}" for n in range(20))
TRUTH = {name: (LABELS[n % 2],) for n, name in enumerate(NAMES)}
RIGHT = np.array([[1.0, 0.0] if n % 2 == 0 else [0.0, 1.0] for n in range(20)])
NOTHING = np.zeros((20, 2))


def evaluation_set(name: str, thresholds_from: str = "") -> EvaluationSet:
    return EvaluationSet(
        name=name,
        dataset=ComponentSpec("recordings"),
        split="all",
        thresholds_from=thresholds_from,
    )


def config(*sets: EvaluationSet) -> ClassificationConfig:
    return ClassificationConfig(
        kind="classification",
        model=ComponentSpec("scripted"),
        evaluation_sets=sets or (evaluation_set("field"),),
        prompt_levels=(PromptSpec(prompt="caption"), PromptSpec(prompt="labels")),
        bootstrap=Bootstrap(n_resamples=200),
    )


def cell(
    prompt_level: str,
    scores: np.ndarray,
    names: Sequence[str] = NAMES,
    *,
    evaluation_set: str = "field",
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
        evaluation_set=evaluation_set,
        prompt_level=prompt_level,
        familiar=familiar,
        result=result,
        groups=dict(zip(NAMES, "ABCDE" * 4, strict=True)),
    )


def test_gain_of_a_perfect_prompt_level_over_chance_is_one_half() -> None:
    first, second = score_cells([cell("caption", NOTHING), cell("labels", RIGHT)], config())
    assert (first.auc.value, first.gain) == (0.5, None)
    assert (second.auc.value, second.auc.low, second.auc.n) == (1.0, 1.0, 2)
    assert second.gain is not None
    difference = second.gain.difference
    assert (difference.value, difference.low, difference.high) == (0.5, 0.5, 0.5)
    assert "5 groups" in difference.method
    assert second.gain.adjusted is not None
    assert second.gain.p_value is not None
    assert second.gain.adjusted >= second.gain.p_value
    assert [(entry.label, entry.n_positive, entry.auc.value) for entry in second.labels] == [
        ("crow", 10, 1.0), ("rain", 10, 1.0),
    ]  # fmt: skip
    assert "labels" in summary((first, second)).to_text(200)
    assert "rain" in labels_table(second).to_text()


def test_comparison_uses_only_clips_scored_in_both_cells() -> None:
    noise = np.random.default_rng(0).random((12, 2))
    first, second = score_cells(
        [cell("caption", RIGHT), cell("labels", noise, NAMES[:12])], config()
    )
    assert second.gain is not None
    assert (second.gain.difference.n, second.n_clips, second.n_failed) == (12, 12, 8)
    assert second.auc.value is not None
    assert second.gain.difference.value == pytest.approx(second.auc.value - 1.0)
    assert (first.n_failed, first.strict_auc) == (0, None)
    assert second.strict_auc is not None
    assert second.strict_auc.value == pytest.approx(second.auc.value * 36 / 100)
    table = summary((first, second))
    column = table.header.index("AUC, failed as wrong")
    assert [row[column] for row in table.rows] == [str(first.auc), str(second.strict_auc)]
    assert table.rows[1][table.header.index("failed")] == "8 (40 %)"
    assert "AUC, failed as wrong" in headline((first, second)).header
    assert "AUC, failed as wrong" not in summary((first,)).header


def test_metrics_of_a_cell_without_scores_are_undefined() -> None:
    cells = [cell("caption", RIGHT), cell("labels", np.zeros((0, 2)), ())]
    first, second = score_cells(cells, config())
    assert first.auc.value == 1.0
    assert (second.auc.value, second.n_failed) == (None, 20)
    assert second.gain is not None
    assert (second.gain.difference.value, second.gain.p_value) == (None, None)


def test_clips_without_reference_labels_are_counted_and_excluded() -> None:
    known = {name: TRUTH[name] for name in NAMES[:14]}
    (score,) = score_cells([cell("caption", RIGHT, truth=known)], config())
    assert (score.n_clips, score.n_unannotated, score.auc.value) == (14, 6, 1.0)
    assert sum(entry.n_positive for entry in score.labels) == 14


def test_thresholds_are_tuned_on_the_named_evaluation_set() -> None:
    sets = (evaluation_set("valid"), evaluation_set("field", thresholds_from="valid"))
    shifted = RIGHT + 5  # no score of `field` reaches the thresholds tuned on these
    cells = [cell("caption", shifted, evaluation_set="valid"), cell("caption", RIGHT)]
    valid, field = score_cells(cells, config(*sets))
    assert (valid.f1.value, valid.threshold_policy) == (
        1.0,
        "oracle (best on the scored data itself)",
    )
    assert (field.f1.value, field.threshold_policy) == (0.0, "tuned on valid")
    (alone,) = score_cells(cells[1:], config())
    assert alone.f1.value == 1.0


def test_familiarity_drop_is_unfamiliar_minus_familiar() -> None:
    cells = [
        cell("caption", RIGHT, evaluation_set="known", familiar=True),
        cell("caption", NOTHING, evaluation_set="new", familiar=False),
        cell("caption", NOTHING, evaluation_set="unknown"),
    ]
    (drop,) = familiarity_drops(cells, Bootstrap(n_resamples=100))
    assert (drop.familiar, drop.unfamiliar, drop.difference.value) == ("known", "new", -0.5)
    assert drop.difference.high == -0.5
    assert "-0.500" in drops_table([drop]).to_text()


def test_groups_with_a_rare_label_form_a_stratum() -> None:
    rare = {name: (("rain",) if n % 5 in (0, 1) else ("crow",)) for n, name in enumerate(NAMES)}
    data = LabelledScores(cell("caption", RIGHT, truth=rare))
    by_group = dict(zip(data.groups, data.strata, strict=True))
    assert by_group["group A"] == by_group["group B"] != by_group["group C"]
    (score,) = score_cells([cell("caption", RIGHT, truth=rare)], config())
    assert "undefined" not in score.auc.method


def test_hierarchical_metrics_of_a_constant_answer() -> None:
    tree = Hierarchy({"sound": (), "crow": ("sound",), "rain": ("sound",)})
    always_crow = np.tile([1.0, 0.0], (20, 1))
    (score,) = score_cells([replace(cell("caption", always_crow), hierarchy=tree)], config())
    assert score.hierarchy_distance is not None
    assert score.hierarchy_distance.value == 1.0  # 0 for half of the clips, 2 for the others
    # Both labels are predicted everywhere: with the parent three, two of which are correct.
    assert score.hierarchical_f1 is not None
    assert score.hierarchical_f1.value == pytest.approx(2 * 2 / (2 + 3))
    assert "hierarchical F1" in summary([score]).header[9]
    assert "steps" in summary([score]).header[10]
    (plain,) = score_cells([cell("caption", RIGHT)], config())
    assert plain.hierarchy_distance is None
    assert plain.hierarchical_f1 is None


def test_small_p_values_are_shown_as_below_a_bound() -> None:
    assert [p_text(p) for p in (None, 0.0, 0.0312)] == ["–", "< .001", "0.031"]


def test_note_states_that_few_groups_cannot_be_significant() -> None:
    """Five groups give no p-value below .0625."""
    scores = score_cells([cell("caption", NOTHING), cell("labels", RIGHT)], config())
    gain = scores[1].gain
    assert gain is not None
    assert (gain.p_value, gain.smallest_p_value, gain.smallest_adjusted) == (0.0625,) * 3
    assert (gain.n_groups, gain.unit, gain.detectable) == (5, "groups", None)
    assert len(notes(scores)) == 1
    assert "5 groups" in notes(scores)[0]
    assert notes(scores[:1]) == ()


def test_label_in_a_single_group_has_no_interval() -> None:
    rare = {name: (("rain",) if n == 0 else ("crow",)) for n, name in enumerate(NAMES)}
    (score,) = score_cells([cell("caption", RIGHT, truth=rare)], config())
    rain = score.labels[1]
    assert (rain.n_positive, rain.auc.low, rain.average_precision.low) == (1, None, None)
    assert rain.auc.value is not None
