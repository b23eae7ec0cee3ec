"""A prompt as the tensors that a model of transformers takes, by the model's own chat template."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError, TemplateSyntaxError
from torch import Tensor

from audioprobe.audio.resample import resample
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.causal_lm.tokenization import refuse_control_tokens, special_tokens, text_ids
from audioprobe.models.chat.messages import (
    Turn,
    as_files,
    holds_all,
    in_line,
    in_parts,
    plain,
    sounds_of,
)
from audioprobe.models.chat.templates import (
    TEMPLATE_DATE,
    dated,
    has_template_in_code,
    opening_mark,
    template_of,
)
from audioprobe.models.chat.truncation import InputCoverage
from audioprobe.responses import split_reasoning
from audioprobe.types import FloatArray, Prompt, Waveform

_FEWEST_TOKENS = 2  # of a sound; 80 ms for the models with an encoder of Whisper's kind


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A prompt as a model takes it.

    Attributes:
        inputs: tensors of a batch of one.
        not_heard: seconds of sound that the model's own processor cut off, by where.
        opening: the mark by which the chat template opens the answer's reasoning; "" without one.
    """

    inputs: dict[str, Tensor]
    not_heard: dict[str, float]
    opening: str = ""

    @property
    def length(self) -> int:
        """Tokens, those of the sound included."""
        return self.inputs["input_ids"].shape[1]


