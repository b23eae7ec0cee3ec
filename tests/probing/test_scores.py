"""Scores of trials with known answers, by each reading."""

import math
from functools import cache

import pytest
from tests.probing.known_models import (
    BY_ID,
    CLIPS,
    CONCEPTS,
    NAMES,
    accepts,
    know_all,
    known_model,
    recognise,
)

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptPair, ConceptProbe, ProbeOutcome, ProbeQuestion, Trial
from audioprobe.probing.scores import guesses_of
from audioprobe.protocols import LanguageModel


def run(model: LanguageModel, **options: object) -> ProbeOutcome:
    probe = ConceptProbe(
        model,
        concepts=CONCEPTS,
        conditions=("text", "audio", "no audio"),
        n_clips=1,
        bootstrap=Bootstrap(50),
    )
    return probe("hypernym", CLIPS, **options)  # type: ignore[arg-type]


@cache
def perfect() -> ProbeOutcome:
    return run(known_model())


def question(target: str = "bird", *, holds: bool = True, match: int = 0) -> ProbeQuestion:
    pair = ConceptPair(
        concept=f"c{match}",
        phrase="a c",
        relation="hypernym",
        target=target,
        target_phrase="a t",
        holds=holds,
        match=match,
    )
    return ProbeQuestion(
        pair=pair, condition="audio", clip="1", audio="1", text="Is it?", correct=int(not holds)
    )


def test_the_prior_correction_removes_a_bias_towards_yes() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        accepted = prompt.audio is not None and accepts(recognise, know_all, prompt, option)
        return LogLikelihood((-0.5 if option == "Yes." else -3.0) + 0.25 * accepted, 1)

    outcome = run(Scripted("Yes.", likelihood=likelihood))
    biased = outcome.score("likelihood", condition="audio")
    assert (biased.accuracy.value, biased.yes_rate.value) == (0.5, 1.0)
    corrected = outcome.score("prior-corrected", condition="audio")
    assert (corrected.accuracy.value, corrected.yes_rate.value) == (1.0, 0.5)
    assert corrected.n_invalid == 0


@pytest.mark.parametrize("total", [math.nan, -math.inf])
def test_a_likelihood_that_is_not_finite_fails_its_trials(total: float) -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        broken = prompt.audio is not None and option == "Yes."
        return LogLikelihood(total if broken else -1.0, 1)

    outcome = run(Scripted("Yes.", likelihood=likelihood))
    for trial in outcome.trials:
        assert bool(trial.failure) == (trial.question.condition == "audio")
    assert outcome.score("likelihood", condition="audio").accuracy.value is None


@pytest.mark.parametrize(
    "values", [(math.nan, -1.0), (-1.0, math.nan), (-math.inf, -3.0), (-3.0, math.inf)]
)
def test_values_that_are_not_finite_give_no_choice(values: tuple[float, ...]) -> None:
    trial = Trial(question=question(), log_likelihoods=values, prior_log_likelihoods=(-1.0, -2.0))
    assert trial.choice("likelihood") is None
    assert trial.choice("prior-corrected") is None
    assert trial.probabilities == ()
    trial = Trial(question=question(), log_likelihoods=(-1.0, -2.0), prior_log_likelihoods=values)
    assert trial.choice("prior-corrected") is None


def test_a_tie_is_an_invalid_answer_and_is_counted() -> None:
    trial = Trial(question=question(), log_likelihoods=(-1.0, -1.0))
    assert trial.choice("likelihood") is None
    assert trial.is_correct("likelihood") is None
    assert trial.has_reading("likelihood")
    assert not trial.has_reading("prior-corrected")  # there is no prior
    with pytest.raises(InvalidInputError, match=r"Expected a reading \(free-text, likelihood"):
        trial.has_reading("words")  # type: ignore[arg-type]


def test_probabilities_are_normalised_over_the_options() -> None:
    trial = Trial(question=question(), log_likelihoods=(math.log(0.03), math.log(0.01)))
    assert trial.probabilities == pytest.approx((0.75, 0.25))
    tiny = Trial(question=question(), log_likelihoods=(-2000.0, -2000.0))
    assert tiny.probabilities == (0.5, 0.5)
    assert Trial(question=question()).probabilities == ()


def test_the_blind_guesser_gains_only_where_questions_are_not_balanced() -> None:
    three_of_four = [question(holds=n < 3, match=n) for n in range(4)]
    assert guesses_of(three_of_four) == [1.0, 1.0, 1.0, 0.0]
    assert guesses_of([question("animal", match=9)]) == [0.5]  # no other questions: a coin
    balanced = [question(holds=holds, match=n) for n in range(2) for holds in (True, False)]
    assert guesses_of(balanced) == [0.5] * 4


def test_familiar_concepts_are_scored_separately() -> None:
    animals = [name for name in NAMES if BY_ID[name].kind == "animal"]

    def recognise_animals(prompt: Prompt) -> str:
        name = recognise(prompt)
        return name if name in animals else ""

    scores = run(known_model(recognise_animals), familiar=animals).by("familiar", condition="audio")
    assert scores[True,].accuracy.value == 1.0
    unfamiliar = scores[False,].accuracy.value
    assert unfamiliar is not None
    assert unfamiliar < 0.7
    assert set(perfect().by("familiar")) == {(None,)}  # unknown without any familiar concept


def test_a_single_concept_has_a_value_without_an_interval() -> None:
    accuracy = perfect().by("concept", condition="audio")["crow",].accuracy
    assert accuracy.value == 1.0
    assert (accuracy.low, accuracy.high) == (None, None)
    assert "single group" in accuracy.method
