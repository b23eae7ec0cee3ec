"""A captioner, then a model that reads: the control that tells hearing from reasoning.

What an audio language model answers and a cascade does not, it heard. What both answer needs no
more than a caption.
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
"""LTU's own question for captions."""

TEMPLATE = "A sound is described like this:\n{caption}\n\n{question}"
"""How the reasoner is asked."""

_REMEMBERED = 4096  # captions of one stream
_FIELD = re.compile(r"\{(\w*)\}")


class Cascade:
    """A captioner hears each sound, and a reasoner gets its caption and the question as text.

    A prompt without sound goes to the reasoner as it is. Sounds of examples are captioned too. A
    caption by which the captioner abstains is passed on like any other. `Response.details` holds
    the caption of the question's sound, and says where it abstained or was cut off.

    A cascade whose reasoner has `log_likelihood` is a `LikelihoodCascade`, and has it too.

    Args:
        captioner: a model that hears, or its name: "tag-captioner", "transformers:FOLDER".
        reasoner: a model that reads text, or its name.
        caption_question: what the captioner is asked about every sound.
        template: text with "{caption}" and "{question}", once each; captions are inserted as text
            and nothing in them is interpreted.
        caption_decoding: how captions are drawn; None is the captioner's default.
        batch_size: prompts read, and their sounds captioned, at once; does not change answers.

    Raises:
        InvalidInputError: for an empty question, or a template with other fields.
    """

    def __new__(
        cls,
        captioner: LanguageModel | str,
        reasoner: LanguageModel | str,
        **options: object,
    ) -> "Cascade":
        """As likelihoods are an ability of their own, they have a class of their own."""
        del captioner, options
        loaded = load("language_model", reasoner)
        made = object.__new__(LikelihoodCascade if isinstance(loaded, LikelihoodModel) else cls)
        made._reasoner = loaded
        return made

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
        del reasoner  # kept by __new__, which loads it
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
        """Question and template, and both models as parts."""
        options: dict[str, Option] = {
            "caption_question": self._caption_question,
            "template": self._template,
        }
        if self._caption_decoding is not None:
            drawn = asdict(self._caption_decoding)
            options |= {f"caption_{name}": value for name, value in drawn.items()}
        parts = {"captioner": self._captioner.info, "reasoner": self._reasoner.info}
        return ComponentInfo("language_model", "Cascade", "1", options, parts)

    @property
    def training_data(self) -> TrainingData | None:
        """That of the captioner, which hears; None where it is not known."""
        return training_data_of(self._captioner)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers of the reasoner, in order, one per prompt.

        Each distinct sound is captioned once, as long as no more than 4096 others came between.

        Args:
            prompts: with or without sound.
            decoding: of the reasoner; None is its default.

        Raises:
            UnsupportedInputError: for what the captioner or the reasoner cannot take.
        """
        heard: deque[dict[str, Option]] = deque()

        def texts() -> Iterator[Prompt]:
            for prompt, details in self._in_text(prompts):
                heard.append(details)
                yield prompt

        for response in self._reasoner.generate(texts(), decoding):
            yield replace(response, details={**response.details, **heard.popleft()})

    def _in_text(self, prompts: Iterable[Prompt]) -> Iterator[tuple[Prompt, dict[str, Option]]]:
        """Each prompt without sound, and what is to be told of its caption."""
        known: OrderedDict[str, Response] = OrderedDict()
        queue = iter(prompts)
        while batch := list(islice(queue, self._batch_size)):
            captions = self._captions(batch, known)
            for prompt in batch:
                yield self._told(prompt, captions), _details(prompt, captions)

    def _captions(
        self, batch: Sequence[Prompt], known: OrderedDict[str, Response]
    ) -> dict[str, Response]:
        """Captions of all sounds of a batch, by digest; new ones are asked for and remembered."""
        sounds = {sound.digest(): sound for prompt in batch for sound in _sounds_of(prompt)}
        new = [digest for digest in sounds if digest not in known]
        asked = (Prompt(self._caption_question, sounds[digest]) for digest in new)
        answers = self._captioner.generate(asked, self._caption_decoding) if new else ()
        known.update(zip(new, answers, strict=True))
        captions = {digest: known[digest] for digest in sounds}
        for digest in sounds:
            known.move_to_end(digest)
        while len(known) > _REMEMBERED:
            known.popitem(last=False)
        return captions

    def _told(self, prompt: Prompt, captions: dict[str, Response]) -> Prompt:
        examples = tuple(
            Example(self._render(example.question, example.audio, captions), example.answer)
            for example in prompt.examples
        )
        return Prompt(self._render(prompt.text, prompt.audio, captions), examples=examples)

    def _render(self, question: str, sound: Waveform | None, captions: dict[str, Response]) -> str:
        if sound is None or not question.strip():  # the reasoner refuses an empty question
            return question
        values = {"caption": captions[sound.digest()].text, "question": question}
        # In one pass, so that braces in a caption stay what they are.
        return _FIELD.sub(lambda found: values[found[1]], self._template)


class LikelihoodCascade(Cascade):
    """A cascade whose reasoner says how probable given answers are.

    Build it as `Cascade`.
    """

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Log-likelihood of each continuation for the reasoner, after caption and question."""
        reasoner = self._reasoner
        assert isinstance(reasoner, LikelihoodModel)  # noqa: S101 - which makes it this class
        texts = (prompt for prompt, _ in self._in_text(prompts))
        yield from reasoner.log_likelihood(texts, continuations)


def _sounds_of(prompt: Prompt) -> Iterator[Waveform]:
    for sound in (*(example.audio for example in prompt.examples), prompt.audio):
        if sound is not None:
            yield sound


def _details(prompt: Prompt, captions: dict[str, Response]) -> dict[str, Option]:
    """What a response tells of the question's own caption."""
    if prompt.audio is None:
        return {}
    caption = captions[prompt.audio.digest()]
    told: dict[str, Option] = {f"caption {name}": value for name, value in caption.details.items()}
    told["caption"] = caption.text
    if caption.abstained:
        told["caption abstained"] = True
    if caption.finish != "stop":
        told["caption finish"] = caption.finish
    return told
