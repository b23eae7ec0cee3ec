"""Analyses of made-up records with known effects."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.finetuning.study_records import (
    AUDIO_CONCEPTS,
    CAUSE,
    CONCEPTS,
    RUNS,
    STRATEGY_RUNS,
    STUDY,
    Measurements,
    always_yes,
    answers,
    before,
    complete,
    correct_for,
    evaluated,
    record,
    result,
    texts,
    typical,
)

from audioprobe import Concepts
from audioprobe.experiments.finetuning.analysis import (
    CONTROL,
    NOVEL,
    SUBSETS,
    RunComparison,
    StudySummary,
    ablations,
    concept_generalization,
    summarize,
)
from audioprobe.experiments.finetuning.comparison import (
    MEASURES,
    TEXT_MEASURES,
    PairedDifference,
)
from audioprobe.experiments.finetuning.config import AlignmentLevel
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.storage import IN_AUDIO, NOT_IN_AUDIO, RunResult
from audioprobe.finetuning.components import PairedQuestionTraining
from audioprobe.metrics.significance import holm

BEFORE = evaluated()
ANIMALS = frozenset(name for name in CONCEPTS if Concepts.shipped()[name].kind == "animal")
PAIRED = replace(
    STUDY,
    alignment=(
        AlignmentLevel(),
        AlignmentLevel((PairedQuestionTraining(),)),
        AlignmentLevel((PairedQuestionTraining(concept_kinds=("animal",)),), "animals"),
    ),
    design="full",
    transfer=None,
)


@pytest.fixture(scope="module")
def summary() -> StudySummary:
    return summarize(complete())


def with_text_loss(run: TrainingRun, increase: float) -> RunResult:
    return result(run, (*(m for m in BEFORE if m.measure != "text loss"), *texts(increase)))


def level_and_baseline(difference: PairedDifference) -> tuple[str, str]:
    ((factor, baseline),) = difference.baseline.items()
    return difference[factor], baseline


def test_additive_factor_effects_are_recovered() -> None:
    added = {"projector": 9.0, "projector+lora": 0.1, "all+llm": 0.4, "none": 0.0, "ewc": -0.05}
    alignment, seeds = {"none": 0.0, "contrastive": 0.02}, {0: 0.0, 1: 0.3}

    def increase(run: TrainingRun) -> float:
        levels = added[run.trainable] + added[run.regularization]
        return levels + alignment[run.alignment] + seeds[run.seed]

    runs = [with_text_loss(run, increase(run)) for run in STRATEGY_RUNS[:-1]]  # unbalanced
    effects = [e for e in summarize(record(runs)).effects if e["measure"] == "text loss"]
    assert {level_and_baseline(e): e.estimate.value for e in effects} == {
        ("all+llm", "projector+lora"): pytest.approx(0.3),
        ("ewc", "none"): pytest.approx(-0.05),
        ("contrastive", "none"): pytest.approx(0.02),
    }


def test_strategies_that_cannot_change_text_are_left_out_of_text_effects() -> None:
    def run_result(run: TrainingRun) -> RunResult:
        increase = (run.regularization == "none") + 0.01 * run.seed
        return with_text_loss(run, 0.0 if run.trainable == "projector" else increase)

    runs = [run_result(run) for run in STRATEGY_RUNS]
    effects = summarize(record(runs)).effects
    losses = {level_and_baseline(e)[0]: e for e in effects if e["measure"] == "text loss"}
    assert losses["ewc"].estimate.value == pytest.approx(-1)
    assert {level_and_baseline(e)[0] for e in effects if e["measure"] == "in-domain AUC"} >= {
        "projector+lora",
        "all+llm",
    }
    projector = [run for run in runs if run.trainable == "projector"]
    assert not [e for e in summarize(record(projector)).effects if e["measure"] == "text loss"]


def test_ablations_differ_in_one_factor() -> None:
    added = {"projector": 0.0, "projector+lora": 0.1, "all+llm": 0.4, "none": 0.0, "ewc": -0.05}
    lost = next(
        run
        for run in STRATEGY_RUNS
        if (run.trainable, run.regularization, run.seed) == ("all+llm", "none", 1)
    )
    runs = [
        result(run, failure=CAUSE)
        if run is lost
        else with_text_loss(run, added[run.trainable] + added[run.regularization] + run.seed)
        for run in STRATEGY_RUNS
    ]
    pairs = summarize(record(runs)).ablations
    losses = [d for d in pairs if d["measure"] == "text loss"]
    assert [(d.strategy, dict(d.baseline)) for d in losses] == [
        (("all+llm", "none", "none"), {"trainable": "projector"}),
        (("all+llm", "ewc", "contrastive"), {"trainable": "projector"}),
    ]
    for difference in losses:
        seeds = {0} if difference["regularization"] == "none" else {0, 1}
        assert difference.by_seed == dict.fromkeys(seeds, pytest.approx(0.4))
    assert [d.corrected for d in losses] == list(holm([d.p_value for d in losses]))


def test_ablations_leave_out_text_measures_without_language_model() -> None:
    study = replace(STUDY, design="star", transfer=None)
    runs = [result(run, BEFORE) for run in training_runs(study)]
    pairs = ablations(record(runs, study=study).table(), study)
    measures: dict[tuple[str, str], set[str]] = {}
    for difference in pairs:
        ((factor, _),) = difference.baseline.items()
        measures.setdefault((factor, difference[factor]), set()).add(difference["measure"])
    assert measures == {
        ("trainable", "projector+lora"): set(MEASURES),
        ("trainable", "all+llm"): set(MEASURES),
        ("regularization", "ewc"): set(MEASURES) - set(TEXT_MEASURES),
        ("alignment", "contrastive"): set(MEASURES) - set(TEXT_MEASURES),
    }


def test_pareto_front_has_no_dominated_and_no_failed_strategy() -> None:
    runs = [run for run in STRATEGY_RUNS if run.seed == 0]
    worst = with_text_loss(runs[-1], 9.0)
    results = [*map(typical, runs[:-2]), result(runs[-2], failure=CAUSE), worst]
    summary = summarize(record(results))
    assert summary.front
    assert not summary.front & {worst.strategy, results[-2].strategy}
    assert summary.changes[results[-2].strategy] == {}
    assert summary.failures == ((runs[-2].name, CAUSE),)
    assert (len(summary.record.runs), summary.record.n_planned) == (len(runs), len(RUNS))


def test_weight_change_correlates_with_forgetting(summary: StudySummary) -> None:
    (correlation,) = [
        c
        for c in summary.correlations
        if (c.changed, c.measure) == ("weight change: projector", "text loss")
    ]
    assert correlation.n_runs == len(STRATEGY_RUNS) - 1  # one run failed
    assert correlation.rho.value is not None
    assert correlation.rho.value > 0.5
    assert {c.changed for c in summary.correlations} == {
        "weight change: projector",
        "representation change: audio",
        "representation change: text",
    }


def test_correlation_with_a_constant_is_undefined() -> None:
    names = {m.measure for m in BEFORE}
    runs = [typical(run) for run in STRATEGY_RUNS]
    constant = [
        replace(r, measurements=(*(m for m in r.measurements if m.measure not in names), *BEFORE))
        for r in runs
    ]
    summary = summarize(record(constant, first=before(BEFORE)))
    assert summary.correlations
    assert all(c.rho.value is None for c in summary.correlations)
    assert all(
        d.p_value == 1 for differences in summary.changes.values() for d in differences.values()
    )


def test_model_before_alone_has_measures_and_nothing_else() -> None:
    summary = summarize(record([]))
    assert set(summary.before) >= set(MEASURES)
    assert summary.strategies == ()
    assert not summary.transfer
    assert not summary.ablations
    assert not summary.effects


def arm(name: str, measurements: Measurements, seed: int = 0) -> RunResult:
    (run,) = [run for run in RUNS if (run.arm, run.seed) == (name, seed)]
    return result(run, measurements)


def by_group(comparisons: Sequence[RunComparison]) -> dict[tuple[str, str, str], RunComparison]:
    return {(d["arm"], d["measure"], d["subset"]): RunComparison(d, c) for d, c in comparisons}


def test_training_in_text_is_measured_against_before_and_control() -> None:
    wrong = answers(lambda _, __, correct: -1.0 if correct else 1.0, novel=True)
    learned = correct_for("text", frozenset(CONCEPTS), novel=True)
    runs = [arm("text", learned, seed) for seed in (0, 1)]
    runs += [arm(CONTROL, wrong), result(RUNS[-1], failure=CAUSE)]
    summary = summarize(record(runs, first=before((*BEFORE, *always_yes(novel=True)))))
    groups = by_group(summary.transfer)
    text, audio = NOVEL
    for subset in (IN_AUDIO, NOT_IN_AUDIO):
        change, control = groups["text", text, subset]
        assert summary.transfer_accuracy["", subset, text].value == 0.5
        assert summary.transfer_accuracy["text", subset, text].value == 1
        assert change.by_seed == {0: 0.5, 1: 0.5}
        assert control is not None
        assert control.estimate.value == 1
        assert control.by_seed == {0: 1.0}, "the control has one run"
        unchanged, _ = groups["text", audio, subset]
        assert (unchanged.estimate.value, unchanged.p_value) == (0, 1)
        assert groups[CONTROL, text, subset][1] is None
    assert summary.failures == ((RUNS[-1].name, CAUSE),)
    assert list(groups)[:2] == [("text", text, IN_AUDIO), ("text", text, NOT_IN_AUDIO)]


def test_unanswered_questions_about_novel_classes_are_not_wrong_answers() -> None:
    silent = min(AUDIO_CONCEPTS)
    learned = tuple(
        replace(m, value=None) if m.text == f"{silent}.flac" else m
        for m in correct_for("audio", AUDIO_CONCEPTS, novel=True)
    )
    first = before((*BEFORE, *always_yes(novel=True)))
    summary = summarize(record([arm("audio", learned)], first=first))
    accuracy = summary.transfer_accuracy["audio", IN_AUDIO, NOVEL[1]]
    assert (accuracy.value, accuracy.n) == (1, 2 * (len(AUDIO_CONCEPTS) - 1))
    groups = by_group(summary.transfer)
    assert groups["audio", NOVEL[1], NOT_IN_AUDIO][0].estimate.value == 0
    assert groups["audio", NOVEL[0], IN_AUDIO][0].estimate.value == 0


def generalization(
    by_alignment: dict[str, Measurements], *, without: str = ""
) -> dict[tuple[str, str, str], RunComparison]:
    """Compare one trainable level, by alignment, measure and subset."""
    runs = [
        result(run, by_alignment.get(run.alignment, always_yes()))
        for run in training_runs(PAIRED)
        if (run.trainable, run.regularization) == ("projector+lora", "none")
        if run.alignment != without
    ]
    table = record(runs, first=before(always_yes()), study=PAIRED).table()
    comparisons = concept_generalization(table, PAIRED, AUDIO_CONCEPTS)
    return {
        (d["alignment"], d["measure"], d["subset"]): RunComparison(d, c) for d, c in comparisons
    }


def test_each_subset_of_concepts_is_compared_separately() -> None:
    groups = generalization({"animals": correct_for("audio", ANIMALS & AUDIO_CONCEPTS)})
    for (alignment, measure, subset), (change, control) in groups.items():
        learned = (alignment, measure, subset) == ("animals", "audio accuracy", SUBSETS[0])
        assert control is not None
        assert change.estimate.value == control.estimate.value == (0.5 if learned else 0.0)
        assert control.by_seed == dict.fromkeys((0, 1), 0.5 if learned else 0.0)
    subsets = {alignment: [s for a, _, s in groups if a == alignment] for alignment, *_ in groups}
    assert subsets == {"paired": [*SUBSETS[:2]] * 2, "animals": [*SUBSETS] * 2}


def test_generalization_is_measured_against_the_strategy_without_alignment() -> None:
    known = correct_for("audio", frozenset(CONCEPTS))
    groups = generalization({"paired": known, "none": known})
    change, control = groups["paired", "audio accuracy", SUBSETS[0]]
    assert change.estimate.value == 0.5
    assert control is not None
    assert control.estimate.value == 0
    without = generalization({}, without="none")
    assert {control for _, control in without.values()} == {None}
    tested = [change for change, _ in without.values()]
    assert [d.corrected for d in tested] == list(holm([d.p_value for d in tested]))


def test_generalization_is_significant_only_after_correction() -> None:
    groups = generalization({"paired": correct_for("audio", frozenset(CONCEPTS))})
    tested = [control for _, control in groups.values() if control is not None]
    assert [d.corrected for d in tested] == list(holm([d.p_value for d in tested]))
    paired = [
        control
        for (alignment, measure, _), (_, control) in groups.items()
        if (alignment, measure) == ("paired", "audio accuracy") and control
    ]
    assert [d.direction for d in paired] == [1, 1]
    assert [d.significant for d in paired] == [0, 0]  # no test can be, with four concepts each
    assert all(np.isclose(d.p_value or 0, 2 * 0.5**4) for d in paired)
