"""A captioner followed by a text model: a control that separates audio perception from reasoning.

A question that an audio language model answers correctly and a cascade does not requires more of
the audio than a caption.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import LanguageModel, LikelihoodModel, training_data_of
from audioprobe.registry import load
from audioprobe.training_data import TrainingData
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    Example,
    LogLikelihood,
    Option,
    Prompt,
    Response,
    Waveform,
)

CAPTION_QUESTION = "Write an audio caption describing the sound."
"""LTU's question for captions."""

TEMPLATE = "A sound is described like this:\n{caption}\n\n{question}"
"""The prompt of the reasoner."""

_MAX_CAPTIONS = 4096  # remembered per stream
_FIELD = re.compile(r"\{(\w*)\}")


class Cascade:
    """A captioner describes the audio, and a reasoner answers from caption and question as text.

    A prompt without audio goes to the reasoner unchanged. Audio of examples is captioned too. A
    caption by which the captioner abstains is used like any other. `Response.details` contains the
    caption of the question's audio, and whether it abstained or reached the token limit.

    A cascade whose reasoner has likelihoods is a `LikelihoodCascade`.

    Args:
        captioner: a model that accepts audio, or its name: "tag-captioner", "transformers:FOLDER".
        reasoner: a model that accepts text, or its name.
        caption_question: the question to the captioner about every sound.
        template: text with "{caption}" and "{question}", once each. Captions are inserted as plain
            text; nothing in them is interpreted.
        caption_decoding: decoding options of captions; None is the captioner's default.
        batch_size: prompts that are read and captioned together; does not change responses.

    Raises:
        InvalidInputError: for an empty question, or a template with other fields.
    """

    def __new__(
        cls, captioner: LanguageModel | str, reasoner: LanguageModel | str, **options: object
    ) -> "Cascade":
        """Create a `LikelihoodCascade` if the reasoner has likelihoods."""
        del captioner, options
        model = load("language_model", reasoner)
        cascade = object.__new__(LikelihoodCascade if isinstance(model, LikelihoodModel) else cls)
        cascade._reasoner = model
        return cascade

    _reasoner: LanguageModel

    def __init__(
        self,
        captioner: LanguageModel | str,
        reasoner: LanguageModel | str,
        *,
        caption_question: str = CAPTION_QUESTION,
        template: str = TEMPLATE,
        caption_decoding: Decoding | None = None,
        batch_size: int = 16,
    ) -> None:
        del reasoner  # loaded by __new__
        if not caption_question.strip():
            raise InvalidInputError("caption_question must be a text, got an empty one.")
        if sorted(_FIELD.findall(template)) != ["caption", "question"]:
            raise InvalidInputError(
                f'The template needs "{{caption}}" and "{{question}}", once each and no other '
                f"field, got {template!r}."
            )
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._captioner = load("language_model", captioner)
        self._caption_question = caption_question
        self._template = template
        self._caption_decoding = caption_decoding
        self._batch_size = batch_size

    @property
    def info(self) -> ComponentInfo:
        """Question and template, with both models as parts."""
        options: dict[str, Option] = {
            "caption_question": self._caption_question,
            "template": self._template,
        }
        if self._caption_decoding is not None:
            decoding = asdict(self._caption_decoding)
            options |= {f"caption_{name}": value for name, value in decoding.items()}
        parts = {"captioner": self._captioner.info, "reasoner": self._reasoner.info}
        return ComponentInfo("language_model", "Cascade", "1", options, parts)

    @property
    def training_data(self) -> TrainingData | None:
        """The training data of the captioner; None if unknown."""
        return training_data_of(self._captioner)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield the reasoner's response to each prompt, in order.

        Each distinct sound is captioned once, unless more than 4096 others come in between.

        Args:
            prompts: with or without audio.
            decoding: of the reasoner; None is its default.

        Raises:
            UnsupportedInputError: for a prompt that captioner or reasoner cannot process.
        """
        caption_details: deque[dict[str, Option]] = deque()

        def text_prompts() -> Iterator[Prompt]:
            for prompt, details in self._text_prompts(prompts):
                caption_details.append(details)
                yield prompt

        for response in self._reasoner.generate(text_prompts(), decoding):
            yield replace(response, details={**response.details, **caption_details.popleft()})

    def _text_prompts(
        self, prompts: Iterable[Prompt]
    ) -> Iterator[tuple[Prompt, dict[str, Option]]]:
        """Yield each prompt with captions instead of audio, and the details of its caption."""
        known: OrderedDict[str, Response] = OrderedDict()
        queue = iter(prompts)
        while batch := list(islice(queue, self._batch_size)):
            captions = self._captions(batch, known)
            for prompt in batch:
                examples = tuple(
                    Example(self._render(e.question, e.audio, captions), e.answer)
                    for e in prompt.examples
                )
                text = self._render(prompt.text, prompt.audio, captions)
                yield Prompt(text, examples=examples), _details(prompt, captions)

    def _captions(
        self, batch: Sequence[Prompt], known: OrderedDict[str, Response]
    ) -> dict[str, Response]:
        """Return the captions of all sounds of a batch by digest; `known` is updated."""
        sounds = {sound.digest(): sound for prompt in batch for sound in _sounds_of(prompt)}
        new = [digest for digest in sounds if digest not in known]
        questions = (Prompt(self._caption_question, sounds[digest]) for digest in new)
        answers = self._captioner.generate(questions, self._caption_decoding) if new else ()
        known.update(zip(new, answers, strict=True))
        captions = {digest: known[digest] for digest in sounds}
        for digest in sounds:
            known.move_to_end(digest)
        while len(known) > _MAX_CAPTIONS:
            known.popitem(last=False)
        return captions

    def _render(self, question: str, audio: Waveform | None, captions: dict[str, Response]) -> str:
        if audio is None or not question.strip():  # the reasoner refuses an empty question
            return question
        values = {"caption": captions[audio.digest()].text, "question": question}
        # In one pass, so that braces in a caption are not replaced.
        return _FIELD.sub(lambda match: values[match[1]], self._template)


class LikelihoodCascade(Cascade):
    """A cascade whose reasoner returns likelihoods; construct it as `Cascade`."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield the reasoner's log-likelihoods of the continuations after caption and question."""
        reasoner = self._reasoner
        assert isinstance(reasoner, LikelihoodModel)  # noqa: S101 - as __new__ ensures
        texts = (prompt for prompt, _ in self._text_prompts(prompts))
        yield from reasoner.log_likelihood(texts, continuations)


def _sounds_of(prompt: Prompt) -> Iterator[Waveform]:
    for sound in (*(example.audio for example in prompt.examples), prompt.audio):
        if sound is not None:
            yield sound


def _details(prompt: Prompt, captions: dict[str, Response]) -> dict[str, Option]:
    if prompt.audio is None:
        return {}
    caption = captions[prompt.audio.digest()]
    details = {f"caption {name}": value for name, value in caption.details.items()}
    details["caption"] = caption.text
    if caption.abstained:
        details["caption abstained"] = True
    if caption.finish != "stop":
        details["caption finish"] = caption.finish
    return details
