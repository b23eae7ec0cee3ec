"""Consistency of models that depend on the wording or on the concept in a known way."""

import pytest
from tests.probing.known_models import (
    BY_PHRASE,
    CLIPS,
    CONCEPTS,
    accepts,
    know_all,
    known_model,
    recognise,
)

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, Consistency, ProbeConcept
from audioprobe.protocols import LanguageModel


def consistency_of(model: LanguageModel) -> Consistency:
    probe = ConceptProbe(
        model, concepts=CONCEPTS, conditions=("audio",), n_clips=1, bootstrap=Bootstrap(50)
    )
    return probe("hypernym", CLIPS).consistency("audio")


def test_a_perfect_model_agrees_and_has_no_variance() -> None:
    result = consistency_of(known_model())
    assert result.agreement.value == 1.0
    assert (result.between_concepts, result.between_wordings) == (None, None)
    assert result.n > len(CLIPS)
    assert f"of {len(CLIPS)} concepts" in result.agreement.method  # concepts are resampled


def test_a_model_that_fails_one_wording_varies_between_wordings() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        accepted = accepts(recognise, know_all, prompt, option)
        return LogLikelihood(-0.1 if accepted != prompt.text.startswith(("Does", "Can")) else -3, 1)

    result = consistency_of(Scripted("Yes.", likelihood=likelihood))
    assert result.agreement.value == 0.0
    assert result.between_wordings is not None
    assert result.between_concepts is not None
    # One of three wordings for a class and one of two for a concept are always answered wrongly.
    assert result.between_wordings > 0.9
    assert result.between_concepts < 0.1


def test_a_model_that_knows_only_animals_varies_between_concepts() -> None:
    def know_animals(concept: ProbeConcept, target: str) -> bool:
        return know_all(concept, target) == (concept.kind == "animal")

    result = consistency_of(known_model(knows=know_animals))
    assert result.agreement.value == 1.0
    assert result.between_concepts == pytest.approx(1.0)
    assert result.between_wordings == pytest.approx(0.0, abs=0.02)


def test_differences_between_relations_are_not_differences_between_wordings() -> None:
    def wrong_about_classes(concept: ProbeConcept, target: str) -> bool:
        return know_all(concept, target) == (target in BY_PHRASE)

    result = consistency_of(known_model(knows=wrong_about_classes))
    assert result.agreement.value == 1.0
    assert result.between_wordings == pytest.approx(0.0)


def test_questions_with_an_invalid_answer_are_left_out() -> None:
    result = consistency_of(Scripted("banana"))
    assert (result.agreement.value, result.n) == (None, 0)
    assert (result.between_concepts, result.between_wordings) == (None, None)
