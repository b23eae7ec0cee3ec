"""Questions to learn from: about words, and about synthetic scenes whose truth is known."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from audioprobe.concepts import Concept
from audioprobe.datasets.synthetic import SceneSource
from audioprobe.small_ltu.relations import Relation, related
from audioprobe.training.records import QARecord

CAPTION = "Close-ended question: Write an audio caption describing the sound."
"""LTU's own evaluation prompt, word for word."""

LABELS = "Closed-ended question: Classify the sound events in the audio clip."
"""A question of LTU's training data (OpenAQA), word for word."""

_IN_WORDS = {
    "hypernym": (
        "Is {concept} {phrase}?",
        "Would you say that {concept} is {phrase}?",
        "Does {concept} count as {phrase}?",
    ),
    "synonym": (
        "Is {phrase} the same as {concept}?",
        "Is {phrase} another name for {concept}?",
    ),
}
_IN_SOUND = {
    "hypernym": (
        "Is the sound in this recording made by {phrase}?",
        "Does what you hear come from {phrase}?",
        "Listen: is this the sound of {phrase}?",
    ),
    "synonym": (
        "Could one call what is heard here {phrase}?",
        "Is {phrase} a name for what makes this sound?",
    ),
}
_CHOICE_IN_WORDS = "Which of these is {concept}: {options}?"
_CHOICE_IN_SOUND = "Which of these do you hear: {options}?"
_PRESENCE = (
    "Is there the sound of {concept} in this recording?",
    "Can you hear {concept}?",
)
_OPEN = ("What do you hear?", "What makes the sound in this recording?")
_FIRST = "Which sound comes first?"
_LAST = "Which sound comes last?"
_LOUDEST = "Which sound is the loudest?"
_HOW_MANY = "How many different sounds are there?"
_NUMBERS = ("One.", "Two.", "Three.")
_OPENINGS = ("The sound of {}.", "{}.", "One can hear {}.")
N_OPTIONS = 4
"""Of a choice."""

_LOUDER_DB = 4.0  # than any other source, to be called the loudest


def in_words(relation: Relation, rng: np.random.Generator) -> QARecord:
    """The question of a relation, asked of the word."""
    question = _one_of(_IN_WORDS[relation.kind], rng).format(
        concept=relation.concept.phrase, phrase=relation.phrase
    )
    return _words(f"{relation.kind} in words", question, _yes_or_no(holds=relation.holds))


def in_sound(relation: Relation, audio_id: str, rng: np.random.Generator) -> QARecord:
    """The same asked of a clip in which the concept is heard, without naming it."""
    question = _one_of(_IN_SOUND[relation.kind], rng).format(phrase=relation.phrase)
    answer = _yes_or_no(holds=relation.holds)
    return _sound(f"{relation.kind} in sound", question, answer, audio_id)


def choice(
    relation: Relation,
    others: Sequence[str],
    rng: np.random.Generator,
    audio_id: str = "",
) -> QARecord:
    """Which of four: the phrase of a relation that holds, among others.

    Args:
        relation: one that holds.
        others: phrases that would be wrong; three of them are taken.
        rng: for which, and for their order.
        audio_id: of a clip in which the concept is heard; "" asks of the word.
    """
    wrong = [str(phrase) for phrase in rng.choice(list(others), N_OPTIONS - 1, replace=False)]
    options = [str(phrase) for phrase in rng.permutation([relation.phrase, *wrong])]
    offered = listed(options, " or ")
    answer = _sentence(f"{relation.phrase}.")
    if audio_id:
        question = _CHOICE_IN_SOUND.format(options=offered)
        return _sound("choice in sound", question, answer, audio_id)
    question = _CHOICE_IN_WORDS.format(concept=relation.concept.phrase, options=offered)
    return _words("choice in words", question, answer)


def about_scene(
    heard: Sequence[SceneSource],
    audio_id: str,
    concepts: Sequence[Concept],
    rng: np.random.Generator,
) -> tuple[QARecord, ...]:
    """Questions about a scene: its caption, its labels, what is in it and what is not.

    Args:
        heard: its sources, by onset.
        audio_id: of its sound.
        concepts: every source that may be asked for.
        rng: for wordings and for what is not there.

    Returns:
        Caption, labels, an open question, the number of sources, one source that is there and one
        that is not; of several, which is the loudest, and where they follow each other, which comes
        first and last.
    """
    by_id = {concept.id: concept for concept in concepts}
    present = [by_id[source.concept] for source in heard]
    there = [concept.phrase for concept in present]
    asked = [
        ("caption", CAPTION, f"Audio caption: {_caption(heard, there, rng)}"),
        ("labels", LABELS, f"Labels: {'; '.join(concept.name for concept in present)}"),
        ("open", _one_of(_OPEN, rng), f"{_sentence(listed(there, ' and '))}."),
        ("number", _HOW_MANY, _NUMBERS[len(heard) - 1]),
        ("presence", _present(_one_of(there, rng), rng), _yes_or_no(holds=True)),
    ]
    absent = [c.phrase for c in concepts if not any(related(c, other) for other in present)]
    if absent:
        asked.append(("presence", _present(_one_of(absent, rng), rng), _yes_or_no(holds=False)))
    levels = sorted((source.level_db for source in heard), reverse=True)
    if len(heard) > 1 and levels[0] - levels[1] > _LOUDER_DB:
        loudest = max(range(len(heard)), key=lambda n: heard[n].level_db)
        asked.append(("loudness", _LOUDEST, f"{_sentence(there[loudest])}."))
    if _follow(heard):
        asked.append(("order", _FIRST, f"{_sentence(there[0])}."))
        asked.append(("order", _LAST, f"{_sentence(there[-1])}."))
    return tuple(_sound(task, question, answer, audio_id) for task, question, answer in asked)


def _caption(heard: Sequence[SceneSource], there: Sequence[str], rng: np.random.Generator) -> str:
    """One sentence; sources in the order of their beginnings."""
    link = ", then " if _follow(heard) else " and "
    return _sentence(_one_of(_OPENINGS, rng).format(listed(there, link)))


def listed(phrases: Sequence[str], link: str) -> str:
    """Phrases as one says them: commas, and the link before the last."""
    if len(phrases) < 3:
        return link.join(phrases)
    return f"{', '.join(phrases[:-1])}{link}{phrases[-1]}"


def _follow(heard: Sequence[SceneSource]) -> bool:
    """Whether each source begins after the middle of the one before it."""
    return len(heard) > 1 and all(
        later.onset > (earlier.onset + earlier.offset) / 2 for earlier, later in pairwise(heard)
    )


def _one_of(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


def _words(task: str, question: str, answer: str) -> QARecord:
    return QARecord(question, answer, dataset="concepts", task=task)


def _sound(task: str, question: str, answer: str, audio_id: str) -> QARecord:
    return QARecord(question, answer, audio_id, dataset="synthetic", task=task)


def _present(phrase: str, rng: np.random.Generator) -> str:
    return _one_of(_PRESENCE, rng).format(concept=phrase)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _yes_or_no(*, holds: bool) -> str:
    return "Yes." if holds else "No."
