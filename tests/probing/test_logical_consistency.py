"""Negation, exchanged names and transitivity of models with known contradictions."""

import re

import pytest
from tests.probing.known_models import (
    BY_PHRASE,
    CLIPS,
    CONCEPTS,
    accepts,
    always_yes,
    know_all,
    known_model,
    recognise,
)

from audioprobe import LogLikelihood, Prompt, Scripted
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import ConceptProbe, ProbeConcept, ProbeOutcome, PromptingOptions
from audioprobe.protocols import LanguageModel


def run(model: LanguageModel) -> ProbeOutcome:
    probe = ConceptProbe(
        model,
        concepts=CONCEPTS,
        conditions=("text", "audio"),
        forms=("yes-no", "negated", "reversed"),
        options=PromptingOptions(free_text=False),
        n_clips=1,
        bootstrap=Bootstrap(100),
    )
    return probe(("hypernym", "synonym"), CLIPS)


def test_a_perfect_model_contradicts_nothing() -> None:
    outcome = run(known_model())
    by_condition = [outcome.logical_consistency(condition) for condition in ("text", "audio")]
    for result in by_condition:
        assert result.negation.value == 1.0
        assert result.transitivity.value == 1.0
        assert result.by_distance[1].value == 1.0
    in_text, in_audio = (result.symmetry for result in by_condition)
    assert (in_text.value, in_text.unit) == (1.0, "concepts")
    assert (in_audio.value, in_audio.n) == (None, 0)  # reversed questions are asked in text only


def test_a_model_that_always_says_yes_contradicts_every_negation() -> None:
    result = run(always_yes()).logical_consistency("text")
    assert (result.negation.value, result.symmetry.value, result.transitivity.value) == (0, 1, 1)


def test_reversed_questions_exchange_the_names_of_synonyms() -> None:
    outcome = run(known_model())
    reversed_trials = outcome.where(form="reversed")
    assert {t.question.pair.relation for t in reversed_trials} == {"synonym"}
    assert {t.question.condition for t in reversed_trials} == {"text"}
    for question in (trial.question for trial in reversed_trials):
        texts = {
            t.question.text
            for t in outcome.where(form="yes-no", condition="text", wording=question.wording)
            if t.question.pair == question.pair
        }
        names = question.pair.phrase, question.pair.target_phrase
        assert {exchanged(question.text, *names)} == texts


def exchanged(text: str, a: str, b: str) -> str:
    """Return the text with two names exchanged; one may be the beginning of the other."""
    other = {a: b, b: a}
    either = "|".join(sorted(map(re.escape, other), key=len, reverse=True))
    return re.sub(rf"\b({either})\b", lambda match: other[match[1]], text)


def test_a_model_that_answers_by_the_first_name_is_asymmetric() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        yes = any(prompt.text.startswith(f"Is {phrase} ") for phrase in BY_PHRASE)
        return LogLikelihood(-0.1 if (option == "Yes.") == yes else -3.0, 1)

    result = run(Scripted("Yes.", likelihood=likelihood)).logical_consistency("text")
    assert result.symmetry.value is not None
    assert result.symmetry.value < 0.1


def test_contradictions_are_counted_over_all_distances() -> None:
    def no_animals(concept: ProbeConcept, target: str) -> bool:
        return target != "an animal" and know_all(concept, target)

    outcome = run(known_model(knows=no_animals))
    result = outcome.logical_consistency("audio")
    chains = [c for c in outcome.hypernym_chains("audio") if "an animal" in c.levels]
    two_apart = [c for c in chains if c.levels[-1] == "an animal" and len(c.levels) == 3]
    assert two_apart  # a crow, a bird, an animal: "a crow" implies "an animal", two levels above
    rates = [result.by_distance[n].value for n in (1, 2)]
    assert all(rate is not None and rate < 1 for rate in rates)
    accepted = {
        c.concept: [rate > 0.5 for rate in c.yes_rates] for c in outcome.hypernym_chains("audio")
    }
    pairs = [
        flags[b]
        for flags in accepted.values()
        for a in range(len(flags))
        for b in range(a + 1, len(flags))
        if flags[a]
    ]
    assert result.transitivity.value == pytest.approx(sum(pairs) / len(pairs))
    assert result.transitivity.n == len(pairs)


def test_invalid_answers_are_left_out_and_counted() -> None:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        if "wrong" in prompt.text and "a bird" in prompt.text:
            return LogLikelihood(-1.0, 1)  # a tie
        return LogLikelihood(-0.1 if accepts(recognise, know_all, prompt, option) else -3.0, 1)

    outcome = run(Scripted("Yes.", likelihood=likelihood))
    negation = outcome.logical_consistency("text").negation
    n_birds = len(
        {
            t.question.pair
            for t in outcome.where(form="negated", condition="text")
            if "a bird" in t.question.text
        }
    )
    assert negation.value == 1.0
    assert negation.n_undefined == n_birds > 0
