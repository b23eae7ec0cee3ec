"""Yes or no: known listeners get known scores, and the guesser who never listens one half."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pytest

from audioprobe.concepts import Concepts
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.pairs import ConceptPair
from audioprobe.small_ltu.evaluation import yes_no
from audioprobe.small_ltu.relations import hypernym_pairs
from audioprobe.types import Clip, ComponentInfo, LogLikelihood, Prompt, Waveform

CONCEPTS = ("crow", "dog", "owl", "siren", "guitar", "rain", "cow", "flute")
BOOTSTRAP = Bootstrap(n_resamples=200)


class Knower:
    """Says yes where a rule says so."""

    def __init__(self, rule: Callable[[Prompt], bool]) -> None:
        self._rule = rule

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("language model", "knower", "1")

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        for prompt in prompts:
            yes = self._rule(prompt)
            yield [LogLikelihood(-1.0 if yes == (c == "Yes.") else -2.0, 1) for c in continuations]


@pytest.fixture(scope="module")
def relations() -> list[ConceptPair]:
    pairs = hypernym_pairs(Concepts.shipped(), CONCEPTS, held_out=0.0)
    return [relation for pair in pairs for relation in pair.both]


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Clip]]:
    """Two clips a concept, whose level tells which concept it is."""
    return {
        name: [
            Clip(id=f"{name} {k}", waveform=Waveform(np.full(80, n / 10, np.float32), 8000))
            for k in range(2)
        ]
        for n, name in enumerate(CONCEPTS)
    }


def listener(relations: list[ConceptPair]) -> Knower:
    """Knows every class, and tells concepts apart by ear."""
    right = {(r.concept, r.target_phrase) for r in relations if r.holds}

    def rule(prompt: Prompt) -> bool:
        assert prompt.audio is not None
        name = CONCEPTS[round(float(prompt.audio.samples[0]) * 10)]
        return any(c == name and prompt.text.endswith(f" {p}?") for c, p in right)

    return Knower(rule)


def test_a_listener_who_knows_is_always_right_and_a_yes_sayer_half_of_the_time(
    relations: list[ConceptPair], clips: dict[str, list[Clip]]
) -> None:
    heard = yes_no.ask_sounds(listener(relations), relations, clips, seed=0)  # type: ignore[arg-type]
    assert len(heard) == 2 * len(relations)
    found = yes_no.measured("heard", heard, BOOTSTRAP)
    assert found.estimate.value == 1.0
    assert found.blind is not None
    assert found.blind.value == 0.5
    yes = yes_no.ask_words(Knower(lambda _: True), relations, seed=0)  # type: ignore[arg-type]
    assert yes_no.accuracy(yes, BOOTSTRAP).value == 0.5


def test_the_gap_is_paired_by_relation(
    relations: list[ConceptPair], clips: dict[str, list[Clip]]
) -> None:
    heard = yes_no.ask_sounds(listener(relations), relations, clips, seed=0)  # type: ignore[arg-type]
    words = [yes_no.RelationTrial(r, 1.0 if r.holds else -1.0) for r in relations]
    deaf = [yes_no.RelationTrial(t.relation, 1.0) for t in heard]
    assert yes_no.gap(words, heard, BOOTSTRAP).value == 0.0
    found = yes_no.gap(words, deaf, BOOTSTRAP)
    assert found.value == 0.5
    assert found.low is not None
    assert found.low > 0


def test_a_guesser_gains_where_answers_are_not_balanced(relations: list[ConceptPair]) -> None:
    yes = [yes_no.RelationTrial(r, 1.0) for r in relations if r.holds]
    assert yes_no.blind(yes, BOOTSTRAP).value == 1.0


def test_pairs_are_chosen_whole(relations: list[ConceptPair]) -> None:
    pairs = hypernym_pairs(Concepts.shipped(), CONCEPTS, held_out=0.0)
    some = yes_no.relations_of(
        pairs, kind="hypernym", holdings=["audio_and_text"], concepts=["crow", "dog", "owl"]
    )
    assert {r.concept for r in some} <= {"crow", "dog", "owl"}
    assert sum(r.holds for r in some) == sum(not r.holds for r in some) > 0
