"""Questions to learn from: about words, and about synthetic scenes whose truth is known."""

from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.concepts import Concept
from audioprobe.datasets.synthetic.scenes import Scene
from audioprobe.training.records import Record
from audioprobe.training.relations import Relation

CAPTION = "Close-ended question: Write an audio caption describing the sound."
"""LTU's own evaluation prompt, word for word."""

_LABELS = "Closed-ended question: Classify the sound events in the audio clip."  # of OpenAQA
_IN_WORDS = (
    "Is {concept} {rung}?",
    "Would you say that {concept} is {rung}?",
    "Does {concept} count as {rung}?",
)
_IN_SOUND = (
    "Is the sound in this recording made by {rung}?",
    "Does what you hear come from {rung}?",
    "Listen: is this the sound of {rung}?",
)
_PRESENCE = (
    "Is there the sound of {concept} in this recording?",
    "Can you hear {concept}?",
)
_FIRST = "Which sound comes first?"
_OPENINGS = ("The sound of {}.", "{}.", "One can hear {}.")


def in_words(relation: Relation, rng: np.random.Generator) -> Record:
    """The question of a relation, asked of the word."""
    question = str(rng.choice(_IN_WORDS)).format(
        concept=relation.concept.phrase, rung=relation.rung.phrase
    )
    return Record(question, _yes_or_no(holds=relation.holds), dataset="concepts", task="words")


def in_sound(relation: Relation, audio_id: str, rng: np.random.Generator) -> Record:
    """The same asked of a clip in which the concept is heard, without naming it."""
    question = str(rng.choice(_IN_SOUND)).format(rung=relation.rung.phrase)
    return Record(
        question, _yes_or_no(holds=relation.holds), audio_id, dataset="synthetic", task="sound"
    )


def about_scene(
    scene: Scene, audio_id: str, phrases: Mapping[str, str], rng: np.random.Generator
) -> tuple[Record, ...]:
    """Questions about a scene: its caption, its labels, what is in it and what is not.

    Args:
        scene: with its truth.
        audio_id: of its sound.
        phrases: of every source that may be asked for, by id: "a crow".
        rng: for wordings and for what is not there.

    Returns:
        Caption, labels, one source that is there and one that is not; where several follow each
        other, which comes first.
    """
    there = [phrases[heard.concept] for heard in scene.heard]
    absent = [p for name, p in phrases.items() if all(name != h.concept for h in scene.heard)]
    asked = [
        ("caption", CAPTION, f"Audio caption: {_caption(scene, there, rng)}"),
        ("labels", _LABELS, f"Labels: {'; '.join(map(_name, there))}"),
        ("presence", _present(str(rng.choice(there)), rng), _yes_or_no(holds=True)),
    ]
    if absent:
        asked.append(("presence", _present(str(rng.choice(absent)), rng), _yes_or_no(holds=False)))
    if _follow(scene):
        asked.append(("order", _FIRST, f"{_sentence(there[0])}."))
    return tuple(
        Record(question, answer, audio_id, dataset="synthetic", task=task)
        for task, question, answer in asked
    )


def phrases_of(concepts: Sequence[Concept]) -> dict[str, str]:
    """How each concept is said, by its id."""
    return {concept.id: concept.phrase for concept in concepts}


def _caption(scene: Scene, there: Sequence[str], rng: np.random.Generator) -> str:
    """One sentence; sources in the order of their beginnings."""
    link = ", then " if _follow(scene) else " and "
    said = link.join(there) if len(there) < 3 else f"{', '.join(there[:-1])}{link}{there[-1]}"
    return _sentence(str(rng.choice(_OPENINGS)).format(said))


def _follow(scene: Scene) -> bool:
    """Whether each source begins after the middle of the one before it."""
    pairs = zip(scene.heard, scene.heard[1:], strict=False)
    return len(scene.heard) > 1 and all(
        later.onset > (earlier.onset + earlier.offset) / 2 for earlier, later in pairs
    )


def _present(phrase: str, rng: np.random.Generator) -> str:
    return str(rng.choice(_PRESENCE)).format(concept=phrase)


def _name(phrase: str) -> str:
    return phrase.removeprefix("an ").removeprefix("a ").removeprefix("the ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _yes_or_no(*, holds: bool) -> str:
    return "Yes." if holds else "No."
