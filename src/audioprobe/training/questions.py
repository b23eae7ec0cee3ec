"""Training questions about clips and about relations of concepts."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from audioprobe.training.examples import QARecord

CAPTION_QUESTION = "Close-ended question: Write an audio caption describing the sound."
"""The question of LTU's evaluation, verbatim."""

LABELS_QUESTION = "Closed-ended question: Classify the sound events in the audio clip."
"""A question of LTU's training data (OpenAQA), verbatim."""

RelationCondition = Literal["text", "audio"]
"""Whether a question names the concept ("text") or is asked about a clip of it ("audio")."""

_TEXT_QUESTIONS = {
    "hypernym": (
        "Is {phrase} {target}?",
        "Would you say that {phrase} is {target}?",
        "Does {phrase} count as {target}?",
    ),
    "synonym": ("Is {target} the same as {phrase}?", "Is {target} another name for {phrase}?"),
}
_AUDIO_QUESTIONS = {
    "hypernym": (
        "Is the sound in this recording made by {target}?",
        "Does what you hear come from {target}?",
        "Listen: is this the sound of {target}?",
    ),
    "synonym": (
        "Could one call what is heard here {target}?",
        "Is {target} a name for what makes this sound?",
    ),
}


class ConceptRelation(Protocol):
    """A concept (a sound source such as "a crow"), a target, and whether the target is correct.

    The target is a class ("a bird") or another name of the concept.
    `audioprobe.probing.pairs.ConceptPair` implements this protocol.
    """

    @property
    def relation(self) -> str:
        """Kind of relation: "hypernym" (the target is a class) or "synonym" (another name)."""
        ...

    @property
    def phrase(self) -> str:
        """Phrase that names the concept in a sentence, such as "a crow"."""
        ...

    @property
    def target_phrase(self) -> str:
        """Phrase that names the target in a sentence, such as "a bird"."""
        ...

    @property
    def holds(self) -> bool:
        """Whether the target is correct, so that the answer is "yes"."""
        ...


def caption_record(phrases: Sequence[str], audio_id: str) -> QARecord:
    """Return the caption question; the answer is such as "Audio caption: The sound of a crow."."""
    answer = f"Audio caption: {caption_of(phrases)}"
    return QARecord(instruction=CAPTION_QUESTION, output=answer, audio_id=audio_id, task="caption")


def labels_record(labels: Sequence[str], audio_id: str) -> QARecord:
    """Return the question for the labels of a clip, with its answer ("Labels: crow; rain")."""
    answer = f"Labels: {'; '.join(labels)}"
    return QARecord(instruction=LABELS_QUESTION, output=answer, audio_id=audio_id, task="labels")


def caption_of(phrases: Sequence[str]) -> str:
    """Return a caption of one sentence, such as "The sound of a crow and rain."."""
    return f"The sound of {enumerate_phrases(phrases, ' and ')}."


def text_question(relation: ConceptRelation, rng: np.random.Generator) -> QARecord:
    """Return a yes/no question about a relation, which names the concept, in a random wording."""
    return _relation_record(relation, _TEXT_QUESTIONS, rng, "text", "")


def audio_question(relation: ConceptRelation, audio_id: str, rng: np.random.Generator) -> QARecord:
    """Return a yes/no question about a relation, asked about a clip without naming the concept."""
    return _relation_record(relation, _AUDIO_QUESTIONS, rng, "audio", audio_id)


def enumerate_phrases(phrases: Sequence[str], link: str) -> str:
    """Return the phrases as an enumeration; `link` (such as " and ") precedes the last phrase."""
    if len(phrases) < 3:
        return link.join(phrases)
    return f"{', '.join(phrases[:-1])}{link}{phrases[-1]}"


def yes_or_no(*, holds: bool) -> str:
    """Return "Yes." or "No."."""
    return "Yes." if holds else "No."


def draw(texts: Sequence[str], rng: np.random.Generator) -> str:
    """Return a randomly drawn text."""
    return texts[int(rng.integers(len(texts)))]


def _relation_record(
    relation: ConceptRelation,
    templates: dict[str, tuple[str, ...]],
    rng: np.random.Generator,
    condition: RelationCondition,
    audio_id: str,
) -> QARecord:
    template = draw(templates[relation.relation], rng)
    return QARecord(
        instruction=template.format(phrase=relation.phrase, target=relation.target_phrase),
        output=yes_or_no(holds=relation.holds),
        audio_id=audio_id,
        dataset="synthetic" if audio_id else "concepts",
        task=f"{relation.relation}, {condition}",
    )
