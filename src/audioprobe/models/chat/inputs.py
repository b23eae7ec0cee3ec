"""Convert prompts to the input tensors of a transformers model, with the model's chat template."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from audioprobe.audio.transforms import resample
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.causal_lm.tokenization import refuse_control_tokens, special_tokens, text_ids
from audioprobe.models.chat.template import (
    ChatTemplate,
    Turn,
    as_files,
    as_plain_text,
    audio_of,
    reasoning_mark,
)
from audioprobe.models.chat.truncation import TruncationDetector
from audioprobe.responses import split_reasoning
from audioprobe.types import FloatArray, Prompt, Waveform

_MIN_AUDIO_TOKENS = 2  # 80 ms for models with an encoder like Whisper's


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt as input of a model.

    Attributes:
        inputs: input tensors with batch size 1.
        truncated: seconds of audio that the processor dropped, for `Response.details`; keyed by a
            description such as "truncated audio (s)".
        reasoning_mark: mark that starts reasoning at the end of the prompt, such as "<think>"; ""
            if there is no mark.
    """

    inputs: dict[str, Tensor]
    truncated: dict[str, float]
    reasoning_mark: str = ""

    @property
    def length(self) -> int:
        """Number of tokens, including audio tokens."""
        return self.inputs["input_ids"].shape[1]


