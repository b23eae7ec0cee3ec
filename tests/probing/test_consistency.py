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
from audioprobe.texts import stable_hash


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
    assert result.between_wordings == pytest.approx(1)
    assert result.between_concepts == pytest.approx(0)
    assert result.correctness_rate.value == 0.0
    # Two of three pairs of wordings for a class differ, and the pair for a concept.
    assert 0 < (result.consistency_rate.value or 0) < 1 / 3


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
    # Within each relation all answers are equally correct.
    assert (result.between_concepts, result.between_wordings) == (None, None)
    assert 0 < (result.correctness_rate.value or 0) < 1


def test_rates_of_a_guessing_model_are_at_their_chance_levels() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        sound = prompt.audio.digest() if prompt.audio else ""
        key = f"{prompt.text} {sound} {option}"
        return LogLikelihood(-1 - stable_hash(key) % 1000 / 1000, 1)

    model = Scripted("Yes.", likelihood=likelihood)
    result = consistency_of(model)
    assert result.chance_consistency == 0.5
    assert result.chance_agreement == pytest.approx(2 * (result.chance_correctness or 0))
    for rate, chance in (
        (result.agreement, result.chance_agreement),
        (result.consistency_rate, result.chance_consistency),
        (result.correctness_rate, result.chance_correctness),
    ):
        assert rate.value == pytest.approx(chance, abs=0.12)
    for part in result.variance.values():
        assert part.share.value == pytest.approx(part.chance, abs=0.1)


def test_orders_of_options_are_variants_and_answers_are_compared_by_their_text() -> None:
    def run(model: Scripted) -> Consistency:
        probe = ConceptProbe(
            model,
            concepts=CONCEPTS,
            conditions=("text",),
            forms=("choice",),
            n_orders=4,
            bootstrap=Bootstrap(50),
        )
        return probe("hypernym").consistency("text", form="choice")

    perfect = run(known_model())
    assert (perfect.agreement.value, perfect.correctness_rate.value) == (1.0, 1.0)
    assert perfect.chance_consistency == 0.25
    assert perfect.chance_correctness == 0.25**4
    last = run(Scripted("Yes.", likelihood=prefer_last))
    assert last.agreement.value == 0.0  # the last position has another option in each order
    assert last.between_wordings == pytest.approx(1) or last.variance["residual"].share.value


def prefer_last(prompt: Prompt, option: str) -> LogLikelihood:
    """Return likelihoods of a model that chooses the last option of a list."""
    is_last = prompt.text.rstrip("?").endswith(option[1:].rstrip("."))
    return LogLikelihood(-0.1 if is_last else -3.0, 1)


def test_questions_with_an_invalid_answer_are_left_out() -> None:
    result = consistency_of(Scripted("banana"))
    assert (result.agreement.value, result.n) == (None, 0)
    assert (result.between_concepts, result.between_wordings) == (None, None)
