"""Agreement and kappa: a model and its matched cascade, two models, two readings."""

import pytest
from sklearn.metrics import cohen_kappa_score
from tests.probing.known_models import (
    CLIPS,
    CONCEPTS,
    accepts,
    know_all,
    know_names,
    known_model,
    recognise,
    recognise_half,
)

from audioprobe import Cascade, LogLikelihood, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import AnswerReading, ConceptProbe, ProbeOutcome, Trial, model_agreement
from audioprobe.protocols import LanguageModel

FEW = Bootstrap(100)
LIKELIHOOD: tuple[AnswerReading, AnswerReading] = ("likelihood", "likelihood")


def run(model: LanguageModel) -> ProbeOutcome:
    probe = ConceptProbe(
        model,
        concepts=CONCEPTS,
        conditions=("text", "audio", "caption"),
        forms=("yes-no", "choice"),
        n_clips=1,
        bootstrap=FEW,
    )
    return probe("hypernym", CLIPS)


def test_kappa_with_the_own_caption_agrees_with_scikit_learn() -> None:
    outcome = run(known_model(recognise_half, know_names))
    result = outcome.condition_agreement()
    answers: dict[object, list[str]] = {}
    for condition in ("audio", "caption"):
        for trial in outcome.where(condition=condition):
            choice = trial.choice("likelihood")
            if choice is not None:
                key = trial.question.key, trial.question.clip
                answers.setdefault(key, []).append(trial.question.options[choice])
    pairs = [pair for pair in answers.values() if len(pair) == 2]
    first, second = zip(*pairs, strict=True)
    assert result.kappa.value == pytest.approx(cohen_kappa_score(first, second))
    equal = sum(a == b for a, b in pairs) / len(pairs)
    assert result.agreement.value == pytest.approx(equal)
    assert result.agreement.n == len(pairs)
    assert result.kappa.low is not None
    assert result.kappa.unit == "concepts"
    assert (result.first, result.second) == ("audio", "caption")


def audio_trials(model: LanguageModel) -> tuple[Trial, ...]:
    return run(model).where(condition="audio", form="yes-no", relation="hypernym")


def test_a_model_and_a_cascade_are_compared_on_the_same_questions() -> None:
    model = known_model()
    cascade = Cascade(model, model)  # the same model, with captions in place of the audio
    first, second = (audio_trials(each) for each in (model, cascade))
    result = model_agreement(first, second, LIKELIHOOD, FEW, names=("model", "cascade"))
    assert (result.agreement.value, result.kappa.value) == (1.0, 1.0)
    assert (result.first_accuracy.value, result.second_accuracy.value) == (1.0, 1.0)
    assert (result.agreement.n, result.n_unpaired) == (len(first), 0)
    half = audio_trials(known_model(recognise_half))
    lower = model_agreement(first, half[1:], LIKELIHOOD, FEW)
    assert lower.n_unpaired == 1
    assert lower.kappa.value is not None
    assert lower.kappa.value < 1
    assert lower.first_accuracy.value == 1.0
    assert "Cohen's kappa" in str(lower)


def test_wording_and_likelihood_are_compared_on_the_same_answers() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        return LogLikelihood(-0.1 if accepts(recognise, know_all, prompt, option) else -3.0, 1)

    def answer(prompt: Prompt) -> str:
        if "a bird" in prompt.text:
            return "Hm."
        return "Yes." if accepts(recognise, know_all, prompt, "Yes.") else "No."

    outcome = run(Scripted(answer, likelihood=likelihood)).subset(form="yes-no", condition="text")
    result = outcome.reading_agreement()
    n_birds = sum("a bird" in trial.question.text for trial in outcome.trials)
    assert (result.first, result.second) == ("free-text", "likelihood")
    assert (result.n_unpaired, result.agreement.n) == (n_birds, len(outcome.trials) - n_birds)
    assert (result.agreement.value, result.kappa.value) == (1.0, 1.0)
    always = run(Scripted("Yes.", likelihood=likelihood)).subset(form="yes-no", condition="text")
    result = always.reading_agreement()
    assert (result.first_accuracy.value, result.second_accuracy.value) == (0.5, 1.0)
    assert (result.agreement.value, result.kappa.value) == (0.5, 0.0)


def test_without_common_answers_all_is_undefined() -> None:
    outcome = run(known_model()).subset(condition="text")
    result = outcome.condition_agreement()
    assert (result.kappa.value, result.agreement.value, result.agreement.n) == (None, None, 0)
