"""What a study says of findings whose changes are known."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.experiments.finetuning.run_results import (
    CAUSE,
    CELLS,
    CONCEPTS,
    HALVES,
    LABELS,
    STUDY,
    after,
    answers,
    before,
    captioned,
    everything,
    failed,
    found,
    measured,
    named,
    texts,
)

from audioprobe.experiments.finetuning.ablations import matched_of
from audioprobe.experiments.finetuning.cross_modal_transfer import CONTROL, transferred
from audioprobe.experiments.finetuning.cross_modal_transfer import HALVES as NAMES
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.paired_difference import (
    MEASURES,
    OF_WORDS,
    Measure,
    PairedDifference,
    changes,
    level_of,
)
from audioprobe.experiments.finetuning.run_result import (
    CaptionEvaluation,
    ModelEvaluation,
    QuestionResult,
    RunResult,
)
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.multiple_testing import holm
from audioprobe.metrics.ranking import roc_auc
from audioprobe.types import Estimate, Float64Array

FEW = Bootstrap(50)
WAS = measured()


def changed(
    now: Sequence[ModelEvaluation | None], was: ModelEvaluation = WAS
) -> dict[Measure, PairedDifference]:
    return changes([None if one is None else (was, one) for one in now], FEW)


def value(
    measure: Measure, now: Sequence[ModelEvaluation | None], was: ModelEvaluation = WAS
) -> float:
    change = changed(now, was)[measure].estimate.value
    assert change is not None
    return change


def auc(heard: CaptionEvaluation) -> float:
    return float(roc_auc_score(heard.targets(), heard.values(), average="macro"))


def test_no_change_is_zero_of_everything_with_a_p_value_of_one() -> None:
    for change in changed([WAS, WAS]).values():
        assert change.estimate.value == change.estimate.low == change.estimate.high == 0
        assert change.p_value == 1
        assert change.by_seed == (0, 0)


def test_what_reads_worse_by_so_many_nats_per_token_has_lost_as_many() -> None:
    change = changed([replace(WAS, texts=texts(worse=0.25))])["loss of text"]
    assert change.estimate.value == pytest.approx(0.25)
    assert change.estimate.low == pytest.approx(0.25)  # the same in every passage
    assert value("inside AUC", [replace(WAS, texts=texts(worse=0.25))]) == 0
    tokens = sum(text.n_tokens for text in WAS.texts)
    assert level_of([WAS], "loss of text").value == pytest.approx(
        sum(text.nats for text in WAS.texts) / tokens
    )


def test_changes_of_captions_are_those_of_scikit_learn_averaged_over_seeds() -> None:
    now = [measured(4, gain=1.0), measured(5, gain=1.0)]
    portions: dict[Measure, str] = {"inside AUC": "inside", "outside AUC": "outside"}
    for measure, portion in portions.items():
        apart = [auc(one.heard[portion]) - auc(WAS.heard[portion]) for one in now]
        change = changed(now)[measure]
        assert change.estimate.value == pytest.approx(np.mean(apart))
        assert change.by_seed == pytest.approx(apart)
        level = level_of(now, measure, FEW)
        assert level.value == pytest.approx(np.mean([auc(one.heard[portion]) for one in now]))


def test_seeds_are_averaged_and_one_that_failed_is_none_and_not_zero() -> None:
    now = [measured(4, gain=1, worse=0.1), None, measured(5, gain=1, worse=0.3)]
    found = changed(now)
    for change in found.values():
        first, none, last = change.by_seed
        assert none is None
        assert first is not None
        assert last is not None
        assert change.estimate.value == pytest.approx((first + last) / 2)
    assert found["loss of text"].estimate.value == pytest.approx(0.2)


def test_without_any_that_ended_all_is_undefined() -> None:
    for change in changed([None, None]).values():
        assert change.estimate.value is None
        assert change.p_value is None
        assert change.by_seed == (None, None)


def test_only_clips_that_all_have_are_compared_and_without_any_it_is_undefined() -> None:
    whole = WAS.heard["inside"]
    part = replace(
        whole, clips=whole.clips[1:], captions=whole.captions[1:], truth=whole.truth[1:],
        scores=tuple(row[::-1] for row in whole.scores[1:]),
    )  # fmt: skip
    same = replace(part, scores=whole.scores[1:])
    now = replace(WAS, heard={**WAS.heard, "inside": part})
    assert value("inside AUC", [now]) == pytest.approx(auc(part) - auc(same))
    deaf = replace(whole, clips=(), captions=(), truth=(), scores=())
    none = replace(WAS, heard={**WAS.heard, "inside": deaf})
    change = changed([none])["inside AUC"]
    assert change.estimate.value is None
    assert change.by_seed == (None,)
    assert level_of([none], "inside AUC", FEW).value is None


def test_the_gap_changes_by_what_words_and_sound_change() -> None:
    now = [measured(7, gain=2.0), measured(8, worse=1.5)]
    words, sound = value("accuracy in words", now), value("accuracy in sound", now)
    assert words != sound
    assert value("words minus sound", now) == pytest.approx(words - sound)


def test_the_gap_is_over_questions_that_were_answered_both_ways() -> None:
    silent = [replace(a, yes=None) if a.concept == "owl" and a.clip else a for a in WAS.probe]
    now = replace(WAS, probe=tuple(replace(a, yes=a.yes and -a.yes) for a in silent))
    kept = [a for a in WAS.probe if a.concept != "owl"]

    def accuracy(condition: str) -> float:
        return float(np.mean([bool(a.right) for a in kept if a.condition == condition]))

    gap = accuracy("text") - accuracy("audio")  # afterwards all is turned round
    assert value("words minus sound", [now]) == pytest.approx(-2 * gap)
    n = changed([now])["words minus sound"].estimate.n
    assert n == 2 * (len(CONCEPTS) - 1)


def test_a_gap_grows_where_sound_alone_is_lost() -> None:
    right = tuple(replace(a, yes=1.0 if a.holds else -1.0) for a in WAS.probe)
    deaf = tuple(replace(a, yes=1.0) if a.clip else a for a in right)
    knows = replace(WAS, probe=right)
    assert value("words minus sound", [replace(WAS, probe=deaf)], knows) == pytest.approx(0.5)
    assert value("accuracy in words", [replace(WAS, probe=deaf)], knows) == 0


def test_the_p_value_of_captions_is_that_of_all_exchanges() -> None:
    n = 8
    rng = np.random.default_rng(3)

    def heard(skill: float) -> CaptionEvaluation:
        whole = captioned(int(rng.integers(99)), skill)
        ties = tuple(tuple(round(score) for score in row) for row in whole.scores[:n])
        return CaptionEvaluation(LABELS, whole.clips[:n], whole.captions[:n], whole.truth[:n], ties)

    old, news = heard(0.5), [heard(2.0), heard(2.0)]
    targets = old.targets()

    def macro(scores: Float64Array) -> float:
        return float(np.mean([roc_auc(*pair) for pair in zip(targets.T, scores.T, strict=True)]))

    def apart(swapped: tuple[bool, ...]) -> float:
        mask = np.array(swapped)[:, None]
        before = old.values()
        pairs = [(np.where(mask, before, a), np.where(mask, a, before)) for a in map(_values, news)]
        return float(np.mean([macro(one) - macro(other) for one, other in pairs]))

    observed = abs(apart((False,) * n))
    every = [abs(apart(swapped)) for swapped in product((False, True), repeat=n)]
    exact = float(np.mean(np.array(every) >= observed - 1e-12))
    was, *now = (replace(WAS, heard={**WAS.heard, "inside": one}) for one in (old, *news))
    p_value = changed(now, was)["inside AUC"].p_value
    assert 0.01 < exact < 0.5
    assert p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 1000))


def _values(heard: CaptionEvaluation) -> Float64Array:
    return heard.values()


def taught(arm: str, quiz: Sequence[QuestionResult], seed: int = 0) -> RunResult:
    (cell,) = [c for c in CELLS if c.transfer and c.alignment == arm and c.seed == seed]
    return replace(named(cell), measured=ModelEvaluation(quiz=tuple(quiz)))


def guessed(asked: Sequence[QuestionResult]) -> list[QuestionResult]:
    """Says yes to all: half of it is right."""
    return [replace(a, yes=1.0) for a in asked]


def learned(
    asked: Sequence[QuestionResult], condition: str, half: frozenset[str]
) -> list[QuestionResult]:
    """Right where it was taught; elsewhere it says yes to all."""

    def says(a: QuestionResult) -> float:
        return 1.0 if a.holds or a.condition != condition or a.concept not in half else -1.0

    return [replace(a, yes=says(a)) for a in asked]


def test_who_learns_in_words_alone_is_right_there_alone_and_beyond_the_control() -> None:
    asked = answers(1, 0, 0, target="wug")
    trainings = [
        taught("words", learned(asked, "text", frozenset(CONCEPTS)), seed) for seed in (0, 1)
    ]
    wrong = [replace(a, yes=-1.0 if a.holds else 1.0) for a in asked]
    trainings += [taught(CONTROL, wrong), failed(CELLS[-1])]
    result = transferred(guessed(asked), trainings, HALVES, FEW)
    assert result is not None
    by = {(c.arm, c.asked, c.half): c for c in result.carried}
    for half in NAMES:
        assert result.before["words", half].value == 0.5
        words, sound = by["words", "words", half], by["words", "sound", half]
        assert words.accuracy.value == 1
        assert words.change.estimate.value == 0.5
        assert words.beyond is not None
        assert words.beyond.estimate.value == 1
        assert (sound.accuracy.value, sound.change.estimate.value) == (0.5, 0)
        assert sound.change.p_value == 1
        assert (words.change.by_seed, words.beyond.by_seed) == ((0.5, 0.5), (1.0,))
        assert by[CONTROL, "words", half].beyond is None
    assert result.n_replicates == {"words": 2, CONTROL: 1}
    assert result.failures == (CAUSE,)


def test_halves_are_told_apart_and_unanswered_questions_are_no_wrong_answers() -> None:
    asked = answers(1, 0, 0, target="wug")
    now = learned(asked, "audio", HALVES)
    silent = next(iter(sorted(HALVES)))
    now = [replace(a, yes=None) if a.concept == silent and a.clip else a for a in now]
    result = transferred(guessed(asked), [taught("sound", now)], HALVES, FEW)
    assert result is not None
    by = {(c.asked, c.half): c for c in result.carried}
    assert by["sound", NAMES[0]].accuracy.value == 1
    assert by["sound", NAMES[0]].accuracy.n == 2 * (len(HALVES) - 1)
    assert by["sound", NAMES[1]].change.estimate.value == 0
    assert by["words", NAMES[0]].change.estimate.value == 0
    assert transferred(guessed(asked), [], HALVES, FEW) is None


def test_effects_that_add_up_are_found_whatever_else_changes() -> None:
    adds = {"projector": 9.0, "projector+lora": 0.1, "all+llm": 0.4, "none": 0.0, "ewc": -0.05}
    ties, seeds = {"none": 0.0, "contrastive": 0.02}, {0: 0.0, 1: 0.3}

    def tuned(number: int) -> RunResult:
        cell = CELLS[number]
        worse = adds[cell.trained] + adds[cell.holding] + ties[cell.alignment] + seeds[cell.seed]
        return replace(named(cell), measured=replace(WAS, texts=texts(worse)))

    own = [n for n, cell in enumerate(CELLS) if not cell.transfer][:-1]  # no balanced seeds
    effects = found([before(), *map(tuned, own)]).effects["loss of text"]
    assert {(e.effect.level, e.baseline): e.effect.estimate.value for e in effects} == {
        ("all+llm", "projector+lora"): pytest.approx(0.3),
        ("ewc", "none"): pytest.approx(-0.05),
        ("contrastive", "none"): pytest.approx(0.02),
    }


def test_what_cannot_change_words_hides_no_effect_on_them() -> None:
    def tuned(cell: TrainingRun) -> RunResult:
        reads = cell.trained != "projector"  # the projector cannot, whatever holds it
        worse = (1.0 if cell.holding == "none" else 0.0) + 0.01 * cell.seed if reads else 0.0
        return replace(named(cell), measured=replace(WAS, texts=texts(worse)))

    trainings = [tuned(cell) for cell in CELLS if not cell.transfer]
    effects = found([before(), *trainings]).effects
    (held,) = [e for e in effects["loss of text"] if e.effect.factor == "holding"]
    assert held.effect.estimate.value == pytest.approx(-1)
    assert {e.effect.level for e in effects["inside AUC"] if e.effect.factor == "trained"} == {
        "projector+lora",
        "all+llm",
    }
    alone = [t for t in trainings if t.trained == "projector"]
    assert found([before(), *alone]).effects["loss of text"] == ()


def test_one_strategy_against_another_is_the_other_way_round_reversed() -> None:
    one, other = [measured(4, gain=1), measured(5)], [measured(6, worse=0.2), measured(7)]
    there = changes(list(zip(one, other, strict=True)), FEW)
    back = changes(list(zip(other, one, strict=True)), FEW)
    for measure in MEASURES:
        assert there[measure].estimate.value is not None
        assert there[measure].estimate.value == pytest.approx(-(back[measure].estimate.value or 0))
        assert there[measure].p_value == back[measure].p_value
        assert there[measure].by_seed == pytest.approx([-(v or 0) for v in back[measure].by_seed])
        gained = [value(measure, some) for some in (one, other)]
        assert there[measure].estimate.value == pytest.approx(gained[1] - gained[0])


@pytest.mark.parametrize(
    ("low", "high", "by_seed", "direction"),
    [
        (0.1, 0.3, (0.2, None, 0.1), 1),
        (0.1, 0.3, (0.5, -0.1), 0),
        (-0.1, 0.3, (0.2, 0.1), 0),
        (-0.3, -0.1, (-0.2,), -1),
        (-0.3, -0.1, (-0.4, 0.0), 0),
        (None, None, (None,), 0),
    ],
)
def test_a_change_has_a_direction_where_interval_and_seeds_agree(
    low: float | None, high: float | None, by_seed: tuple[float | None, ...], direction: int
) -> None:
    assert (
        PairedDifference(Estimate(value=0.2, n=9, low=low, high=high), 0.01, by_seed).direction
        == direction
    )


def test_pairs_differ_in_one_choice_alone_and_in_what_it_changes() -> None:
    adds = {"projector": 0.0, "projector+lora": 0.1, "all+llm": 0.4, "none": 0.0, "ewc": -0.05}

    def tuned(cell: TrainingRun) -> RunResult:
        worse = adds[cell.trained] + adds[cell.holding] + (cell.seed if cell.seed else 0.0)
        return replace(named(cell), measured=replace(WAS, texts=texts(worse)))

    own = [cell for cell in CELLS if not cell.transfer]
    lost = next(c for c in own if (c.trained, c.holding, c.seed) == ("all+llm", "none", 1))
    pairs = found([before(), *(failed(c) if c is lost else tuned(c) for c in own)]).matched
    # Of the fraction, each holding meets each tie in one of two ways.
    assert {(p.factor, p.level, p.baseline, p.beside) for p in pairs} == {
        ("trained", "all+llm", "projector", ("none", "none")),
        ("trained", "all+llm", "projector", ("ewc", "contrastive")),
    }
    for pair in pairs:
        change = pair.changes["loss of text"]
        assert change.estimate.value == pytest.approx(0.4)
        assert pair.changes["inside AUC"].estimate.value == 0
        assert pair.seeds == (0, 1)
        first, second = change.by_seed
        assert first == pytest.approx(0.4)
        assert second == (pytest.approx(0.4) if pair.beside[0] == "ewc" else None)
        assert pair.changes.keys() == pair.corrected.keys() == set(MEASURES)
    p_values = [pair.changes["loss of text"].p_value for pair in pairs]
    assert tuple(pair.corrected["loss of text"] for pair in pairs) == holm(p_values)


def test_pairs_say_nothing_of_words_where_neither_trains_what_reads() -> None:
    study = replace(STUDY, design="star")
    cells = [cell for cell in training_runs(study) if not cell.transfer]
    pairs = matched_of(study, [replace(named(cell), measured=WAS) for cell in cells])
    assert [(p.factor, p.level) for p in pairs] == [
        ("trained", "projector+lora"),
        ("trained", "all+llm"),
        ("holding", "ewc"),
        ("alignment", "contrastive"),
    ]
    for pair in pairs:
        left_out = () if pair.factor == "trained" else OF_WORDS
        assert set(pair.changes) == set(MEASURES) - set(left_out)


def test_the_front_is_what_none_beats_and_failures_are_kept_by_name() -> None:
    own = [cell for cell in CELLS if not cell.transfer and cell.seed == 0]
    deaf = replace(after(own[-1]).measured or WAS, texts=texts(9.0), heard=WAS.heard)
    tunings = [after(cell) for cell in own[:-2]]
    tunings += [failed(own[-2]), replace(after(own[-1]), measured=deaf)]
    synthesis = found([before(), *tunings])
    *others, lost, worst = synthesis.tried
    assert any(one.best for one in others)
    assert worst.best is False  # gains nothing, forgets most
    assert lost.best is None
    assert lost.levels == {}
    assert lost.changes["inside AUC"].estimate.value is None
    assert synthesis.failures == ((own[-2].name, CAUSE),)
    assert (synthesis.n_trainings, synthesis.n_wanted) == (len(own), len(CELLS))


def test_drift_goes_with_what_it_goes_with_and_constants_go_with_nothing() -> None:
    synthesis = found(everything())
    (link,) = [
        one
        for one in synthesis.links
        if (one.moved, one.measure) == ("weights: projector", "loss of text")
    ]
    assert link.n_trainings == 11  # one of 12 failed
    assert link.rho.value is not None
    assert link.rho.value > 0.5
    own = [cell for cell in CELLS if not cell.transfer]
    still = found([before(), *(replace(after(cell), measured=WAS) for cell in own)])
    assert still.links
    assert all(one.rho.value is None for one in still.links)
    assert all(c.p_value == 1 for one in still.tried for c in one.changes.values())


def test_all_measures_are_told_of_the_model_before() -> None:
    synthesis = found([before()])
    assert set(synthesis.before) == set(MEASURES)
    assert synthesis.before["inside AUC"].value == pytest.approx(auc(WAS.heard["inside"]))
    assert synthesis.tried == ()
    assert synthesis.transfer is None
