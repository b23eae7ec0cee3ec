"""Convert prompts to a transformers model's input tensors with the model's chat template."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError, TemplateSyntaxError
from torch import Tensor

from audioprobe.audio.transforms import resample
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.causal_lm.tokenization import refuse_control_tokens, special_tokens, text_ids
from audioprobe.models.chat.messages import (
    TEMPLATE_DATE,
    Turn,
    as_files,
    as_parts,
    as_plain_text,
    as_strings,
    audio_of,
    chat_template,
    has_template_in_code,
    is_complete,
    reasoning_mark,
    with_fixed_date,
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
        truncated: seconds of audio that the processor dropped, by name in `Response.details`.
        reasoning_mark: text by which the chat template starts reasoning; "" if it does not.
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
        processor: processor of text and audio, or a tokenizer for a text model.
        system: text of the system turn; None leaves it to the chat template.

    Attributes:
        tokenizer: tokenizer of the processor, or the given tokenizer.
        date: date that the chat template writes; None if it does not use a date.

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
        self._template = chat_template(processor, self.tokenizer)
        self._truncation = TruncationDetector(self._features)
        self._reasoning_ids = {
            number: token
            for number, token in special_tokens(self.tokenizer).items()
            if split_reasoning(token)[0] is not None
        }
        self._template_in_code = has_template_in_code(self.tokenizer)
        if self._rate is not None and self._template is None and not self._template_in_code:
            raise WeightsError(
                "Expected a chat template (chat_template.jinja) among the files of this audio "
                "model, found none."
            )
        self.date: str | None = None
        if self._template is not None and "strftime_now" in self._template:
            self.date = TEMPLATE_DATE.isoformat()
            self._template = with_fixed_date(self._template)
        if system is not None:
            refuse_control_tokens(self.tokenizer, system)
        if self._template is not None and not self._template_in_code:
            with suppress(UnsupportedInputError):  # the template may require a system turn
                self._render([Turn("user", "?")])

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
        if self._template is None and not self._template_in_code:
            ids = torch.tensor([text_ids(self.tokenizer, as_plain_text(turns))])
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            return EncodedPrompt(inputs, truncated)
        for turn in turns:
            refuse_control_tokens(self.tokenizer, turn.text)
        if self._template_in_code:
            return EncodedPrompt(self._apply_template_in_code(turns), truncated)
        text = self._render(turns)
        inputs = self._process(text, audio_of(turns))
        return EncodedPrompt(inputs, truncated, reasoning_mark(text, prompt.text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated tokens; remove special tokens except those of reasoning.

        A special token that starts reasoning is kept only if a later token ends the reasoning.
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
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def continuation(self, text: str) -> list[int]:
        """Return the token ids of a text that follows a prompt, without control tokens.

        Raises:
            InvalidInputError: if the text is empty, or contains a control token that cannot be
                split.
        """
        ids = text_ids(self.tokenizer, text, add_special_tokens=False)
        if not ids:
            raise InvalidInputError("A continuation needs at least one token, got an empty text.")
        return ids

    def _turns(self, prompt: Prompt) -> Iterator[Turn]:
        if self._system is not None:
            yield Turn("system", self._system)
        for example in prompt.examples:
            yield Turn("user", example.question, self._resample(example.audio))
            yield Turn("assistant", example.answer)
        yield Turn("user", prompt.text, self._resample(prompt.audio))

    def _resample(self, waveform: Waveform | None) -> FloatArray | None:
        if waveform is None:
            return None
        if self._rate is None:
            raise UnsupportedInputError(
                "This model takes text only, got audio. Remove the audio, or use `Cascade`, which "
                "replaces audio by captions."
            )
        return resample(waveform, self._rate).samples

    def _truncated_seconds(self, turns: Sequence[Turn]) -> dict[str, float]:
        *examples, question = turns
        samples = {
            name: sum(map(self._truncation.n_truncated, audio_of(part)))
            for name, part in (
                ("truncated audio (s)", [question]),
                ("truncated audio of examples (s)", examples),
            )
        }
        return {name: round(n / (self._rate or 1), 2) for name, n in samples.items() if n}

    def _features(self, audio: FloatArray) -> dict[str, Tensor]:
        """Return the model's input for one audio clip."""
        turns = [Turn("user", "?", audio)]
        if self._template_in_code:
            return self._apply_template_in_code(turns)
        return self._process(self._render(turns), [audio])

    def _render(self, turns: Sequence[Turn]) -> str:
        """Return the conversation as one text, with a placeholder for each audio clip."""
        placeholder: str | None = getattr(self._processor, "audio_token", None)
        n_clips = len(audio_of(turns))
        fault = "it omits a part of the prompt"
        for messages in (
            as_parts(turns),
            as_parts(turns, text_as_string=True),
            as_strings(turns, placeholder),
        ):
            try:
                text: str = self._processor.apply_chat_template(
                    messages,
                    chat_template=self._template,
                    tokenize=False,
                    add_generation_prompt=True,
                )
            except TemplateSyntaxError as error:
                raise WeightsError(
                    f"The model's chat template is invalid ({error}). Download it again, or "
                    "write a template into chat_template.jinja."
                ) from error
            except (TemplateError, TypeError, ValueError) as error:
                fault = str(error)
                continue
            if is_complete(text, messages, turns) and (
                not placeholder or text.count(placeholder) == n_clips
            ):
                return text
        advice = "Compare the template in the model's files with the published template."
        if len(turns) > 1:
            advice = "Remove the system text or the examples, or put them into the question."
        raise UnsupportedInputError(
            f"The model's chat template cannot format this prompt: {fault.rstrip('.')}. {advice}"
        )

    def _process(self, text: str, audio: list[FloatArray]) -> dict[str, Tensor]:
        options: dict[str, Any] = {"return_tensors": "pt"}
        begin = self.tokenizer.bos_token
        if self._rate is None or (begin is not None and text.startswith(begin)):
            options["add_special_tokens"] = False  # as transformers does for text from a template
        if self._rate is None:
            return dict(self.tokenizer(text, **options))
        if audio:
            options |= {"audio": audio, "sampling_rate": self._rate}
        with self._processor_errors(audio):
            inputs = dict(self._processor(text=[text], **options))
        return self._checked(inputs, audio)

    def _apply_template_in_code(self, turns: Sequence[Turn]) -> dict[str, Tensor]:
        """Return the inputs from a chat template in code, which takes audio as files."""
        messages = [
            {"role": turn.role, "content": as_files(turn, self._rate or 1)} for turn in turns
        ]
        audio = audio_of(turns)
        with self._processor_errors(audio):
            inputs = dict(
                self._processor.apply_chat_template(
                    messages, tokenize=True, return_dict=True, return_tensors="pt"
                )
            )
        return self._checked(inputs, audio)

    def _checked(self, inputs: dict[str, Tensor], audio: list[FloatArray]) -> dict[str, Tensor]:
        """Return the inputs as tensors; raise if an audio clip has fewer than two tokens.

        Qwen2-Audio would confuse a single audio token with its placeholder and expand it.
        """
        inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
        if not audio:
            return inputs
        token = self.tokenizer.convert_tokens_to_ids(self._processor.audio_token)
        is_audio, counts = torch.unique_consecutive(
            inputs["input_ids"][0] == token, return_counts=True
        )
        lengths = counts[is_audio].tolist()
        empty = any(not value.numel() for value in inputs.values())
        if empty or len(lengths) < len(audio) or min(lengths) < _MIN_AUDIO_TOKENS:
            raise self._too_short(audio, f"it has fewer than {_MIN_AUDIO_TOKENS} tokens")
        return inputs

    @contextmanager
    def _processor_errors(self, audio: list[FloatArray]) -> Iterator[None]:
        """Convert a processor's errors about audio to `UnsupportedInputError` (context manager)."""
        try:
            yield
        except (ValueError, IndexError, RuntimeError) as error:
            if not audio:
                raise
            if len(audio) == 1:
                raise self._too_short(audio, str(error)) from error
            raise UnsupportedInputError(
                f"This model does not take {len(audio)} audio clips in one prompt ({error}). "
                "Write the examples as text or remove them."
            ) from error

    def _too_short(self, audio: list[FloatArray], reason: str) -> UnsupportedInputError:
        seconds = min(map(len, audio)) / (self._rate or 1)
        return UnsupportedInputError(
            f"The model's processor rejects audio of {seconds:.3f} s: {reason}. Pad the "
            "clip, or use a longer clip."
        )
