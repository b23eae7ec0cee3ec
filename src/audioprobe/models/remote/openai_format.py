"""Conversion of prompts to, and of answers from, the JSON format of OpenAI's chat completions."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audioprobe.audio.transforms import resample, wav_bytes
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.choices import refuse_choices
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.responses import split_reasoning
from audioprobe.types import Decoding, Option, Prompt, Response, Waveform

_TOKENS_PER_SECOND = 50  # frame rate of Whisper's encoder; no known model uses more tokens
_MIN_SECONDS = 30.0  # length of Whisper's window; some models pad audio to it
_TOKENS_PER_TURN = 64  # upper bound of the tokens that a chat template adds

# Fields in which some servers return reasoning separately.
_REASONING_FIELDS = ("reasoning_content", "reasoning")

# Values of `finish_reason`, in lower case. Other or missing values are read as "stop".
_AT_LIMIT = frozenset({"length", "max_tokens", "max_output_tokens", "max_new_tokens"})
_AT_LIMIT |= {"max_completion_tokens", "max_length", "model_length", "token_limit", "limit"}
_AT_LIMIT |= {"model_context_window_exceeded", "context_length_exceeded"}
_WITHHELD = frozenset({"content_filter", "content_filtered", "safety", "recitation", "spii"})
_WITHHELD |= {"blocklist", "prohibited_content", "sensitive", "guardrail_intervened", "refusal"}
_INTERRUPTED = frozenset({"abort", "aborted", "cancelled", "canceled", "error", "network_error"})
_INTERRUPTED |= {"insufficient_system_resource", "timeout", "malformed_function_call"}


# Fields of a request that OpenAIChat sets.
_RESERVED = frozenset(("model", "messages", "stream", "n", "temperature", "top_p", "top_k", "seed"))
_RESERVED |= {"repetition_penalty", "max_tokens", "max_completion_tokens"}


@dataclass(slots=True)
class ChatMessages:
    """The messages of a request.

    Attributes:
        turns: the messages as JSON.
        n_tokens: upper bound of the number of tokens, to check the budget.
        n_clipped: number of audio samples outside [-1, 1], which were clipped.
    """

    turns: list[dict[str, Any]] = field(default_factory=list)
    n_tokens: int = 0
    n_clipped: int = 0

    def add(
        self, role: str, text: str, audio: Waveform | None = None, rate: int | None = None
    ) -> None:
        """Add a message of "system", "user" or "assistant"; audio precedes the text.

        Audio is resampled to `rate` (Hz); None does not resample.
        """
        if not text.strip():
            raise InvalidInputError(f"Every {role} turn needs a text, got an empty text.")
        try:
            self.n_tokens += len(text.encode("utf-8")) + _TOKENS_PER_TURN
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"The {role} turn {text!r:.60} contains lone surrogates, which cannot be sent as "
                "UTF-8. It may have been read with a wrong encoding."
            ) from error
        content: str | list[dict[str, Any]] = text
        if audio is not None:
            waveform = audio if rate is None else resample(audio, rate)
            file, n_clipped = wav_bytes(waveform)
            data = {"data": base64.b64encode(file).decode(), "format": "wav"}
            content = [
                {"type": "input_audio", "input_audio": data},
                {"type": "text", "text": text},
            ]
            self.n_clipped += n_clipped
            self.n_tokens += int(max(waveform.duration, _MIN_SECONDS) * _TOKENS_PER_SECOND) + 1
        self.turns.append({"role": role, "content": content})

    def add_raw(self, message: dict[str, Any]) -> None:
        """Add a message in OpenAI's format, such as the result of a tool."""
        self.n_tokens += len(json.dumps(message, ensure_ascii=False).encode()) + _TOKENS_PER_TURN
        self.turns.append(message)


def build_messages(prompt: Prompt, system: str | None, rate: int | None) -> ChatMessages:
    """Convert a prompt to messages in this order: system message, examples, question.

    Audio is resampled to `rate` (Hz); None does not resample.
    """
    messages = ChatMessages()
    if system is not None:
        messages.add("system", system)
    for example in prompt.examples:
        messages.add("user", example.question, example.audio, rate)
        messages.add("assistant", example.answer)
    messages.add("user", prompt.text, prompt.audio, rate)
    return messages


def decoding_fields(decoding: Decoding, *, is_openai: bool) -> dict[str, Any]:
    """Convert decoding settings to fields of a request; omit settings that have no effect."""
    refuse_choices(
        decoding,
        "A remote model",
        "Use a local model, or VllmChat for a vLLM server.",
    )
    # OpenAI renamed the token limit; all other services accept the old name.
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    fields: dict[str, Any] = {
        limit: decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "seed": decoding.seed,
    }
    extensions: dict[str, Any] = {}
    if decoding.temperature > 0:
        fields["top_p"] = decoding.top_p
        if decoding.top_k is not None:
            extensions["top_k"] = decoding.top_k
    if decoding.repetition_penalty != 1:
        extensions["repetition_penalty"] = decoding.repetition_penalty
    if extensions and is_openai:
        raise UnsupportedInputError(
            f"OpenAI's service has no {' and no '.join(extensions)}. Remove the option, or use a "
            "service that supports it (vLLM or SGLang)."
        )
    return fields | extensions


