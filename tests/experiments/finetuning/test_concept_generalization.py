"""What pairs do is told of concepts that they were about, of others near them, and of the rest."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.experiments.finetuning.run_results import (
    CAUSE,
    CONCEPTS,
    HALVES,
    STUDY,
    answers,
    before,
    named,
)

from audioprobe import Concepts
from audioprobe.experiments.finetuning.concept_generalization import (
    GROUPS,
    ConceptGeneralization,
    held_out,
)
from audioprobe.experiments.finetuning.conclusions import conclusions
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.levels import AlignmentLevel
from audioprobe.experiments.finetuning.run_result import ModelEvaluation, QuestionResult, RunResult
from audioprobe.experiments.finetuning.study_results import synthesised
from audioprobe.experiments.finetuning.tables import heldout_table
from audioprobe.finetuning.strategy import PairedQuestionTraining
from audioprobe.metrics.multiple_testing import holm

ANIMALS = frozenset(name for name in CONCEPTS if Concepts.shipped()[name].kind == "animal")
WHOLE = AlignmentLevel((PairedQuestionTraining(),))
SOME = AlignmentLevel((PairedQuestionTraining(concept_kinds=("animal",)),), "some")
PAIRED = replace(STUDY, alignment=(AlignmentLevel(), WHOLE, SOME), design="full", transfer=None)
PROBE = answers(0, 0.0, 0.0)


def guessing(probe: Sequence[QuestionResult] = PROBE) -> list[QuestionResult]:
    """Says yes to all: half of it is right."""
    return [replace(a, yes=1.0) for a in probe]


def knowing(condition: str, concepts: frozenset[str]) -> list[QuestionResult]:
    """Right of these, in this way; elsewhere it says yes to all."""
    knows = [a.condition == condition and a.concept in concepts for a in PROBE]
    return [
        replace(a, yes=1.0 if a.holds or not known else -1.0)
        for a, known in zip(PROBE, knows, strict=True)
    ]


def trained(cell: TrainingRun, probe: Sequence[QuestionResult]) -> RunResult:
    return replace(named(cell), measured=ModelEvaluation(probe=tuple(probe)))


def told(
    probes: dict[str, Sequence[QuestionResult]], *, without: str = ""
) -> list[ConceptGeneralization]:
    """Of one level of what trains: probes by what ties; a tie that is left out was not trained."""
    trainings = [
        trained(cell, probes.get(cell.alignment, guessing()))
        for cell in training_runs(PAIRED)
        if cell.trained == "projector+lora" and cell.holding == "none"
        if cell.alignment != without
    ]
    return list(held_out(PAIRED, trainings, guessing(), HALVES))


def test_each_group_is_told_by_itself() -> None:
    assert {"crow", "dog", "owl"} == ANIMALS
    found = told({"some": knowing("audio", ANIMALS & HALVES)})
    by = {(one.asked, one.concepts): one for one in found if one.alignment == "some"}
    assert {key[1]: by[key].n_concepts for key in by} == dict(zip(GROUPS, (2, 1, 5), strict=True))
    for (asked, concepts), one in by.items():
        rises = 0.5 if (asked, concepts) == ("sound", "in pairs") else 0.0
        assert one.change.estimate.value == rises
        assert one.beyond is not None
        assert one.beyond.estimate.value == rises
        assert one.beyond.by_seed == (rises, rises)


def test_pairs_about_everything_leave_no_other_families() -> None:
    found = [one for one in told({}) if one.alignment == "paired"]
    sizes = {one.concepts: one.n_concepts for one in found}
    assert sizes == {
        "in pairs": len(HALVES),
        "others of these families": len(CONCEPTS) - len(HALVES),
    }


def test_beyond_is_against_the_strategy_without_a_tie() -> None:
    known = knowing("audio", frozenset(CONCEPTS))
    for one in told({"paired": known, "none": known}):
        if one.alignment == "paired":
            assert one.beyond is not None
            assert one.beyond.estimate.value == 0
            assert (one.change.estimate.value or 0) == (0.5 if one.asked == "sound" else 0)
    assert all(one.beyond is None and one.told == one.change for one in told({}, without="none"))


def test_a_direction_needs_the_corrected_test() -> None:
    found = told({"paired": knowing("audio", frozenset(CONCEPTS))})
    assert tuple(one.corrected for one in found) == holm([one.told.p_value for one in found])
    few = [one for one in found if one.asked == "sound" and one.alignment == "paired"]
    assert all(one.told.direction == 1 for one in few)
    assert [one.direction for one in few] == [0, 0]  # of four concepts each: no test can be sure


@pytest.mark.parametrize("failing", [0, 1])
def test_a_training_that_failed_has_no_part(failing: int) -> None:
    cells = [c for c in training_runs(PAIRED) if c.configuration == "projector--none--paired"]
    trainings = [trained(cell, guessing()) for cell in cells]
    trainings[failing] = replace(named(cells[failing]), failure=CAUSE)
    (sound, *_) = [
        one for one in held_out(PAIRED, trainings, guessing(), HALVES) if one.asked == "sound"
    ]
    assert sound.change.by_seed == (0.0,)
    assert not held_out(PAIRED, [], guessing(), HALVES)


def test_table_and_verdict_say_what_was_found() -> None:
    start = before()
    assert start.measured is not None
    wrong = tuple(replace(a, yes=-1.0 if a.holds else 1.0) for a in start.measured.probe)
    first = replace(start, measured=replace(start.measured, probe=wrong))
    cells = [c for c in training_runs(PAIRED) if c.trained == "projector" and c.holding == "none"]
    trainings = [
        replace(named(c), measured=replace(start.measured, probe=tuple(guessing(wrong))))
        for c in cells
    ]
    found = synthesised(PAIRED, [first, *trainings], HALVES, len(cells))
    table = heldout_table(found)
    assert [row[2:5] for row in table.rows] == [
        (one.alignment, one.asked, one.concepts) for one in found.heldout
    ]
    (aligned,) = [v for v in conclusions(found) if v.question.startswith("Which tie")]
    (some,) = [point for point, _ in aligned.points if "with some" in point]
    assert some == (
        "Accuracy in sound with some (projector, none) against that without a tie: not told apart "
        "for concepts that pairs were about, not told apart for others of their families, not told "
        "apart for other families."
    )
