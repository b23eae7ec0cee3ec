"""A judge is a reading of its own, beside the rules and the likelihood."""

import pytest
from tests.probing.known_models import CONCEPTS

from audioprobe import Prompt, Scripted
from audioprobe.errors import BackendNotFoundError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeOutcome
from audioprobe.protocols import LanguageModel

FOUR = CONCEPTS.subset(("crow", "dog", "violin", "rain"))


def run(judge: LanguageModel | None) -> ProbeOutcome:
    model = Scripted(lambda prompt: "It has feathers." if "crow" in prompt.text else "No.")
    probe = ConceptProbe(
        model, concepts=FOUR, conditions=("text",), judge=judge, bootstrap=Bootstrap(20)
    )
    return probe("hypernym")


def judge(prompt: Prompt) -> str:
    if "violin" in prompt.text:
        return "I would rather not."
    return "1" if "feathers" in prompt.text else "2"


def test_judgements_are_a_reading_of_their_own_and_failures_are_counted() -> None:
    outcome = run(Scripted(judge))
    for trial in outcome.trials:
        concept = trial.question.pair.concept
        assert trial.choice("free-text") == (None if concept == "crow" else 1)
        assert trial.choice("judge") == {"crow": 0, "violin": None}.get(concept, 1)
        assert trial.judgement is not None
        assert bool(trial.judgement.failure) == (concept == "violin")
        assert not trial.failure
    agreement = outcome.judge_agreement()
    assert agreement is not None
    n_violin = len(outcome.where(concept="violin"))
    assert (agreement.n_failed, agreement.n) == (n_violin, len(outcome.trials) - n_violin)
    assert agreement.n_equal == agreement.n - len(outcome.where(concept="crow"))
    assert {*outcome.provenance.components} == {"language_model", "judge"}
    assert outcome.n_calls["judge"] <= len(outcome.trials)
    assert outcome.score("judge", concept="dog").n_trials == len(outcome.where(concept="dog"))
    assert ProbeOutcome.from_json(outcome.to_json()) == outcome


def test_without_a_judge_there_are_no_judgements() -> None:
    outcome = run(None)
    assert all(trial.judgement is None for trial in outcome.trials)
    assert outcome.judge_agreement() is None
    assert outcome.score("judge").n_trials == 0
    assert {*outcome.provenance.components} == {"language_model"}


def test_an_unknown_judge_is_refused_before_any_question() -> None:
    with pytest.raises(BackendNotFoundError, match="nobody"):
        ConceptProbe(Scripted(judge), judge="nobody:home")
