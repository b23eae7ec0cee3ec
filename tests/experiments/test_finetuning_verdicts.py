"""Verdicts say what intervals and corrected tests allow, and no more."""

from dataclasses import replace

import pytest
from tests.experiments.findings_of import before, everything, found

from audioprobe.experiments.finetuning.choices import FactorEffect
from audioprobe.experiments.finetuning.comparing import Change, Measure
from audioprobe.experiments.finetuning.synthesis import Synthesis
from audioprobe.experiments.finetuning.transfer import Carried, Transferred
from audioprobe.experiments.finetuning.verdicts import Verdict, verdicts_of
from audioprobe.metrics.effects import Effect
from audioprobe.types import Estimate

UP, DOWN, NONE = (
    Estimate(value, 10, low=value - 0.1, high=value + 0.1) for value in (0.3, -0.3, 0.05)
)


@pytest.fixture(scope="module")
def whole() -> Synthesis:
    return found(everything())


def about(synthesis: Synthesis, start: str) -> Verdict:
    (verdict,) = [v for v in verdicts_of(synthesis) if v.question.startswith(start)]
    return verdict


def test_nothing_is_said_before_anything_was_trained() -> None:
    told = verdicts_of(found([before()]))
    assert len(told) == 5
    assert all("No training has ended" in v.answer or "Only one tie" in v.answer for v in told)


@pytest.mark.parametrize(("estimate", "better", "worse"), [(UP, 6, 0), (DOWN, 0, 6), (NONE, 0, 0)])
def test_a_gain_is_one_where_its_whole_interval_is(
    whole: Synthesis, estimate: Estimate, better: int, worse: int
) -> None:
    changed = replace(
        whole,
        tried=tuple(
            replace(t, changes={**t.changes, "inside AUC": Change(estimate, 0.5, ())})
            for t in whole.tried
        ),
    )
    answer = about(changed, "What is gained").answer
    assert f"{better} of 6 strategies name better than before, and {worse} worse" in answer


def effects(estimate: Estimate, corrected: float | None) -> tuple[FactorEffect, ...]:
    one = Effect("alignment", "contrastive", estimate, 4, corrected)
    other = Effect("alignment", "embedding", NONE, 4, 1.0)
    return FactorEffect(one, "none", corrected), FactorEffect(other, "none", 1.0)


@pytest.mark.parametrize(
    ("estimate", "corrected", "told"),
    [
        (
            UP,
            0.01,
            "the accuracy is raised by contrastive; embedding not told apart from it",
        ),
        (DOWN, 0.01, "the accuracy is lowered by contrastive; embedding not told apart from it"),
        (UP, 0.2, "contrastive, embedding not told apart from it"),
        (UP, None, "contrastive, embedding not told apart from it"),
    ],
)
def test_a_tie_repairs_only_by_a_corrected_test(
    whole: Synthesis, estimate: Estimate, corrected: float | None, told: str
) -> None:
    some: dict[Measure, tuple[FactorEffect, ...]] = {
        "accuracy in sound": effects(estimate, corrected),
        "inside AUC": effects(UP, 0.01),
    }
    answer = about(replace(whole, effects=some), "Which tie").answer
    assert answer.startswith(f"In answers about sound, against none: {told}. In naming, against")
    assert "the AUC is raised by contrastive; embedding not told apart from it." in answer


def carried(arm: str, asked: str, half: str, change: Estimate, beyond: Estimate) -> Carried:
    return Carried(arm, asked, half, UP, change, 0.01, beyond, 0.01)


@pytest.mark.parametrize(
    ("change", "beyond", "told"),
    [(UP, UP, "clearly"), (UP, NONE, "not clearly"), (NONE, UP, "not clearly")],
)
def test_what_is_carried_over_is_beyond_before_and_beyond_the_control(
    whole: Synthesis, change: Estimate, beyond: Estimate, told: str
) -> None:
    halves = ("taught in sound", "not taught in sound")
    arms = tuple(
        carried("words", asked, half, *((change, beyond) if asked == "sound" else (UP, UP)))
        for asked in ("words", "sound")
        for half in halves
    )
    answer = about(replace(whole, transfer=Transferred({}, arms, {"words": 1}, ())), "Does what")
    assert f"known in words clearly, and in sound {told}." in answer.answer
    assert "and in words (not tried)" in answer.answer


def test_a_gap_that_stays_is_told_with_its_number(whole: Synthesis) -> None:
    stays = {**whole.tried[0].levels, "words minus sound": UP}
    changed = replace(whole, tried=tuple(replace(t, levels=stays) for t in whole.tried))
    verdict = about(changed, "Does sound stay")
    assert "In 6 of 6 strategies sound is clearly answered worse" in verdict.answer
    assert "0.300 [0.200, 0.400]" in verdict.evidence


def test_forgetting_is_told_of_those_alone_that_could_forget(whole: Synthesis) -> None:
    answer = about(whole, "What causes forgetting").answer
    worse = [t for t in whole.tried if (t.changes["loss of text"].estimate.low or 0) > 0]
    own = [t for t in worse if t.trained != "projector"]
    assert len(worse) > len(own) > 0  # made up for all alike
    assert f"{len(own)} of 4 strategies that train the language model read text worse" in answer
    assert "2 others leave it as it is, and cannot" in answer
    assert "Of what trains, against projector+lora: the loss is raised by all+llm." in answer
    assert "Of what holds, against none: the loss is lowered by ewc." in answer


@pytest.mark.parametrize(("words", "repaired"), [(NONE, 6), (DOWN, 0)])
def test_a_gap_is_not_repaired_by_forgetting_words(
    whole: Synthesis, words: Estimate, repaired: int
) -> None:
    moved: dict[Measure, Change] = {
        "words minus sound": Change(DOWN, 0.01, ()),
        "accuracy in words": Change(words, 0.01, ()),
    }
    tried = tuple(replace(t, changes=t.changes | moved) for t in whole.tried)
    answer = about(replace(whole, tried=tried), "Does sound stay").answer
    assert f"6 narrow the gap, {repaired} of them without worse answers" in answer
