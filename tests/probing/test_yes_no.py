"""Yes/no scoring by log-odds: order, batches, ties and failures, with known scorers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from audioprobe import LogLikelihood, Scripted, Waveform
from audioprobe.errors import AudioReadError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import (
    ConceptPair,
    ProbeQuestion,
    accuracy,
    blind_accuracy,
    likelihood_scorer,
    modality_gap,
    score_yes_no,
)

BOOTSTRAP = Bootstrap(20)
SOUND = Waveform(np.full(80, 0.5, np.float32), 8000)


def unreadable() -> Waveform:
    raise AudioReadError("b.wav: not a sound file")


def question(concept: str, clip: str = "", *, holds: bool = True) -> ProbeQuestion:
    pair = ConceptPair(
        concept=concept,
        phrase=concept,
        relation="hypernym",
        target="bird",
        target_phrase="a bird",
        holds=holds,
    )
    return ProbeQuestion(
        pair=pair,
        condition="audio" if clip else "text",
        clip=clip,
        audio=clip,
        text=f"Is {concept} a bird?",
        correct=int(not holds),
    )


QUESTIONS = [
    question("crow", "a.wav"),
    question("crow"),
    question("dog", "b.wav", holds=False),
    question("dog", holds=False),
    question("crow", "a.wav"),
]
SOUNDS = {"a.wav": lambda: SOUND, "b.wav": unreadable}


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_trials_keep_the_order_and_an_unreadable_sound_fails_alone(batch_size: int) -> None:
    batches: list[Sequence[ProbeQuestion]] = []

    def scorer(batch: Sequence[ProbeQuestion], waveforms: Mapping[str, Waveform]) -> list[float]:
        batches.append(batch)
        assert {q.audio for q in batch} - {""} <= set(waveforms)
        return [1.0 if q.pair.holds else -1.0 for q in batch]

    trials = score_yes_no(QUESTIONS, scorer, SOUNDS, batch_size=batch_size)
    assert [trial.question for trial in trials] == QUESTIONS
    assert [trial.failure for trial in trials] == ["", "", "b.wav: not a sound file", "", ""]
    assert [trial.is_correct("likelihood") for trial in trials] == [True, True, None, True, True]
    assert all(len(batch) <= batch_size for batch in batches)
    assert all(len({bool(q.audio) for q in batch}) == 1 for batch in batches)


@pytest.mark.parametrize("log_odds", [0.0, math.nan, math.inf])
def test_ties_and_values_that_are_not_finite_are_invalid_and_counted(log_odds: float) -> None:
    trials = score_yes_no(QUESTIONS[1:2], lambda *_: [log_odds], {})
    assert trials[0].choice("likelihood") is None
    estimate = accuracy(trials, "likelihood", BOOTSTRAP)
    assert (estimate.value, estimate.n_undefined) == (None, 1)


def test_a_likelihood_model_is_a_scorer_and_the_modality_gap_is_paired() -> None:
    def likelihood(prompt: object, option: str) -> LogLikelihood:
        says_yes = "crow" in getattr(prompt, "text", "") or getattr(prompt, "audio", None)
        return LogLikelihood(-0.1 if (option == "Yes.") == bool(says_yes) else -2.0, 1)

    questions = [
        question(c, clip, holds=c == "crow") for c in ("crow", "dog") for clip in ("", "x")
    ]
    scorer = likelihood_scorer(Scripted("Yes.", likelihood=likelihood))
    trials = score_yes_no(questions, scorer, {"x": lambda: SOUND})
    gap = modality_gap(trials, "likelihood", BOOTSTRAP)
    assert gap.difference.value == 0.5
    assert gap.n_unpaired == 0
    assert blind_accuracy(trials, "likelihood", BOOTSTRAP).value == 0.5
