"""What answers to paraphrases depend on: listeners of whom it is known."""

import pytest
from tests.probing.listeners import CLIPS, PHRASES, SUBJECTS, heard, knows, likes, listener

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.concept_probe import ConceptProbe
from audioprobe.probing.consistency import Consistency
from audioprobe.probing.relations.concept_set import ProbeConcept
from audioprobe.protocols import LanguageModel


def of(model: LanguageModel) -> Consistency:
    probe = ConceptProbe(
        model, concepts=SUBJECTS, conditions=("audio",), n_clips=1, bootstrap=Bootstrap(200)
    )
    return probe("hypernym", CLIPS).consistency("audio")


def test_one_that_is_always_right_agrees_and_has_no_variance() -> None:
    found = of(listener())
    assert found.agreement.value == 1.0
    assert (found.between_concepts, found.between_wordings) == (None, None)
    assert found.n > len(CLIPS)
    assert f"of {len(CLIPS)} concepts" in found.agreement.method  # concepts, not questions


def test_one_that_trips_over_a_wording_varies_by_wordings() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        right = likes(heard, knows, prompt, option) != prompt.text.startswith(("Does", "Can"))
        return LogLikelihood(-0.1 if right else -3.0, 1)

    found = of(Scripted("Yes.", likelihood=likelihood))
    assert found.agreement.value == 0.0
    assert found.between_wordings is not None
    assert found.between_concepts is not None
    # One of three wordings for a class and one of two for a concept are always answered wrongly.
    assert found.between_wordings > 0.9
    assert found.between_concepts < 0.1


def test_one_that_knows_only_animals_varies_by_concepts() -> None:
    def mind(subject: ProbeConcept, target: str) -> bool:
        return knows(subject, target) == (subject.kind == "animal")

    found = of(listener(mind=mind))
    assert found.agreement.value == 1.0
    assert found.between_concepts == pytest.approx(1.0)
    assert found.between_wordings == pytest.approx(0.0, abs=0.02)


def test_what_sets_relations_apart_is_no_difference_of_wordings() -> None:
    def mind(subject: ProbeConcept, target: str) -> bool:
        return knows(subject, target) == (target in PHRASES)  # all classes are answered wrongly

    found = of(listener(mind=mind))
    assert found.agreement.value == 1.0
    assert found.between_wordings == pytest.approx(0.0)


def test_a_question_with_an_unread_wording_is_left_out() -> None:
    found = of(Scripted("banana"))
    assert (found.agreement.value, found.n) == (None, 0)
    assert (found.between_concepts, found.between_wordings) == (None, None)
