"""Verdicts say what intervals and corrected tests allow, and no more."""

from dataclasses import replace

import pytest
from tests.experiments.finetuning.run_results import before, everything, found

from audioprobe.experiments.finetuning.ablations import Ablation
from audioprobe.experiments.finetuning.conclusions import Conclusion, conclusions
from audioprobe.experiments.finetuning.cross_modal_transfer import TransferArm, TransferResult
from audioprobe.experiments.finetuning.factor_effects import FactorEffect
from audioprobe.experiments.finetuning.paired_difference import MEASURES, Measure, PairedDifference
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.metrics.effects import Effect
from audioprobe.types import Estimate

UP, DOWN, NONE = (
    Estimate(value=value, n=10, low=value - 0.1, high=value + 0.1) for value in (0.3, -0.3, 0.05)
)


@pytest.fixture(scope="module")
def whole() -> StudySummary:
    return found(everything())


def about(synthesis: StudySummary, start: str) -> Conclusion:
    (verdict,) = [v for v in conclusions(synthesis) if v.question.startswith(start)]
    return verdict


def test_nothing_is_said_before_anything_was_trained() -> None:
    told = conclusions(found([before()]))
    assert len(told) == 5
    assert all("No training has ended" in v.answer or "Only one tie" in v.answer for v in told)


@pytest.mark.parametrize(("estimate", "better", "worse"), [(UP, 6, 0), (DOWN, 0, 6), (NONE, 0, 0)])
def test_a_gain_is_one_where_its_whole_interval_is(
    whole: StudySummary, estimate: Estimate, better: int, worse: int
) -> None:
    changed = replace(
        whole,
        tried=tuple(
            replace(t, changes={**t.changes, "inside AUC": PairedDifference(estimate, 0.5, ())})
            for t in whole.tried
        ),
    )
    answer = about(changed, "What is gained").answer
    assert f"{better} of 6 strategies name better than before, and {worse} worse" in answer


def effects(estimate: Estimate, corrected: float | None) -> tuple[FactorEffect, ...]:
    one = Effect("alignment", "contrastive", estimate, 4, corrected)
    other = Effect("alignment", "embedding", NONE, 4, 1.0)
    return FactorEffect(one, "none", corrected), FactorEffect(other, "none", 1.0)


APART = "on average, {} by contrastive instead of none; not told apart embedding."
NO_MORE = "nothing is told apart, of contrastive, embedding."


@pytest.mark.parametrize(
    ("estimate", "corrected", "better", "told"),
    [
        (UP, 0.01, "contrastive", APART.format("raised")),
        (DOWN, 0.01, "none of those tried", APART.format("lowered")),
        (UP, 0.2, "none of those tried", NO_MORE),
        (UP, None, "none of those tried", NO_MORE),
    ],
)
def test_a_tie_repairs_only_by_a_corrected_test(
    whole: StudySummary, estimate: Estimate, corrected: float | None, better: str, told: str
) -> None:
    some: dict[Measure, tuple[FactorEffect, ...]] = {
        "accuracy in sound": effects(estimate, corrected),
        "inside AUC": effects(UP, 0.01),
    }
    verdict = about(replace(whole, effects=some, matched=()), "Which tie")
    assert verdict.answer == (
        f"Answers about sound are clearly better with {better}, and naming with contrastive."
    )
    assert tuple(point for point, _ in verdict.points) == (
        f"Accuracy in sound, by what ties: {told}",
        f"Inside AUC, by what ties: {APART.format('raised')}",
    )


def pair(level: str, change: PairedDifference, corrected: float | None) -> Ablation:
    return Ablation(
        "holding",
        level,
        "none",
        ("projector+lora", "none"),
        (0, 1),
        dict.fromkeys(MEASURES, change),
        dict.fromkeys(MEASURES, corrected),
    )


