"""A language model made of two: a captioner, and a text model that reads the captions.

It separates audio perception from reasoning. If an audio language model answers a question
correctly and a cascade does not, then the question requires information about the audio that the
caption does not contain.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import LanguageModel, LikelihoodModel
from audioprobe.registry import load
from audioprobe.spending import Spending, spending_of
from audioprobe.training_data import TrainingData, training_data_of
from audioprobe.types import (
    ComponentInfo,
    Decoding,
    Example,
    InfoRepr,
    LogLikelihood,
    Option,
    Prompt,
    Response,
    Waveform,
)

CAPTION_QUESTION = "Write an audio caption describing the sound."
"""Question that the authors of LTU use to obtain captions."""

TEMPLATE = "A sound is described like this:\n{caption}\n\n{question}"
"""Default prompt of the reasoner, the text model that answers."""

_MAX_CAPTIONS = 4096  # stored in memory per stream
_FIELD = re.compile(r"\{(\w*)\}")


class Cascade(InfoRepr):
    """A captioner that describes the audio, and a text model (the reasoner) that answers.

    The reasoner receives the caption and the question. A prompt without audio is passed to it
    unchanged. Audio in examples is captioned, too. If the captioner abstains, its response is used
    as the caption nevertheless. `Response.details` contains the caption of the question's audio,
    and whether the captioner abstained or reached the token limit.

    If the reasoner returns likelihoods, `Cascade(...)` creates a `LikelihoodCascade`.

    Args:
        captioner: a model that accepts audio, or its name: "tag-captioner", "transformers:FOLDER".
        reasoner: a model that accepts text, or its name.
        caption_question: question for the captioner.
        template: prompt of the reasoner; contains "{caption}" and "{question}" once each.
        caption_decoding: decoding settings for captions; None uses the captioner's default.
        batch_size: number of prompts that are captioned together; does not change responses.

    Raises:
        InvalidInputError: if the question is empty, or the template has other fields.
    """

    def __new__(
        cls, captioner: LanguageModel | str, reasoner: LanguageModel | str, **options: object
    ) -> "Cascade":
        """Create a `LikelihoodCascade` if the reasoner returns likelihoods."""
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
            raise InvalidInputError("caption_question must not be empty, got an empty text.")
        if sorted(_FIELD.findall(template)) != ["caption", "question"]:
            raise InvalidInputError(
                f'template must contain "{{caption}}" and "{{question}}", once each and no other '
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
        """Settings of captioning and template, and the `info` of captioner and reasoner."""
        options: dict[str, Option] = {
            "caption_question": self._caption_question,
            "template": self._template,
        }
        if self._caption_decoding is not None:
            decoding = self._caption_decoding.options
            options |= {f"caption_{name}": value for name, value in decoding.items()}
        parts = {"captioner": self._captioner.info, "reasoner": self._reasoner.info}
        return ComponentInfo("language_model", "Cascade", "1", options, parts)

    @property
    def training_data(self) -> TrainingData | None:
        """Training data of the captioner; None if unknown."""
        return training_data_of(self._captioner)

    @property
    def spending(self) -> Spending | None:
        """Spending of captioner and reasoner; None if both are local."""
        return spending_of(self._captioner, self._reasoner)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield the reasoner's response to each prompt, in order.

        Equal clips are captioned once; up to 4096 captions are stored in memory.

        Args:
            prompts: prompts with or without audio.
            decoding: decoding settings of the reasoner; None uses its default.

        Raises:
            UnsupportedInputError: if captioner or reasoner cannot process a prompt.
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
        """Yield each prompt with captions instead of audio, and a dict of details on the caption.

        The details are added to `Response.details`.
        """
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
        """Return the captions of all clips in a batch, keyed by the hash of the audio.

        Captions in `known` are used again, and new captions are added to it.
        """
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
        """Insert caption and question into the template; do not change a question without audio."""
        if audio is None or not question.strip():  # the reasoner raises for an empty question
            return question
        values = {"caption": captions[audio.digest()].text, "question": question}
        # Replace all fields in one pass, so that braces in a caption have no effect.
        return _FIELD.sub(lambda match: values[match[1]], self._template)


class LikelihoodCascade(Cascade):
    """A cascade whose reasoner returns likelihoods; create it with `Cascade(...)`."""

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield, for each prompt, the reasoner's log-likelihood of each continuation.

        The reasoner receives captions instead of audio, as in `generate`.
        """
        reasoner = self._reasoner
        assert isinstance(reasoner, LikelihoodModel)  # noqa: S101 - ensured by __new__
        texts = (prompt for prompt, _ in self._text_prompts(prompts))
        yield from reasoner.log_likelihood(texts, continuations)


def _sounds_of(prompt: Prompt) -> Iterator[Waveform]:
    """Yield the audio of the examples and of the question."""
    for sound in (*(example.audio for example in prompt.examples), prompt.audio):
        if sound is not None:
            yield sound


def _details(prompt: Prompt, captions: dict[str, Response]) -> dict[str, Option]:
    """Return the caption of the prompt's audio, to add to `Response.details`.

    The dict also contains the details of the caption. It is empty for a prompt without audio.
    """
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
