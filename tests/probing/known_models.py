"""Scripted models with known abilities, and clips of concepts that they recognise."""

import hashlib
from collections.abc import Callable
from functools import cache

import numpy as np

from audioprobe import Clip, LogLikelihood, Prompt, Scripted, Waveform
from audioprobe.probing import ProbeConcept, from_concepts

NAMES = (
    "crow", "owl", "duck", "rooster", "dog", "cat", "cow", "frog", "violin", "guitar", "flute",
    "trumpet", "drum", "piano", "cymbal", "organ", "rain", "thunder", "hammer", "saw",
)  # fmt: skip
CONCEPTS = from_concepts().subset(NAMES)
BY_ID = {concept.id: concept for concept in CONCEPTS.concepts}
BY_PHRASE = {concept.phrase: concept for concept in CONCEPTS.concepts}
RATE = 8000
_TARGETS = sorted(
    {target.phrase for concept in CONCEPTS.concepts for target in concept.hypernyms}
    | {*BY_PHRASE}
    | {name for concept in CONCEPTS.concepts for name in concept.synonyms},
    key=len,
    reverse=True,
)

Perception = Callable[[Prompt], str]
Knowledge = Callable[[ProbeConcept, str], bool]


def tone(number: int) -> Waveform:
    time = np.arange(RATE // 10) / RATE
    samples = 0.3 * np.sin(2 * np.pi * (200 + 100 * number) * time)
    return Waveform(samples.astype(np.float32), RATE)


CLIPS = tuple(
    Clip(id=f"{name}.wav", labels=(name,), waveform=tone(n)) for n, name in enumerate(NAMES)
)
_BY_DIGEST = {tone(n).digest(): name for n, name in enumerate(NAMES)}


def recognise(prompt: Prompt) -> str:
    """Perception without errors: the id of the concept of the clip, "" for other sounds."""
    return _BY_DIGEST.get(prompt.audio.digest(), "") if prompt.audio else ""


def confuse(prompt: Prompt) -> str:
    """Perception that takes every concept for a fixed other one, of another kind."""
    name = recognise(prompt)
    return NAMES[(NAMES.index(name) + 7) % len(NAMES)] if name else ""


def recognise_half(prompt: Prompt) -> str:
    """Perception that recognises every other concept."""
    name = recognise(prompt)
    return name if name and NAMES.index(name) % 2 else ""


def recognise_nothing(prompt: Prompt) -> str:
    """Perception that ignores the audio."""
    return ""


def know_all(concept: ProbeConcept, target: str) -> bool:
    """Knowledge of names, synonyms and classes."""
    names = {concept.phrase, *concept.synonyms, *(h.phrase for h in concept.hypernyms)}
    return target in names


def know_names(concept: ProbeConcept, target: str) -> bool:
    """Knowledge of concepts alone: answers about classes are those of a coin."""
    if target in BY_PHRASE:
        return target == concept.phrase
    return hashlib.sha256(f"{concept.id} {target}".encode()).digest()[0] % 2 == 0


def accepts(perceive: Perception, knows: Knowledge, prompt: Prompt, option: str) -> bool:
    """Return whether a continuation is the answer of a model with these abilities."""
    phrases = _phrases_in(prompt.text)
    perceived = perceive(prompt)
    concept = BY_ID.get(perceived) or _concept_in(prompt.text)
    if option not in ("Yes.", "No."):
        return concept is not None and knows(concept, option[:1].lower() + option[1:-1])
    target = next((p for p in phrases if concept is None or p != concept.phrase), "")
    if perceived and concept is not None and concept.phrase in phrases:
        target = concept.phrase
    yes = concept is not None and bool(target) and knows(concept, target)
    return (option == "Yes.") == (yes != ("wrong" in prompt.text))


def known_model(
    perceive: Perception = recognise, knows: Knowledge = know_all, name: str = "known"
) -> Scripted:
    """Return a model with these abilities; responses and likelihoods agree."""

    def answer(prompt: Prompt) -> str:
        if "caption" in prompt.text.lower() and prompt.audio is not None:
            concept = perceive(prompt)
            return f"The sound of {BY_ID[concept].phrase}." if concept else "Nothing."
        return "Yes, it is." if accepts(perceive, knows, prompt, "Yes.") else "No, it is not."

    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        return LogLikelihood(-0.1 if accepts(perceive, knows, prompt, option) else -3.0, 1)

    return Scripted(answer, likelihood=likelihood, name=name)


def always_yes() -> Scripted:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        return LogLikelihood(-0.1 if option == "Yes." else -3.0, 1)

    return Scripted("Yes.", likelihood=likelihood, name="always yes")


@cache
def _phrases_in(text: str) -> tuple[str, ...]:
    """Return the known phrases in a question, the longest first."""
    words = f" {''.join(' ' if c in '?,:.' else c for c in text)} "
    return tuple(phrase for phrase in _TARGETS if f" {phrase} " in words)


@cache
def _concept_in(text: str) -> ProbeConcept | None:
    """Return the first concept that a question names."""
    positions = sorted((text.find(p), p) for p in _phrases_in(text) if p in BY_PHRASE)
    return BY_PHRASE[positions[0][1]] if positions else None