class PromptEncoder:
    """Converter from prompts to inputs of one model.

    Args:
        processor: processor of text and audio, or the tokenizer of a text model.
        system: text of the system turn; None leaves the system turn to the chat template.

    Attributes:
        tokenizer: tokenizer of the model.
        date: date that the chat template writes; None if it does not write a date.

    Raises:
        WeightsError: if an audio model has no chat template, or the template is invalid.
        InvalidInputError: if the system text contains a control token.
    """

    def __init__(self, processor: Any, system: str | None) -> None:  # noqa: ANN401
        self._processor = processor
        self._system = system
        extractor = getattr(
            processor, "feature_extractor", getattr(processor, "audio_processor", None)
        )
        self._rate: int | None = None if extractor is None else extractor.sampling_rate
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self._template = ChatTemplate(processor, self.tokenizer)
        self.date = self._template.date
        self._truncation = TruncationDetector(
            lambda audio: self._process([Turn("user", "?", audio)])[0]
        )
        self._reasoning_ids = {
            number: token
            for number, token in special_tokens(self.tokenizer).items()
            if split_reasoning(token)[0] is not None
        }
        if self._rate is not None and self._template.is_missing:
            raise WeightsError(
                "Expected a chat template (chat_template.jinja) among the files of this audio "
                "model, found none."
            )
        if system is not None:
            refuse_control_tokens(self.tokenizer, system)
        if not self._template.is_missing and not self._template.in_code:
            with suppress(UnsupportedInputError):  # the template may require a system turn
                self._template.render([Turn("user", "?")])

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Return the input tensors of a prompt; the result does not depend on other prompts.

        Raises:
            InvalidInputError: if the question is empty, or if a text contains a control token of
                the model, such as its audio placeholder.
            UnsupportedInputError: if the model or its chat template cannot process the prompt.
        """
        if not prompt.text.strip():
            raise InvalidInputError("A prompt must contain a question, got an empty text.")
        turns = list(self._turns(prompt))
        truncated = self._truncated_seconds(turns)
        if self._template.is_missing:
            ids = torch.tensor([text_ids(self.tokenizer, as_plain_text(turns))])
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            return EncodedPrompt(inputs, truncated)
        for turn in turns:
            refuse_control_tokens(self.tokenizer, turn.text)
        inputs, text = self._process(turns)
        return EncodedPrompt(inputs, truncated, reasoning_mark(text, prompt.text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated tokens without special tokens.

        Special tokens that start or end reasoning remain in the text, up to the last token that
        ends reasoning.
        """
        marks = {
            n: self._reasoning_ids[token]
            for n, token in enumerate(ids)
            if token in self._reasoning_ids
        }
        last = max(
            (n for n, mark in marks.items() if split_reasoning(mark)[1] is not None), default=0
        )
        text, start = "", 0
        for position, mark in marks.items():
            if position <= last:
                text += self._decode_text(ids[start:position]) + mark
                start = position + 1
        return text + self._decode_text(ids[start:])

    def _decode_text(self, ids: Sequence[int]) -> str:
        """Return the text of tokens without any special tokens."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    @property
    def audio_token_id(self) -> int:
        """Id of the placeholder for a position of audio; only of audio models."""
        token_id: int = self.tokenizer.convert_tokens_to_ids(self._processor.audio_token)
        return token_id

    @property
    def placeholders(self) -> tuple[int, ...]:
        """Ids of the placeholders that the model replaces by audio; () for a text model."""
        return () if self._rate is None else (self.audio_token_id,)

    def continuation(self, text: str) -> list[int]:
        """Return the token ids of a text that follows a prompt.

        Raises:
            InvalidInputError: if the text is empty, or contains a control token that the tokenizer
                cannot split into ordinary tokens.
        """
        ids = text_ids(self.tokenizer, text, add_special_tokens=False)
        if not ids:
            raise InvalidInputError("A continuation needs at least one token, got an empty text.")
        return ids

    def _turns(self, prompt: Prompt) -> Iterator[Turn]:
        """Yield the turns of a prompt: system text, examples, and the question."""
        if self._system is not None:
            yield Turn("system", self._system)
        for example in prompt.examples:
            yield Turn("user", example.question, self._resample(example.audio))
            yield Turn("assistant", example.answer)
        yield Turn("user", prompt.text, self._resample(prompt.audio))

    def _resample(self, waveform: Waveform | None) -> FloatArray | None:
        """Return samples at the sample rate of the model; raise if the model takes text only."""
        if waveform is None:
            return None
        if self._rate is None:
            raise UnsupportedInputError(
                "This model takes text only, got audio. Remove the audio, or use `Cascade`, which "
                "replaces audio by captions."
            )
        return resample(waveform, self._rate).samples

    def _truncated_seconds(self, turns: Sequence[Turn]) -> dict[str, float]:
        """Return the seconds of dropped audio in question and examples; {} if none is dropped."""
        *examples, question = turns
        samples = {
            name: sum(map(self._truncation.n_truncated, audio_of(part)))
            for name, part in (
                ("truncated audio (s)", [question]),
                ("truncated audio of examples (s)", examples),
            )
        }
        return {name: round(n / (self._rate or 1), 2) for name, n in samples.items() if n}

    def _process(self, turns: Sequence[Turn]) -> tuple[dict[str, Tensor], str]:
        """Return input tensors and prompt text; the text is "" if code formats the prompt."""
        audio, text = audio_of(turns), ""
        if self._template.in_code:
            options: dict[str, Any] = {"tokenize": True, "return_dict": True}
            messages = as_files(turns, self._rate or 1)
            call = partial(self._processor.apply_chat_template, messages, **options)
        else:
            text, options = self._template.render(turns), {}
            begin = self.tokenizer.bos_token
            if self._rate is None or (begin is not None and text.startswith(begin)):
                options["add_special_tokens"] = False  # as transformers does after a template
            if self._rate is None:
                return dict(self.tokenizer(text, return_tensors="pt", **options)), text
            if audio:
                options |= {"audio": audio, "sampling_rate": self._rate}
            call = partial(self._processor, text=[text], **options)
        try:
            inputs = dict(call(return_tensors="pt"))
        except (ValueError, IndexError, RuntimeError) as error:
            if not audio:
                raise
            if len(audio) == 1:
                raise self._too_short(audio, str(error)) from error
            raise UnsupportedInputError(
                f"This model does not take {len(audio)} audio clips in one prompt ({error}). "
                "Write the examples as text or remove them."
            ) from error
        return self._checked(inputs, audio), text

    def _checked(self, inputs: dict[str, Tensor], audio: list[FloatArray]) -> dict[str, Tensor]:
        """Return the inputs as tensors; raise if an audio clip has fewer than two tokens.

        Qwen2-Audio would treat a single audio token as a placeholder and replace it.
        """
        inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
        if not audio:
            return inputs
        is_audio, counts = torch.unique_consecutive(
            inputs["input_ids"][0] == self.audio_token_id, return_counts=True
        )
        lengths = counts[is_audio].tolist()
        empty = any(not value.numel() for value in inputs.values())
        if empty or len(lengths) < len(audio) or min(lengths) < _MIN_AUDIO_TOKENS:
            raise self._too_short(audio, f"it has fewer than {_MIN_AUDIO_TOKENS} tokens")
        return inputs

    def _too_short(self, audio: list[FloatArray], reason: str) -> UnsupportedInputError:
        """Return an error to raise for audio that is too short for the processor."""
        seconds = min(map(len, audio)) / (self._rate or 1)
        return UnsupportedInputError(
            f"The model's processor rejects audio of {seconds:.3f} s: {reason}. Pad the "
            "clip, or use a longer clip."
        )
