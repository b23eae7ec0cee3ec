"""A judge within a probe: a reading of its own beside rules and likelihood."""

import pytest
from tests.probing.listeners import SUBJECTS

from audioprobe import Prompt, Scripted
from audioprobe.errors import BackendNotFoundError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.results import ProbeOutcome
from audioprobe.protocols import LanguageModel

FOUR = SUBJECTS.subset(("crow", "dog", "violin", "rain"))


def outcome(judge: LanguageModel | None) -> ProbeOutcome:
    model = Scripted(lambda prompt: "It has feathers." if "crow" in prompt.text else "No.")
    probe = ConceptProbe(
        model, concepts=FOUR, conditions=("text",), judge=judge, bootstrap=Bootstrap(20)
    )
    return probe("hypernym")


def reply(prompt: Prompt) -> str:
    if "violin" in prompt.text:
        return "I would rather not."
    return "1" if "feathers" in prompt.text else "2"


def test_a_judge_is_a_reading_of_its_own() -> None:
    found = outcome(Scripted(reply))
    for trial in found.trials:
        concept = trial.question.pair.concept
        assert trial.choice("free-text") == (None if concept == "crow" else 1)
        assert trial.choice("judge") == {"crow": 0, "violin": None}.get(concept, 1)
        assert trial.judgement is not None
        assert bool(trial.judgement.failure) == (concept == "violin")
        assert not trial.failure
    same = found.judge_agreement()
    assert same is not None
    n_violin = len(found.where(concept="violin"))
    assert (same.n_failed, same.n) == (n_violin, len(found.trials) - n_violin)
    assert same.n_equal == same.n - len(found.where(concept="crow"))
    assert {*found.provenance.components} == {"language_model", "judge"}
    assert found.n_calls["judge"] <= len(found.trials)
    assert found.score("judge", concept="dog").n_trials == len(found.where(concept="dog"))
    assert ProbeOutcome.from_json(found.to_json()) == found


def test_without_a_judge_nothing_is_judged() -> None:
    found = outcome(None)
    assert all(trial.judgement is None for trial in found.trials)
    assert found.judge_agreement() is None
    assert found.score("judge").n_trials == 0
    assert {*found.provenance.components} == {"language_model"}


@pytest.mark.parametrize("name", ["nobody:home"])
def test_an_unknown_judge_is_refused_before_anything_is_asked(name: str) -> None:
    with pytest.raises(BackendNotFoundError, match="nobody"):
        ConceptProbe(Scripted(reply), judge=name)
