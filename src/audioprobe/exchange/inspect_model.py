"""Models of audioprobe as a provider of inspect_ai: `--model audioprobe/ltu:mini`.

Importing this module requires the extra `exchange`. inspect_ai finds it by its entry point.
"""

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audioprobe.audio.hugging_face import clip_of_hf_sound
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import UnsupportedInputError, needs_extra
from audioprobe.protocols import LanguageModel
from audioprobe.registry import load
from audioprobe.types import Clip, Decoding, Prompt, Waveform

with needs_extra("exchange"):
    from inspect_ai.model import (
        ChatMessage,
        ContentAudio,
        ContentText,
        GenerateConfig,
        ModelAPI,
        ModelOutput,
        modelapi,
    )
    from inspect_ai.tool import ToolChoice, ToolInfo

_DEFAULT_TOKENS = 12  # as in `PromptingOptions`


@modelapi(name="audioprobe")
class AudioProbeModel(ModelAPI):  # type: ignore[misc]
    """A language model of this library, by its name in `audioprobe backends`.

    A prompt is one message of the user with text and at most one sound. Decoding is greedy unless
    a temperature is given.

    Args:
        model_name: name of the model, such as "ltu:mini".
        base_url: not used.
        api_key: not used.
        config: default options of generation.
        model_args: options of the model.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._model: LanguageModel = load("language_model", model_name, **model_args)

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 - the name in inspect_ai
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Return the response to one message of the user.

        Raises:
            UnsupportedInputError: for tools, several messages, several sounds, or other content.
        """
        del tool_choice
        if tools:
            raise UnsupportedInputError("audioprobe models use no tools; remove them.")
        prompt = prompt_of(input)
        decoding = Decoding(
            max_new_tokens=config.max_tokens or _DEFAULT_TOKENS,
            temperature=config.temperature or 0.0,
            seed=config.seed or 0,
        )
        (response,) = await asyncio.to_thread(
            lambda: list(self._model.generate([prompt], decoding))
        )
        return ModelOutput.from_content(self.model_name, response.text)

    def max_connections(self) -> int:
        """Return 1: a local model answers one prompt at a time."""
        return 1


def prompt_of(messages: Sequence[ChatMessage]) -> Prompt:
    """Return the prompt that one message of the user contains.

    Raises:
        UnsupportedInputError: for several messages, several sounds, or content other than text and
            audio.
    """
    if len(messages) != 1 or messages[0].role != "user":
        roles = ", ".join(message.role for message in messages)
        raise UnsupportedInputError(f"Expected one message of the user, received: {roles}.")
    content = messages[0].content
    parts = [ContentText(text=content)] if isinstance(content, str) else content
    texts = [part.text for part in parts if isinstance(part, ContentText)]
    sounds = [part for part in parts if isinstance(part, ContentAudio)]
    if len(sounds) > 1 or len(texts) + len(sounds) < len(parts):
        kinds = ", ".join(part.type for part in parts)
        raise UnsupportedInputError(f"Expected text and at most one sound, received: {kinds}.")
    return Prompt("\n".join(texts), audio=_waveform(sounds[0].audio) if sounds else None)


def _waveform(audio: str) -> Waveform:
    """Read a sound from a data URI or a path."""
    if not audio.startswith("data:"):
        return read_waveform(Clip(id=audio, path=Path(audio)))
    content = base64.b64decode(audio.partition(",")[2])
    return read_waveform(clip_of_hf_sound({"bytes": content}, "sound"))
