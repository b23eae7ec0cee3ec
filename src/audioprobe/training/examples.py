"""Training examples: questions with their answers, in text and as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.training.trainable import PromptTokenizer

MAX_TOKENS = 108
"""Longest sequence in LTU's training, in text tokens; longer sequences are truncated."""

IGNORED = -100
"""Label of a token that does not count in the loss, as in torch and transformers."""

LossTargets = Literal["all", "answer"]
"""Which tokens count in the loss: "all" (question and answer, as LTU does) or only the answer."""

CAPTION_QUESTION = "Close-ended question: Write an audio caption describing the sound."
"""The question of LTU's evaluation, verbatim."""

LABELS_QUESTION = "Closed-ended question: Classify the sound events in the audio clip."
"""A question of LTU's training data (OpenAQA), verbatim."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class QARecord:
    """A question with its answer; field names are those of LTU's training data (OpenAQA).

    Attributes:
        instruction: the question.
        output: the answer.
        audio_id: id of the clip; "" for a question without audio.
        input: text between question and answer: the transcript in LTU-AS, "" in LTU.
        dataset: name of the dataset that contains the clip.
        task: kind of question, such as "caption".
    """

    instruction: str
    output: str
    audio_id: str = ""
    input: str = ""
    dataset: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        if not self.instruction.strip() or not self.output.strip():
            raise InvalidInputError(
                "Expected a question and an answer that are not empty, got "
                f"{self.instruction!r:.60} and {self.output!r:.60}."
            )


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """The token ids of one question with its answer.

    Attributes:
        ids: token ids, from the beginning-of-sequence token to the end-of-sequence token; a
            truncated sequence has no end-of-sequence token.
        n_prompt: number of tokens before the answer.
        audio_id: id of the clip; "" if there is no audio.
    """

    ids: tuple[int, ...]
    n_prompt: int
    audio_id: str

    def labels(self, targets: LossTargets) -> list[int]:
        """Return the token ids, with `IGNORED` in place of tokens that do not count in the loss."""
        n_ignored = 1 if targets == "all" else self.n_prompt
        return [IGNORED] * n_ignored + list(self.ids[n_ignored:])


def encode_record(
    record: QARecord, tokenizer: PromptTokenizer, *, max_tokens: int = MAX_TOKENS
) -> TrainingExample:
    """Tokenise the question and answer of a record together, as LTU's `finetune.py` does.

    A sequence shorter than `max_tokens` ends with the end-of-sequence token. A longer sequence is
    truncated to `max_tokens`, without end-of-sequence token.

    Raises:
        InvalidInputError: if no token of the answer remains after truncation.
    """
    prompt = tokenizer.prompt(record.instruction, record.input)
    n_prompt = len(tokenizer.tokenize(prompt))
    ids = tokenizer.tokenize(prompt + record.output)[:max_tokens]
    if len(ids) <= n_prompt:
        raise InvalidInputError(
            f"The prompt with the question {record.instruction!r:.60} has {n_prompt} tokens, which "
            f"leaves no space for the answer in max_tokens = {max_tokens}. Shorten the question, "
            "or raise max_tokens."
        )
    if len(ids) < max_tokens:
        ids = [*ids, tokenizer.eos_token_id]
    return TrainingExample(tuple(ids), n_prompt, record.audio_id)


class ConceptRelation(Protocol):
    """A true or false relation of a concept ("a crow") to a class ("a bird") or another name.

    `audioprobe.probing.trial.ConceptPair` implements this protocol.
    """

    @property
    def relation(self) -> str:
        """Kind of relation: "hypernym" (the target is a class) or "synonym" (a name)."""
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
        """Whether the relation is true, so that the answer is "yes"."""
        ...


def caption_record(phrases: Sequence[str], audio_id: str) -> QARecord:
    """Return a question for a caption, with the answer "Audio caption: The sound of a crow."."""
    answer = f"Audio caption: {caption_of(phrases)}"
    return QARecord(instruction=CAPTION_QUESTION, output=answer, audio_id=audio_id, task="caption")


def labels_record(labels: Sequence[str], audio_id: str) -> QARecord:
    """Return the question for the labels of a clip, with its answer ("Labels: crow; rain")."""
    answer = f"Labels: {'; '.join(labels)}"
    return QARecord(instruction=LABELS_QUESTION, output=answer, audio_id=audio_id, task="labels")


def caption_of(phrases: Sequence[str]) -> str:
    """Return a caption of one sentence, such as "The sound of a crow and rain."."""
    return f"The sound of {enumerate_phrases(phrases, ' and ')}."


def relation_question(
    relation: ConceptRelation, rng: np.random.Generator, audio_id: str = ""
) -> QARecord:
    """Return a yes/no question about a relation, with its answer, in a random wording.

    Args:
        relation: relation of a concept to a class or to another name.
        rng: random generator for the wording.
        audio_id: id of a clip of the concept for an audio question, which does not name the
            concept; "" for a text question, which names the concept.
    """
    templates = _AUDIO_QUESTIONS if audio_id else _TEXT_QUESTIONS
    return QARecord(
        instruction=draw(templates[relation.relation], rng).format(
            phrase=relation.phrase, target=relation.target_phrase
        ),
        output=yes_or_no(holds=relation.holds),
        audio_id=audio_id,
        dataset="synthetic" if audio_id else "concepts",
        task=f"{relation.relation}, {'audio' if audio_id else 'text'}",
    )


def enumerate_phrases(phrases: Sequence[str], link: str) -> str:
    """Join phrases as in "a crow, a dog and rain"; `link` is " and " in this example."""
    if len(phrases) < 3:
        return link.join(phrases)
    return f"{', '.join(phrases[:-1])}{link}{phrases[-1]}"


def yes_or_no(*, holds: bool) -> str:
    """Return the answer to a yes/no question: "Yes." if the relation holds, otherwise "No."."""
    return "Yes." if holds else "No."


def draw(texts: Sequence[str], rng: np.random.Generator) -> str:
    """Return one of the texts, drawn at random with equal probability."""
    return texts[int(rng.integers(len(texts)))]
