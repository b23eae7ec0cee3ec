"""Listeners whose talents are known: what a probe must tell apart."""

import hashlib
from collections.abc import Callable

import numpy as np

from audioprobe import Clip, LogLikelihood, Prompt, Scripted, Waveform
from audioprobe.concepts import Concepts
from audioprobe.probing.relations.concept_set import ProbeConcept, from_concepts

ASKED = (
    "crow",
    "owl",
    "duck",
    "rooster",
    "dog",
    "cat",
    "cow",
    "frog",
    "violin",
    "guitar",
    "flute",
    "trumpet",
    "drum",
    "piano",
    "cymbal",
    "organ",
    "rain",
    "thunder",
    "hammer",
    "saw",
)
SUBJECTS = from_concepts(Concepts.shipped()).subset(ASKED)
BY_ID = {subject.id: subject for subject in SUBJECTS.concepts}
RATE = 8000


def tone(number: int) -> Waveform:
    time = np.arange(RATE // 10) / RATE
    return Waveform(
        (0.3 * np.sin(2 * np.pi * (200 + 100 * number) * time)).astype(np.float32), RATE
    )


CLIPS = tuple(
    Clip(id=f"{name}.wav", labels=(name,), waveform=tone(n)) for n, name in enumerate(ASKED)
)
HEARD = {tone(n).digest(): name for n, name in enumerate(ASKED)}
PHRASES = {subject.phrase: subject for subject in SUBJECTS.concepts}
TARGETS = (
    {t.phrase for s in SUBJECTS.concepts for t in s.hypernyms}
    | {*PHRASES}
    | {name for s in SUBJECTS.concepts for name in s.synonyms}
)

Ear = Callable[[Prompt], str]
Mind = Callable[[ProbeConcept, str], bool]


def heard(prompt: Prompt) -> str:
    """A good ear: the id of the concept that is played, "" for anything else."""
    return HEARD.get(prompt.audio.digest(), "") if prompt.audio else ""


def misheard(prompt: Prompt) -> str:
    """An ear that takes every concept for one fixed other of another kind."""
    name = heard(prompt)
    return ASKED[(ASKED.index(name) + 7) % len(ASKED)] if name else ""


def knows(subject: ProbeConcept, target: str) -> bool:
    """A good mind: what is true of a concept."""
    names = {subject.phrase, *subject.synonyms, *(rung.phrase for rung in subject.hypernyms)}
    return target in names


def knows_names(subject: ProbeConcept, target: str) -> bool:
    """A mind that knows concepts and nothing above them: it answers about classes by a coin."""
    if target in PHRASES:
        return target == subject.phrase
    return hashlib.sha256(f"{subject.id} {target}".encode()).digest()[0] % 2 == 0


def likes(ear: Ear, mind: Mind, prompt: Prompt, option: str) -> bool:
    """Whether a continuation is what such a listener would say."""
    text = prompt.text
    named = [phrase for phrase in sorted(TARGETS, key=len, reverse=True) if _has(text, phrase)]
    subject = BY_ID.get(ear(prompt)) or _in_words(text, named)
    if option not in ("Yes.", "No."):
        return subject is not None and mind(subject, _lower(option[:-1]))
    target = next((phrase for phrase in named if subject is None or phrase != subject.phrase), "")
    if ear(prompt) and subject is not None and subject.phrase in named:
        target = subject.phrase
    yes = subject is not None and bool(target) and mind(subject, target)
    return (option == "Yes.") == (yes != ("wrong" in text))


def listener(ear: Ear = heard, mind: Mind = knows, name: str = "listener") -> Scripted:
    """A model with an ear and a mind; its free answers are those it likes best."""

    def answer(prompt: Prompt) -> str:
        if "caption" in prompt.text.lower() and prompt.audio is not None:
            concept = ear(prompt)
            return f"The sound of {BY_ID[concept].phrase}." if concept else "Nothing."
        return "Yes, it is." if likes(ear, mind, prompt, "Yes.") else "No, it is not."

    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        return LogLikelihood(-0.1 if likes(ear, mind, prompt, option) else -3.0, 1)

    return Scripted(answer, likelihood=likelihood, name=name)


def yes_sayer() -> Scripted:
    def likelihood(prompt: Prompt, option: str) -> LogLikelihood:
        return LogLikelihood(-0.1 if option == "Yes." else -3.0, 1)

    return Scripted("Yes.", likelihood=likelihood, name="yes-sayer")


def _in_words(text: str, named: list[str]) -> ProbeConcept | None:
    """Of a question about a word: the concept that stands first, or second for a synonym."""
    subjects = sorted((text.find(phrase), phrase) for phrase in named if phrase in PHRASES)
    return PHRASES[subjects[0][1]] if subjects else None


def _has(text: str, phrase: str) -> bool:
    words = f" {text.replace('?', ' ').replace(',', ' ').replace(':', ' ').replace('.', ' ')} "
    return f" {phrase} " in words


def _lower(option: str) -> str:
    return option[:1].lower() + option[1:]
