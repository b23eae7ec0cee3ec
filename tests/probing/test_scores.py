"""Numbers of trials whose answers are known, by each way to read them."""

import math

import pytest
from tests.probing.listeners import ASKED, BY_ID, CLIPS, SUBJECTS, heard, knows, likes, listener

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.pairs import ConceptPair
from audioprobe.probing.questions import ProbeQuestion
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.scores import guesses_of
from audioprobe.probing.trial import Trial
from audioprobe.protocols import LanguageModel

FEW = Bootstrap(200)


def outcome(model: LanguageModel, **options: object) -> ProbeOutcome:
    probe = ConceptProbe(
        model, concepts=SUBJECTS, conditions=("text", "audio", "no audio"), bootstrap=FEW
    )
    return probe("hypernym", CLIPS, **options)  # type: ignore[arg-type]


def test_a_bias_that_hides_what_is_heard_is_taken_out_by_the_prior() -> None:
    """It says yes to all, but less surely where no is right and something is heard."""

    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        hears = prompt.audio is not None and likes(heard, knows, prompt, option)
        return LogLikelihood((-0.5 if option == "Yes." else -3.0) + 0.25 * hears, 1)

    found = outcome(Scripted("Yes.", likelihood=likelihood))
    plain = found.score("likelihood", condition="audio")
    assert (plain.accuracy.value, plain.yes_rate.value) == (0.5, 1.0)
    calibrated = found.score("prior-corrected", condition="audio")
    assert calibrated.accuracy.value == 1.0
    assert calibrated.yes_rate.value == 0.5
    assert calibrated.n_invalid == 0


@pytest.mark.parametrize("total", [math.nan, -math.inf])
def test_a_log_probability_that_is_not_finite_fails_its_trials(total: float) -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        broken = prompt.audio is not None and option == "Yes."
        return LogLikelihood(total if broken else -1.0, 1)

    found = outcome(Scripted("Yes.", likelihood=likelihood))
    for trial in found.trials:
        assert bool(trial.failure) == (trial.question.condition == "audio")
    assert found.score("likelihood", condition="audio").accuracy.value is None


@pytest.mark.parametrize(
    "likelihoods", [(math.nan, -1.0), (-1.0, math.nan), (-math.inf, -3.0), (-3.0, math.inf)]
)
def test_nothing_is_chosen_by_numbers_that_are_not_finite(likelihoods: tuple[float, ...]) -> None:
    trial = Trial(
        question=question(), log_likelihoods=likelihoods, prior_log_likelihoods=(-1.0, -2.0)
    )
    assert trial.choice("likelihood") is None
    assert trial.choice("prior-corrected") is None
    assert (
        Trial(
            question=question(), log_likelihoods=(-1.0, -2.0), prior_log_likelihoods=likelihoods
        ).choice("prior-corrected")
        is None
    )
    assert trial.probabilities == ()


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


def test_a_blind_guesser_gains_where_questions_are_not_balanced() -> None:
    """Three of four birds are birds: who says so each time is right three times."""
    asked = [question(holds=n < 3, match=n) for n in range(4)]
    assert guesses_of(asked) == [1.0, 1.0, 1.0, 0.0]
    alone = question("animal", match=9)
    assert guesses_of([alone]) == [0.5]  # nothing is known of other questions: a coin
    both = [question(holds=holds, match=n) for n in range(2) for holds in (True, False)]
    assert guesses_of(both) == [0.5] * 4


def test_probabilities_are_shares_among_the_options() -> None:
    trial = Trial(question=question(), log_likelihoods=(math.log(0.03), math.log(0.01)))
    assert trial.probabilities == pytest.approx((0.75, 0.25))
    assert Trial(question=question(), log_likelihoods=(-2000.0, -2000.0)).probabilities == (
        0.5,
        0.5,
    )
    assert Trial(question=question()).probabilities == ()


def test_a_tie_is_no_answer_and_is_counted() -> None:
    tied = Trial(question=question(), log_likelihoods=(-1.0, -1.0))
    assert tied.choice("likelihood") is None
    assert tied.is_correct("likelihood") is None
    assert tied.has_reading("likelihood")
    assert not tied.has_reading("prior-corrected")  # there is no prior to compare with
    with pytest.raises(
        InvalidInputError, match="Expected one of free-text, likelihood, prior-corrected"
    ):
        tied.has_reading("words")  # type: ignore[arg-type]


def test_concepts_that_are_familiar_are_told_from_others() -> None:
    animals = [name for name in ASKED if BY_ID[name].kind == "animal"]
    model = listener(ear=lambda prompt: name if (name := heard(prompt)) in animals else "")
    found = outcome(model, familiar=animals)
    scores = found.by("familiar", condition="audio")
    known, new = scores[True,].accuracy, scores[False,].accuracy
    assert known.value == 1.0
    assert new.value is not None
    assert new.value < 0.7
    assert set(outcome(model).by("familiar")) == {(None,)}  # nobody said what it knows


def test_where_the_concept_is_recognised_classes_are_right() -> None:
    def half_deaf(prompt: Prompt) -> str:
        name = heard(prompt)
        return name if name and ASKED.index(name) % 2 else ""

    found = outcome(listener(ear=half_deaf))
    over_all = found.score(condition="audio", relation="hypernym").accuracy.value
    assert over_all is not None
    assert over_all < 0.9
    assert found.given_recognised().accuracy.value == 1.0
    assert found.given_recognised().n_trials > 0


def test_a_single_concept_has_a_value_and_no_interval() -> None:
    found = outcome(listener()).by("concept", condition="audio")["crow",]
    assert found.accuracy.value == 1.0
    assert (found.accuracy.low, found.accuracy.high) == (None, None)
    assert "single group" in found.accuracy.method