class Chat:
    """Encodes prompts for one model.

    Args:
        processor: of text and sound, or a tokenizer for a model of text alone.
        system: what the system turn says; None leaves it to the chat template.

    Attributes:
        tokenizer: the processor's, or the tokenizer itself.
        date: the date that the chat template gets; None where it does not ask for one.

    Raises:
        WeightsError: if a model that hears has no chat template, or the template is broken.
        InvalidInputError: if the system text holds a control token.
    """

    def __init__(self, processor: Any, system: str | None) -> None:  # noqa: ANN401
        self._processor = processor
        self._system = system
        ear = getattr(processor, "feature_extractor", getattr(processor, "audio_processor", None))
        self._rate: int | None = None if ear is None else ear.sampling_rate
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self._template = template_of(processor, self.tokenizer)
        self._hearing = InputCoverage(self._features)
        self._marks = {
            number: token
            for number, token in special_tokens(self.tokenizer).items()
            if split_reasoning(token)[0] is not None
        }
        self._renders_itself = has_template_in_code(self.tokenizer)
        if self._rate is not None and self._template is None and not self._renders_itself:
            raise WeightsError(
                "This model hears, but its files hold no chat template (chat_template.jinja), so "
                "nobody knows where its prompts have their sound."
            )
        self.date: str | None = None
        if self._template is not None and "strftime_now" in self._template:
            self.date = TEMPLATE_DATE.isoformat()
            self._template = dated(self._template)
        if system is not None:
            refuse_control_tokens(self.tokenizer, system)
        if self._template is not None and not self._renders_itself:
            with suppress(UnsupportedInputError):  # other prompts may be taken
                self._render([Turn("user", "?")])

    def encode(self, prompt: Prompt) -> Encoded:
        """The tensors of a prompt, as they are in every company.

        Raises:
            InvalidInputError: for an empty question, or a text that holds a control token of the
                model, such as its placeholder of a sound.
            UnsupportedInputError: for a sound that the model cannot take, and for what its chat
                template refuses.
        """
        if not prompt.text.strip():
            raise InvalidInputError("A prompt needs a question, got an empty text.")
        turns = list(self._turns(prompt))
        not_heard = self._not_heard(turns)
        if self._template is None and not self._renders_itself:
            ids = torch.tensor([text_ids(self.tokenizer, plain(turns))])
            return Encoded({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, not_heard)
        for turn in turns:
            refuse_control_tokens(self.tokenizer, turn.text)
        if self._renders_itself:
            return Encoded(self._encode_itself(turns), not_heard)
        text = self._render(turns)
        return Encoded(
            self._process(text, sounds_of(turns)), not_heard, opening_mark(text, prompt.text)
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of new tokens: without special ones, apart from those that mark reasoning.

        A special token that opens reasoning in the middle of an answer counts only where reasoning
        is closed behind it.
        """
        marks = {n: self._marks[number] for n, number in enumerate(ids) if number in self._marks}
        last = max(
            (n for n, mark in marks.items() if split_reasoning(mark)[1] is not None), default=0
        )
        text, start = "", 0
        for position, mark in marks.items():
            if position <= last:
                text += self._decoded(ids[start:position]) + mark
                start = position + 1
        return text + self._decoded(ids[start:])

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def continuation(self, text: str) -> list[int]:
        """Token ids of a text that follows a prompt, without control tokens.

        Raises:
            InvalidInputError: for an empty text, or a control token that cannot be split.
        """
        ids = text_ids(self.tokenizer, text, add_special_tokens=False)
        if not ids:
            raise InvalidInputError("A continuation needs at least one token, got an empty text.")
        return ids

    def _turns(self, prompt: Prompt) -> Iterator[Turn]:
        if self._system is not None:
            yield Turn("system", self._system)
        for example in prompt.examples:
            yield Turn("user", example.question, self._hear(example.audio))
            yield Turn("assistant", example.answer)
        yield Turn("user", prompt.text, self._hear(prompt.audio))

    def _hear(self, waveform: Waveform | None) -> FloatArray | None:
        if waveform is None:
            return None
        if self._rate is None:
            raise UnsupportedInputError(
                "This model reads text alone: ask without audio, or put a captioner before it "
                "(Cascade)."
            )
        return resample(waveform, self._rate).samples

    def _not_heard(self, turns: Sequence[Turn]) -> dict[str, float]:
        *before, last = turns
        cut = {
            "truncated audio (s)": [last.sound],
            "truncated audio of examples (s)": [turn.sound for turn in before],
        }
        lost = {
            name: sum(self._hearing.lost(sound) for sound in sounds if sound is not None)
            for name, sounds in cut.items()
        }
        rate = self._rate or 1
        return {name: round(n / rate, 2) for name, n in lost.items() if n}

    def _features(self, sound: FloatArray) -> dict[str, Tensor]:
        """What the model is given of one sound."""
        turns = [Turn("user", "?", sound)]
        if self._renders_itself:
            return self._encode_itself(turns)
        return self._process(self._render(turns), [sound])

    def _render(self, turns: Sequence[Turn]) -> str:
        """The conversation as one text, with a placeholder for each sound."""
        mark: str | None = getattr(self._processor, "audio_token", None)
        n_sounds = sum(turn.sound is not None for turn in turns)
        fault = "it leaves out a part of the prompt"
        for messages in (in_parts(turns), in_parts(turns, sparing=True), in_line(turns, mark)):
            try:
                text: str = self._processor.apply_chat_template(
                    messages,
                    chat_template=self._template,
                    tokenize=False,
                    add_generation_prompt=True,
                )
            except TemplateSyntaxError as error:
                raise WeightsError(
                    f"The model's chat template is broken ({error}). Get its files again, or write "
                    "a template into chat_template.jinja."
                ) from error
            except (TemplateError, TypeError, ValueError) as error:
                fault = str(error)
                continue
            if holds_all(text, messages, turns) and (not mark or text.count(mark) == n_sounds):
                return text
        advice = "Compare the template in the model's files with the published one."
        if len(turns) > 1:
            advice = "Leave out the system text or the examples, or put them into the question."
        raise UnsupportedInputError(
            f"The model's chat template cannot take this prompt: {fault.rstrip('.')}. {advice}"
        )

    def _process(self, text: str, sounds: list[FloatArray]) -> dict[str, Tensor]:
        options: dict[str, Any] = {"return_tensors": "pt"}
        begin = self.tokenizer.bos_token
        if self._rate is None or (begin is not None and text.startswith(begin)):
            options["add_special_tokens"] = False  # as transformers does after a template
        if self._rate is None:
            return dict(self.tokenizer(text, **options))
        if sounds:
            options |= {"audio": sounds, "sampling_rate": self._rate}
        with _refusal(sounds, self._rate):
            inputs = dict(self._processor(text=[text], **options))
        return self._checked(inputs, sounds)

    def _encode_itself(self, turns: Sequence[Turn]) -> dict[str, Tensor]:
        """By a processor or tokenizer with a template in code, which wants sounds as files."""
        messages = [
            {"role": turn.role, "content": as_files(turn, self._rate or 1)} for turn in turns
        ]
        sounds = sounds_of(turns)
        with _refusal(sounds, self._rate or 1):
            inputs = dict(
                self._processor.apply_chat_template(
                    messages, tokenize=True, return_dict=True, return_tensors="pt"
                )
            )
        return self._checked(inputs, sounds)

    def _checked(self, inputs: dict[str, Tensor], sounds: list[FloatArray]) -> dict[str, Tensor]:
        """Refuse a prompt of which a sound leaves hardly a token: it was too short.

        One alone is too few: Qwen2-Audio takes it for a placeholder that it still has to multiply.
        """
        inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
        if not sounds:
            return inputs
        mark = self.tokenizer.convert_tokens_to_ids(self._processor.audio_token)
        heard, counts = torch.unique_consecutive(inputs["input_ids"][0] == mark, return_counts=True)
        lengths = counts[heard].tolist()
        empty = any(not value.numel() for value in inputs.values())
        if empty or len(lengths) < len(sounds) or min(lengths) < _FEWEST_TOKENS:
            raise _too_short(sounds, self._rate or 1, "it leaves hardly a token")
        return inputs


class _refusal:  # noqa: N801 - reads as a word of the language
    """Turns what a processor raises about a prompt with sound into our own error."""

    def __init__(self, sounds: list[FloatArray], rate: int) -> None:
        self._sounds, self._rate = sounds, rate

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._sounds or not isinstance(error, ValueError | IndexError | RuntimeError):
            return
        if len(self._sounds) > 1:
            raise UnsupportedInputError(
                f"This model does not take {len(self._sounds)} sounds in one prompt ({error}). "
                "Give examples in text, or leave them out."
            ) from error
        raise _too_short(self._sounds, self._rate, str(error)) from error


def _too_short(sounds: list[FloatArray], rate: int, reason: str) -> UnsupportedInputError:
    seconds = min(len(sound) for sound in sounds) / rate
    return UnsupportedInputError(
        f"The model's processor cannot take a sound of {seconds:.3f} s: {reason}. Pad it, or take "
        "a longer piece."
    )
