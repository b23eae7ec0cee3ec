"""A conversation in the forms that chat templates take."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from audioprobe.types import FloatArray

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One turn of a conversation."""

    role: str
    text: str
    sound: FloatArray | None = None


def sounds_of(turns: Sequence[Turn]) -> list[FloatArray]:
    """The sounds of a conversation, in order."""
    return [turn.sound for turn in turns if turn.sound is not None]


def plain(turns: Sequence[Turn]) -> str:
    """A conversation for a model that knows no turns: a line each, and an empty one between."""
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}
    *before, last = turns
    return "".join(turn.text + ends[turn.role] for turn in before) + last.text


def in_parts(turns: Sequence[Turn], *, sparing: bool = False) -> list[Message]:
    """Each turn as a list of parts; if sparing, only those with a sound."""
    messages: list[Message] = []
    for turn in turns:
        parts: list[Message] = [{"type": "text", "text": turn.text}]
        if turn.sound is not None:
            parts.insert(0, {"type": "audio", "audio": "sound"})
        plain = sparing and turn.sound is None
        messages.append({"role": turn.role, "content": turn.text if plain else parts})
    return messages


def in_line(turns: Sequence[Turn], mark: str | None) -> list[Message]:
    """Each turn as a text, with the placeholder of its sound before it."""
    return [
        {
            "role": turn.role,
            "content": turn.text if turn.sound is None else f"{mark}{turn.text}",
        }
        for turn in turns
    ]


def holds_all(text: str, messages: list[Message], turns: Sequence[Turn]) -> bool:
    """Whether a template wrote every turn, and none as a printed list."""
    printed = any(
        isinstance(message["content"], list) and str(message["content"]) in text
        for message in messages
    )
    return not printed and all(turn.text.strip() in text for turn in turns)


def as_files(turn: Turn, rate: int) -> str | list[Message]:
    """The content of a turn, with its sound as a WAV file of floats."""
    if turn.sound is None:
        return turn.text
    stream = io.BytesIO()
    soundfile.write(stream, np.asarray(turn.sound), rate, format="WAV", subtype="FLOAT")
    content = base64.b64encode(stream.getvalue()).decode()
    return [{"type": "audio", "base64": content}, {"type": "text", "text": turn.text}]