def test_a_pair_tells_by_test_interval_and_every_seed(whole: StudySummary) -> None:
    told = (
        pair("ewc", PairedDifference(DOWN, 0.001, (-0.2, -0.4)), 0.01),
        pair("l2-sp", PairedDifference(DOWN, 0.001, (-0.8, 0.2)), 0.01),  # seeds do not agree
        pair("wise-ft", PairedDifference(DOWN, 0.1, (-0.2, -0.4)), 0.3),  # no corrected test
        pair("rehearsal", PairedDifference(UP, 0.001, (0.2, 0.4)), 0.01),
        pair("rehearsal", PairedDifference(NONE, 0.6, (0.2, 0.4)), 1.0),
    )
    verdict = about(replace(whole, matched=told, effects={}), "What causes")
    told_of, evidence = verdict.points[0]
    assert told_of == (
        "Loss of text, by what holds: all else the same, raised by rehearsal (1 of 2 times) and "
        "lowered by ewc instead of none; not told apart l2-sp, wise-ft."
    )
    assert evidence == (
        "ewc beside projector+lora and none -0.300 [-0.400, -0.200] (corrected p 0.01); "
        "rehearsal beside projector+lora and none 0.300 [0.200, 0.400] (corrected p 0.01)."
    )
    assert verdict.to_markdown().startswith(f"**{verdict.question}** {verdict.answer}\n\n- Loss of")


def carried(arm: str, asked: str, half: str, change: Estimate, beyond: Estimate) -> TransferArm:
    return TransferArm(
        arm, asked, half, UP, PairedDifference(change, 0.01, ()), PairedDifference(beyond, 0.01, ())
    )


@pytest.mark.parametrize(
    ("change", "beyond", "told"),
    [(UP, UP, "clearly"), (UP, NONE, "not clearly"), (NONE, UP, "not clearly")],
)
def test_what_is_carried_over_is_beyond_before_and_beyond_the_control(
    whole: StudySummary, change: Estimate, beyond: Estimate, told: str
) -> None:
    halves = ("taught in sound", "not taught in sound")
    arms = tuple(
        carried("words", asked, half, *((change, beyond) if asked == "sound" else (UP, UP)))
        for asked in ("words", "sound")
        for half in halves
    )
    answer = about(replace(whole, transfer=TransferResult({}, arms, {"words": 1}, ())), "Does what")
    assert f"known in words clearly, and in sound {told}." in answer.answer
    assert "and in words (not tried)" in answer.answer


def test_what_one_seed_did_not_carry_over_is_not_clear(whole: StudySummary) -> None:
    halves = ("taught in sound", "not taught in sound")
    once, twice = PairedDifference(UP, 0.01, (0.6, -0.1)), PairedDifference(UP, 0.01, (0.3, 0.2))
    arms = tuple(
        replace(carried("words", asked, half, UP, UP), change=once if asked == "sound" else twice)
        for asked in ("words", "sound")
        for half in halves
    )
    told = about(replace(whole, transfer=TransferResult({}, arms, {"words": 2}, ())), "Does what")
    assert "known in words clearly, and in sound not clearly." in told.answer


def test_a_gap_that_stays_is_told_with_its_number(whole: StudySummary) -> None:
    stays = {**whole.tried[0].levels, "words minus sound": UP}
    changed = replace(whole, tried=tuple(replace(t, levels=stays) for t in whole.tried))
    verdict = about(changed, "Does sound stay")
    assert "In 6 of 6 strategies sound is clearly answered worse" in verdict.answer
    assert "0.300 [0.200, 0.400]" in verdict.evidence


def test_forgetting_is_told_of_those_alone_that_could_forget(whole: StudySummary) -> None:
    verdict = about(whole, "What causes forgetting")
    answer, points = verdict.answer, " ".join(point for point, _ in verdict.points)
    worse = [t for t in whole.tried if t.changes["loss of text"].direction > 0]
    own = [t for t in worse if t.trained != "projector"]
    assert len(worse) > len(own) > 0  # made up for all alike
    assert f"{len(own)} of 4 strategies that train the language model read text worse" in answer
    assert "2 others leave both as they are" in answer
    # Four strategies have as many numbers to be told, and leave nothing to be noise.
    assert "Loss of text, by what trains: nothing is told apart, of all+llm." in points
    assert "Loss of text, by what holds: nothing is told apart, of ewc." in points


@pytest.mark.parametrize(("words", "repaired"), [(NONE, 6), (DOWN, 0)])
def test_a_gap_is_not_repaired_by_forgetting_words(
    whole: StudySummary, words: Estimate, repaired: int
) -> None:
    moved: dict[Measure, PairedDifference] = {
        "words minus sound": PairedDifference(DOWN, 0.01, ()),
        "accuracy in words": PairedDifference(words, 0.01, ()),
    }
    tried = tuple(replace(t, changes=t.changes | moved) for t in whole.tried)
    answer = about(replace(whole, tried=tried), "Does sound stay").answer
    assert f"6 narrow the gap, {repaired} of them without worse answers" in answer
