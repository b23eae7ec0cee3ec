"""Convert conversations to the formats that chat templates accept, and read chat templates."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import soundfile
from transformers import PreTrainedTokenizerBase

from audioprobe.responses import split_reasoning
from audioprobe.types import FloatArray

Message = dict[str, Any]

TEMPLATE_DATE = date(2024, 7, 26)
"""Date that chat templates write, fixed so that prompts do not depend on the day."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn of a conversation; `audio` has shape (n_samples,)."""

    role: str
    text: str
    audio: FloatArray | None = None


def audio_of(turns: Sequence[Turn]) -> list[FloatArray]:
    """Return the audio of a conversation, in order."""
    return [turn.audio for turn in turns if turn.audio is not None]


def as_plain_text(turns: Sequence[Turn]) -> str:
    """Return a conversation as text for a model without a chat template, one line per turn."""
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}
    *before, last = turns
    return "".join(turn.text + ends[turn.role] for turn in before) + last.text


def as_parts(turns: Sequence[Turn], *, text_as_string: bool = False) -> list[Message]:
    """Return turns whose content is a list of audio and text parts.

    With `text_as_string`, the content of turns without audio is a string.
    """
    messages: list[Message] = []
    for turn in turns:
        parts: list[Message] = [{"type": "text", "text": turn.text}]
        if turn.audio is not None:
            parts.insert(0, {"type": "audio", "audio": "sound"})
        string = text_as_string and turn.audio is None
        messages.append({"role": turn.role, "content": turn.text if string else parts})
    return messages


def as_strings(turns: Sequence[Turn], placeholder: str | None) -> list[Message]:
    """Return turns whose content is a string, with an audio placeholder before the text."""
    return [
        {
            "role": turn.role,
            "content": turn.text if turn.audio is None else f"{placeholder}{turn.text}",
        }
        for turn in turns
    ]


def as_files(turn: Turn, rate: int) -> str | list[Message]:
    """Return the content of a turn, with its audio as a float WAV file in base64."""
    if turn.audio is None:
        return turn.text
    stream = io.BytesIO()
    soundfile.write(stream, np.asarray(turn.audio), rate, format="WAV", subtype="FLOAT")
    content = base64.b64encode(stream.getvalue()).decode()
    return [{"type": "audio", "base64": content}, {"type": "text", "text": turn.text}]


def is_complete(text: str, messages: list[Message], turns: Sequence[Turn]) -> bool:
    """Return whether a template wrote the text of every turn, and printed no Python list."""
    printed = any(
        isinstance(message["content"], list) and str(message["content"]) in text
        for message in messages
    )
    return not printed and all(turn.text.strip() in text for turn in turns)


def chat_template(processor: Any, tokenizer: Any) -> str | None:  # noqa: ANN401
    """Return the chat template of a processor or else of its tokenizer; None if there is none."""
    template = getattr(processor, "chat_template", None) or getattr(
        tokenizer, "chat_template", None
    )
    return template.get("default") if isinstance(template, dict) else template


def with_fixed_date(template: str) -> str:
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


def has_template_in_code(tokenizer: Any) -> bool:  # noqa: ANN401
    """Return whether a tokenizer formats conversations in code, as mistral-common does."""
    return type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template


def reasoning_mark(text: str, question: str) -> str:
    """Return the mark that starts reasoning at the end of a prompt (DeepSeek-R1), or ""."""
    after = text[text.rfind(question.strip()) + len(question.strip()) :]
    mark = after[max(after.rfind(bracket) for bracket in "<[◁") :] if after else ""
    return mark if split_reasoning(mark)[1] is None else ""
