"""Format a conversation as a prompt text with the chat template of a model.

A chat template is a Jinja text in a model's folder. Templates accept different formats of messages.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import soundfile
from jinja2 import TemplateError, TemplateSyntaxError
from transformers import PreTrainedTokenizerBase

from audioprobe.errors import UnsupportedInputError, WeightsError
from audioprobe.responses import split_reasoning
from audioprobe.types import FloatArray

Message = dict[str, Any]

TEMPLATE_DATE = date(2024, 7, 26)
"""Date that chat templates write, fixed so that prompts do not depend on the day."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn of a conversation.

    Attributes:
        role: "system", "user" or "assistant".
        text: text of the turn.
        audio: samples of an audio clip, shape (n_samples,); None if the turn has no audio.
    """

    role: str
    text: str
    audio: FloatArray | None = None


class ChatTemplate:
    """The chat template of a model.

    Args:
        processor: processor of text and audio, or the tokenizer of a text model.
        tokenizer: tokenizer of the processor.

    Attributes:
        in_code: whether the tokenizer formats conversations in code, as mistral-common does.
        is_missing: whether the model has neither a template text nor a template in code.
        date: date that the template writes; None if it does not write a date.
    """

    def __init__(self, processor: Any, tokenizer: Any) -> None:  # noqa: ANN401
        template = getattr(processor, "chat_template", None) or getattr(
            tokenizer, "chat_template", None
        )
        self._processor = processor
        self._text: str | None = template.get("default") if isinstance(template, dict) else template
        apply = type(tokenizer).apply_chat_template
        self.in_code = apply is not PreTrainedTokenizerBase.apply_chat_template
        self.is_missing = self._text is None and not self.in_code
        self.date: str | None = None
        if self._text is not None and "strftime_now" in self._text:
            self.date = TEMPLATE_DATE.isoformat()
            self._text = _with_fixed_date(self._text)

    def render(self, turns: Sequence[Turn]) -> str:
        """Return a conversation as one text, with a placeholder for each audio clip.

        Raises:
            WeightsError: if the template has a syntax error.
            UnsupportedInputError: if the template rejects or omits a part of the conversation.
        """
        placeholder: str | None = getattr(self._processor, "audio_token", None)
        n_clips = len(audio_of(turns))
        fault = "it omits a part of the prompt"
        for messages in (
            _as_parts(turns),
            _as_parts(turns, text_as_string=True),
            _as_strings(turns, placeholder),
        ):
            try:
                text: str = self._processor.apply_chat_template(
                    messages, chat_template=self._text, tokenize=False, add_generation_prompt=True
                )
            except TemplateSyntaxError as error:
                raise WeightsError(
                    f"The model's chat template is invalid ({error}). Download it again, or "
                    "write a template into chat_template.jinja."
                ) from error
            except (TemplateError, TypeError, ValueError) as error:
                fault = str(error)
                continue
            if _is_complete(text, messages, turns) and (
                not placeholder or text.count(placeholder) == n_clips
            ):
                return text
        advice = "Compare the template in the model's files with the published template."
        if len(turns) > 1:
            advice = "Remove the system text or the examples, or put them into the question."
        raise UnsupportedInputError(
            f"The model's chat template cannot format this prompt: {fault.rstrip('.')}. {advice}"
        )


def audio_of(turns: Sequence[Turn]) -> list[FloatArray]:
    """Return the audio clips of a conversation, in order."""
    return [turn.audio for turn in turns if turn.audio is not None]


def as_plain_text(turns: Sequence[Turn]) -> str:
    """Return a conversation as text for a model without a chat template, one line per turn."""
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}
    *before, last = turns
    return "".join(turn.text + ends[turn.role] for turn in before) + last.text


def as_files(turns: Sequence[Turn], rate: int) -> list[Message]:
    """Return chat messages in which each audio clip is a float WAV file, encoded as base64."""
    messages: list[Message] = []
    for turn in turns:
        content: str | list[Message] = turn.text
        if turn.audio is not None:
            stream = io.BytesIO()
            soundfile.write(stream, np.asarray(turn.audio), rate, format="WAV", subtype="FLOAT")
            wav = base64.b64encode(stream.getvalue()).decode()
            content = [{"type": "audio", "base64": wav}, {"type": "text", "text": turn.text}]
        messages.append({"role": turn.role, "content": content})
    return messages


def reasoning_mark(prompt: str, question: str) -> str:
    """Return the mark at the end of a prompt that starts reasoning, such as "<think>".

    The chat template of DeepSeek-R1 writes such a mark. The result is "" if there is no mark.
    """
    after = prompt[prompt.rfind(question.strip()) + len(question.strip()) :]
    mark = after[max(after.rfind(bracket) for bracket in "<[◁") :] if after else ""
    return mark if split_reasoning(mark)[1] is None else ""


def _as_parts(turns: Sequence[Turn], *, text_as_string: bool = False) -> list[Message]:
    """Return chat messages whose content is a list of audio and text parts.

    If `text_as_string` is True, the content of a turn without audio is a string instead.
    """
    messages: list[Message] = []
    for turn in turns:
        parts: list[Message] = [{"type": "text", "text": turn.text}]
        if turn.audio is not None:
            parts.insert(0, {"type": "audio", "audio": "sound"})
        string = text_as_string and turn.audio is None
        messages.append({"role": turn.role, "content": turn.text if string else parts})
    return messages


def _as_strings(turns: Sequence[Turn], placeholder: str | None) -> list[Message]:
    """Return chat messages whose content is a string; a placeholder before it stands for audio."""
    return [
        {
            "role": turn.role,
            "content": turn.text if turn.audio is None else f"{placeholder}{turn.text}",
        }
        for turn in turns
    ]


def _is_complete(text: str, messages: list[Message], turns: Sequence[Turn]) -> bool:
    """Return whether a prompt contains the text of every turn, and no printed Python list.

    A template that expects strings prints the list of parts instead of its texts.
    """
    contents = [message["content"] for message in messages]
    printed = any(isinstance(content, list) and str(content) in text for content in contents)
    return not printed and all(turn.text.strip() in text for turn in turns)


def _with_fixed_date(template: str) -> str:
    """Return a chat template in which `strftime_now` writes `TEMPLATE_DATE`.

    `strftime_now` is defined as a macro, because transformers cannot pass it a function. The empty
    expression after the macro preserves a line break at the start of the template.
    """
    replaced = "".join(
        f" | replace('%{letter}', '{TEMPLATE_DATE.strftime(f'%{letter}')}')"
        for letter in "aAbBdfHIjmMpSwyY"
    )
    macro = f"{{% macro strftime_now(format) %}}{{{{ format{replaced} }}}}{{% endmacro %}}"
    return f"{macro}{{{{ '' }}}}{template}"