def checked_extra_body(extra_body: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of `extra_body`.

    Raises:
        InvalidInputError: if a field is not JSON, or is one that `OpenAIChat` sets itself.
    """
    reserved = sorted(_RESERVED & set(extra_body))
    if reserved:
        raise InvalidInputError(
            f"extra_body must not contain {', '.join(reserved)}: model, decoding settings and "
            "prompts set these fields. Remove them."
        )
    try:
        copy: dict[str, object] = json.loads(json.dumps(dict(extra_body), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"extra_body must be JSON: {error}.") from error
    return copy


def read_usage(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return a dict with the reported prompt_tokens, completion_tokens and audio_tokens.

    Counts that the service does not report are left out.
    """
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return {}
    details = usage.get("prompt_tokens_details")
    counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
    counts["audio_tokens"] = details.get("audio_tokens") if isinstance(details, dict) else None
    return {name: n for name, n in counts.items() if type(n) is int and n >= 0}


def read_unchecked(answer: Mapping[str, Any], redact: Callable[[str], str]) -> Response:
    """Convert an answer to a `Response` without raising; the text may be incomplete or empty.

    The check whether audio reaches the model uses it. `redact` removes the key from the text.
    """
    try:
        text = _text_of(answer["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError):
        text = ""
    # For comparing answers, incomplete reasoning is sufficient.
    parts = split_reasoning(redact(text))
    return Response("\n".join(filter(None, parts)), details=dict(read_usage(answer)))


def read_response(
    answer: Mapping[str, Any], model: str, limit: int, quote: Callable[[str], str]
) -> Response:
    """Convert an answer to a `Response` with token counts and reasoning in `details`.

    Args:
        answer: the answer as JSON.
        model: name of the requested model; another name in the answer is added to `details`.
        limit: requested maximum number of new tokens, to detect that it was reached.
        quote: function that shortens a text from the service and removes the key.

    Raises:
        RequestFailedError: if the answer is not a chat completion (retryable); or if it was
            withheld, refused or interrupted, or has no text (permanent).
    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, reason = message.get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RequestFailedError(
            f"Expected a chat completion with one choice, got none ({type(error).__name__}).",
            retryable=True,
        ) from None
    kind = reason.strip().lower() if isinstance(reason, str) else ""
    _check_answer(message, kind, quote)
    details: dict[str, Option] = dict(read_usage(answer))
    finish = _finish(kind, details.get("completion_tokens"), limit)
    text = _text_of(content)
    fields = map(message.get, _REASONING_FIELDS)
    reasoning = [value.strip() for value in fields if isinstance(value, str) and value.strip()]
    if not (split_reasoning(text)[1] or "").strip():
        if text.strip() or reasoning or finish == "length":
            raise RequestFailedError(
                "The model answered with no text: it reached the token limit or returned reasoning "
                "only. Raise max_new_tokens, or disable reasoning (extra_body)."
            )
        raise RequestFailedError(
            f"The model answered with no text (finish_reason {quote(repr(reason))})."
        )
    if reasoning:
        details["reasoning"] = reasoning[-1]
    if reason != finish:
        details["finish_reason"] = quote(reason) if kind else "none given"
    answering_model = answer.get("model")
    if isinstance(answering_model, str) and answering_model != model:
        details["model"] = quote(answering_model)
    return Response(text.strip(), finish, details=details)


def _check_answer(message: Mapping[str, Any], kind: str, quote: Callable[[str], str]) -> None:
    """Raise `RequestFailedError` if there is no complete answer.

    The model refused or called a tool, or the service withheld or interrupted the answer.
    """
    refusal = message.get("refusal") or _part_of(message.get("content"), "refusal")
    if refusal:
        raise RequestFailedError(f"The model refused: {quote(str(refusal))!r}.")
    if kind in _WITHHELD:
        raise RequestFailedError(f"The service withheld the answer (finish_reason {quote(kind)}).")
    if message.get("tool_calls") or message.get("function_call"):
        raise RequestFailedError("The model called a tool instead of answering. Ask for text only.")
    if kind in _INTERRUPTED:
        raise RequestFailedError(f"The answer was interrupted (finish_reason {quote(kind)!r}).")


def _text_of(content: object) -> str:
    """Return the text of a message, which is a string or a list of parts; "" if there is none."""
    if isinstance(content, str):
        return content
    return _part_of(content, "text") or _part_of(content, "output_text", "text")


def _part_of(content: object, kind: str, name: str | None = None) -> str:
    """Return the joined texts of all parts of a message that have the type `kind`."""
    parts = content if isinstance(content, list) else [content]
    texts = [
        part.get(name or kind)
        for part in parts
        if isinstance(part, dict) and part.get("type") == kind
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _finish(kind: str, n_new: object, limit: int) -> Literal["stop", "length"]:
    """Return "length" if an answer ended at the token limit, otherwise "stop"."""
    if kind in _AT_LIMIT or (not kind and isinstance(n_new, int) and n_new >= limit):
        return "length"
    return "stop"
