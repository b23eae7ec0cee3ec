"""Yes/no accuracy of models with known answers, and of a guesser without audio."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from audioprobe.concepts import Concepts
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.trial import ConceptPair
from audioprobe.small_ltu.measures import (
    accuracy_measure,
    relation_trials,
    relations_with_role,
)
from audioprobe.small_ltu.relations import RelationPair, hypernym_pairs
from audioprobe.types import Clip, ComponentInfo, LogLikelihood, Prompt, Waveform

CONCEPTS = ("crow", "dog", "owl", "siren", "guitar", "rain", "cow", "flute")
BOOTSTRAP = Bootstrap(n_resamples=200)


class RuleModel:
    """Answers by a rule: by how many nats "Yes." is more likely than "No."."""

    def __init__(self, rule: Callable[[Prompt], float]) -> None:
        self._rule = rule

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("language model", "rule", "1")

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        for prompt in prompts:
            lead = self._rule(prompt)
            yield [LogLikelihood(-5.0 + (c == "Yes.") * lead, 1) for c in continuations]


@pytest.fixture(scope="module")
def pairs() -> tuple[RelationPair, ...]:
    return hypernym_pairs(Concepts.shipped(), CONCEPTS, held_out=0.0)


@pytest.fixture(scope="module")
def relations(pairs: tuple[RelationPair, ...]) -> list[ConceptPair]:
    return [relation for pair in pairs for relation in pair.both]


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Clip]]:
    """Two clips per concept, whose level identifies the concept."""
    return {
        name: [
            Clip(id=f"{name} {k}", waveform=Waveform(np.full(80, n / 10, np.float32), 8000))
            for k in range(2)
        ]
        for n, name in enumerate(CONCEPTS)
    }


def all_knowing(relations: list[ConceptPair]) -> RuleModel:
    """Identifies the concept of a clip or text, and knows its classes."""
    true = {(r.concept, r.target_phrase) for r in relations if r.holds}
    phrases = {r.phrase: r.concept for r in relations}

    def rule(prompt: Prompt) -> float:
        if prompt.audio is not None:
            concept = CONCEPTS[round(float(prompt.audio.samples[0]) * 10)]
        else:
            concept = next(c for p, c in phrases.items() if f" {p} " in prompt.text)
        is_true = any(c == concept and prompt.text.endswith(f" {p}?") for c, p in true)
        return 1.0 if is_true else -1.0

    return RuleModel(rule)


def test_all_knowing_model_is_correct_and_constant_yes_half_of_the_time(
    relations: list[ConceptPair], clips: dict[str, list[Clip]]
) -> None:
    trials = relation_trials(all_knowing(relations), relations, 0, clips)  # type: ignore[arg-type]
    assert len(trials) == 2 * len(relations)
    measure = accuracy_measure("audio", trials, BOOTSTRAP)
    assert measure.estimate.value == 1.0
    assert measure.blind is not None
    assert measure.blind.value == 0.5
    yes = relation_trials(RuleModel(lambda _: 1.0), relations, 0)  # type: ignore[arg-type]
    assert accuracy_measure("text", yes, BOOTSTRAP).estimate.value == 0.5


def test_gap_is_paired_by_relation(
    relations: list[ConceptPair], clips: dict[str, list[Clip]]
) -> None:
    model, yes = all_knowing(relations), RuleModel(lambda _: 1.0)
    text = relation_trials(model, relations, 0)  # type: ignore[arg-type]
    audio, without_audio = (
        relation_trials(m, relations, 0, clips)  # type: ignore[arg-type]
        for m in (model, yes)
    )
    assert modality_gap([*text, *audio], "likelihood", BOOTSTRAP).difference.value == 0.0
    gap = modality_gap([*text, *without_audio], "likelihood", BOOTSTRAP).difference
    assert gap.value == 0.5
    assert gap.low is not None
    assert gap.low > 0


@pytest.mark.parametrize("lead", [0.0, 1e-9])
def test_ties_are_undefined(relations: list[ConceptPair], lead: float) -> None:
    calls: list[Prompt] = []

    def rule(prompt: Prompt) -> float:
        calls.append(prompt)
        return lead if len(calls) == 1 else 1.0

    trials = relation_trials(RuleModel(rule), relations, 0)  # type: ignore[arg-type]
    estimate = accuracy_measure("text", trials, BOOTSTRAP).estimate
    assert (estimate.n, estimate.n_undefined) == (len(relations) - 1, 1)


def test_guesser_gains_from_unbalanced_answers(relations: list[ConceptPair]) -> None:
    true = [relation for relation in relations if relation.holds]
    trials = relation_trials(RuleModel(lambda _: 1.0), true, 0)  # type: ignore[arg-type]
    blind = accuracy_measure("text", trials, BOOTSTRAP).blind
    assert blind is not None
    assert blind.value == 1.0


def test_pairs_are_selected_as_a_whole(pairs: tuple[RelationPair, ...]) -> None:
    chosen = relations_with_role(pairs, ["audio_and_text"], ["crow", "dog", "owl"])
    assert {relation.concept for relation in chosen} <= {"crow", "dog", "owl"}
    assert sum(r.holds for r in chosen) == sum(not r.holds for r in chosen) > 0
    assert relations_with_role(pairs, ["held_out"], CONCEPTS) == []
