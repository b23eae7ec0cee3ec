"""Prompts and answers as chat endpoints write them: JSON of OpenAI's form."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audioprobe.audio.resample import resample
from audioprobe.audio.wav import wav_bytes
from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.responses import split_reasoning
from audioprobe.types import Decoding, Option, Prompt, Response, Waveform

_TOKENS_PER_SECOND = 50  # of sound: Whisper's encoder makes so many, no known model passes on more
_SHORTEST_S = 30.0  # Whisper's window, which some models always fill
_TOKENS_PER_TURN = 64  # what a chat template adds, generously

_REASONING = ("reasoning_content", "reasoning")  # fields of servers that separate it themselves

# Words of `finish_reason`, in lower case. Any other, and none, is an end like "stop".
_AT_LIMIT = frozenset({"length", "max_tokens", "max_output_tokens", "max_new_tokens"})
_AT_LIMIT |= {"max_completion_tokens", "max_length", "model_length", "token_limit", "limit"}
_AT_LIMIT |= {"model_context_window_exceeded", "context_length_exceeded"}
_WITHHELD = frozenset({"content_filter", "content_filtered", "safety", "recitation", "spii"})
_WITHHELD |= {"blocklist", "prohibited_content", "sensitive", "guardrail_intervened", "refusal"}
_BROKEN_OFF = frozenset({"abort", "aborted", "cancelled", "canceled", "error", "network_error"})
_BROKEN_OFF |= {"insufficient_system_resource", "timeout", "malformed_function_call"}


@dataclass(slots=True)
class Messages:
    """A prompt on its way.

    Attributes:
        turns: the messages, as JSON.
        n_tokens: a bound of what they count, high on purpose.
        n_cut: samples that were louder than full scale.
    """

    turns: list[dict[str, Any]] = field(default_factory=list)
    n_tokens: int = 0
    n_cut: int = 0

    def say(self, role: str, text: str, audio: Waveform | None, rate: int | None) -> None:
        """Add a turn; a sound stands before the text about it.

        Raises:
            InvalidInputError: for an empty text, or one that is no Unicode.
        """
        if not text.strip():
            raise InvalidInputError(f"Every {role} turn needs a text, got an empty one.")
        try:
            self.n_tokens += len(text.encode("utf-8")) + _TOKENS_PER_TURN
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"The {role} turn {text!r:.60} holds lone surrogates, which cannot be sent as "
                "UTF-8. It may have been read in a wrong encoding."
            ) from error
        content: str | list[dict[str, Any]] = text
        if audio is not None:
            sound = audio if rate is None else resample(audio, rate)
            file, n_cut = wav_bytes(sound)
            data = {"data": base64.b64encode(file).decode(), "format": "wav"}
            content = [
                {"type": "input_audio", "input_audio": data},
                {"type": "text", "text": text},
            ]
            self.n_cut += n_cut
            self.n_tokens += int(max(sound.duration, _SHORTEST_S) * _TOKENS_PER_SECOND) + 1
        self.turns.append({"role": role, "content": content})


def messages_of(prompt: Prompt, system: str | None, rate: int | None) -> Messages:
    """A prompt as turns: the system's, question and answer of each example, the question.

    Args:
        prompt: with or without sounds.
        system: the first turn; None is none.
        rate: Hz that sounds are resampled to; None keeps their own.

    Raises:
        InvalidInputError: for an empty text, or one that is no Unicode.
        UnsupportedInputError: for a sound too short to be resampled.
    """
    messages = Messages()
    if system is not None:
        messages.say("system", system, None, None)
    for example in prompt.examples:
        messages.say("user", example.question, example.audio, rate)
        messages.say("assistant", example.answer, None, None)
    messages.say("user", prompt.text, prompt.audio, rate)
    return messages


def decoding_fields(decoding: Decoding, *, is_openai: bool) -> dict[str, Any]:
    """How to decode, as fields of a request; only what matters is sent.

    Raises:
        UnsupportedInputError: for what OpenAI's own service has no field for.
    """
    # OpenAI renamed the limit; others know the old name at least.
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    fields: dict[str, Any] = {
        limit: decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "seed": decoding.seed,
    }
    beyond: dict[str, Any] = {}
    if decoding.temperature > 0:
        fields["top_p"] = decoding.top_p
        if decoding.top_k is not None:
            beyond["top_k"] = decoding.top_k
    if decoding.repetition_penalty != 1:
        beyond["repetition_penalty"] = decoding.repetition_penalty
    if beyond and is_openai:
        raise UnsupportedInputError(
            f"OpenAI's service has no {' and no '.join(beyond)}: leave them out of the decoding, "
            "or ask a service that has them (vLLM and SGLang do)."
        )
    return fields | beyond


def usage_of(answer: Mapping[str, Any]) -> dict[str, int]:
    """What the service says that it counted: prompt_tokens, completion_tokens, audio_tokens."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return {}
    details = usage.get("prompt_tokens_details")
    counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
    counts["audio_tokens"] = details.get("audio_tokens") if isinstance(details, dict) else None
    return {name: n for name, n in counts.items() if type(n) is int and n >= 0}


def trial_of(answer: Mapping[str, Any], said: Callable[[str], str]) -> Response:
    """An answer of which only the counts matter, and whether its text differs from another's.

    Args:
        answer: the JSON.
        said: leaves the key out of a service's words, and nothing else.
    """
    try:
        text = _text_of(answer["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError):
        text = ""
    # An answer that was cut off while the model reasoned is as good as any here.
    parts = split_reasoning(said(text))
    return Response("\n".join(filter(None, parts)), details=dict(usage_of(answer)))


def response_of(
    answer: Mapping[str, Any], model: str, limit: int, said: Callable[[str], str]
) -> Response:
    """The text of an answer, if it has one.

    Args:
        answer: the JSON.
        model: what was asked for; another name in the answer is recorded.
        limit: new tokens that were asked for.
        said: makes a service's words fit to be shown.

    Raises:
        Refusal: retryable, for what is no chat completion; not retryable, for an answer that was
            withheld, refused, broken off, or has no text.
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
    _refuse_what_is_no_answer(message, kind, said)
    details: dict[str, Option] = dict(usage_of(answer))
    finish = _finish_of(kind, details.get("completion_tokens"), limit)
    text = _text_of(content)
    if not (split_reasoning(text)[1] or "").strip():
        raise RequestFailedError(_no_text(message, text, finish, said(repr(reason))))
    for name in _REASONING:
        if isinstance(reasoning := message.get(name), str) and reasoning.strip():
            details["reasoning"] = reasoning.strip()
    if reason != finish:
        details["finish_reason"] = said(reason) if kind else "none given"
    answered = answer.get("model")
    if isinstance(answered, str) and answered != model:
        details["model"] = said(answered)
    return Response(text.strip(), finish, details=details)


def _refuse_what_is_no_answer(
    message: Mapping[str, Any], kind: str, said: Callable[[str], str]
) -> None:
    refusal = message.get("refusal") or _part_of(message.get("content"), "refusal")
    if refusal:
        raise RequestFailedError(f"The model refused: {said(str(refusal))!r}.")
    if kind in _WITHHELD:
        raise RequestFailedError(f"The service withheld the answer (finish_reason {said(kind)}).")
    if message.get("tool_calls") or message.get("function_call"):
        raise RequestFailedError(
            "The model called a tool instead of answering. Ask for text alone."
        )
    if kind in _BROKEN_OFF:
        raise RequestFailedError(f"The answer broke off (finish_reason {said(kind)!r}).")


def _text_of(content: object) -> str:
    """The text of a message: a string, or the parts of it that are text; "" where there is none."""
    if isinstance(content, str):
        return content
    return _part_of(content, "text") or _part_of(content, "output_text", "text")


def _part_of(content: object, kind: str, name: str | None = None) -> str:
    """The parts of one type, joined; other parts, such as thoughts, are left out."""
    parts = content if isinstance(content, list) else [content]
    texts = [
        part.get(name or kind)
        for part in parts
        if isinstance(part, dict) and part.get("type") == kind
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _finish_of(kind: str, n_new: object, limit: int) -> Literal["stop", "length"]:
    """How an answer ended; where the service does not say, its count of tokens does."""
    if kind in _AT_LIMIT:
        return "length"
    if not kind and isinstance(n_new, int) and n_new >= limit:
        return "length"
    return "stop"


def _no_text(message: Mapping[str, Any], text: str, finish: str, reason: str) -> str:
    thought = any(str(told or "").strip() for told in (text, *map(message.get, _REASONING)))
    if thought or finish == "length":
        return (
            "The model answered with no text: it reached the token limit or returned reasoning "
            "only. Raise max_new_tokens, or disable reasoning (extra_body)."
        )
    return f"The model answered with no text (finish_reason {reason})."
