"""Requests with prompt embeddings to a vLLM server, in the format of its routes for completions.

The format was recorded from vLLM 0.32. Prompt embeddings need the option --enable-prompt-embeds of
the server. `prompt_logprobs` must never be sent with them: vLLM 0.32 refuses it for completions,
and a chat request with it ends the server.
"""

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Any, TypeVar

import torch
from torch import Tensor

from audioprobe.models.causal_lm.generation import GeneratedTokens
from audioprobe.models.concurrency import PicklableLock
from audioprobe.models.remote.budget import TokenUsage
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.openai_format import read_usage
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.models.remote.vllm_chat import CLAMPED_NATS, FORMAT_ERRORS

T = TypeVar("T")

MAX_TOKENS_PER_REQUEST = 128  # vLLM's maximum number of token ids in `logprob_token_ids`

_TESTED = "0.32"


class PromptEmbeddingServer:
    """A vLLM server that continues prompt embeddings with one model.

    Args:
        client: sends the requests.
        model: name of the model at the server.
        end: id of the end-of-sequence token.
    """

    def __init__(self, client: ServiceClient, model: str, end: int) -> None:
        self._client, self._model, self._end = client, model, end
        self._lock = PicklableLock()
        self._fingerprint: str | None = None

    def generate(
        self,
        embeddings: Tensor,
        fields: Mapping[str, Any],
        n_new: int,
        stop: Event,
    ) -> GeneratedTokens:
        """Return the tokens that the model generates after a prompt.

        Args:
            embeddings: embeddings of the whole prompt, shape (n_positions, hidden).
            fields: decoding options of the request, without a repetition penalty: the server does
                not know the token ids of the prompt.
            n_new: maximum number of new tokens.
            stop: event that another thread sets if the request is no longer needed.
        """
        body = {"prompt_embeds": encode_embeddings(embeddings), "return_token_ids": True, **fields}

        def read(answer: Mapping[str, Any]) -> GeneratedTokens:
            return read_tokens(answer, self._end)

        return self._post(
            "/completions", body, read, n_input=len(embeddings), n_output=n_new, stop=stop
        )

    def generate_after_text(
        self,
        audio: Tensor | None,
        text: str,
        ids: Sequence[int],
        fields: Mapping[str, Any],
        *,
        n_new: int,
        stop: Event,
    ) -> GeneratedTokens:
        """Return the tokens that the model generates after audio and a text that the server knows.

        The server tokenizes the text, so that a repetition penalty applies to the text.

        Args:
            audio: embeddings of the audio, shape (n_tokens, hidden); None for no audio.
            text: the text with its beginning-of-sequence token.
            ids: token ids of the text; if the server uses others, the request fails.
            fields: decoding options of the request.
            n_new: maximum number of new tokens.
            stop: event that another thread sets if the request is no longer needed.
        """
        parts: list[dict[str, str]] = [{"type": "text", "text": text}]
        if audio is not None:
            parts.insert(0, {"type": "prompt_embeds", "data": encode_embeddings(audio)})
        body = {
            "messages": [{"role": "user", "content": parts}],
            "add_special_tokens": False,
            "return_token_ids": True,
            **fields,
        }
        n_audio = 0 if audio is None else len(audio)

        def read(answer: Mapping[str, Any]) -> GeneratedTokens:
            check_text_ids(answer, ids, n_audio)
            return read_tokens(answer, self._end)

        return self._post(
            "/chat/completions", body, read, n_input=n_audio + len(ids), n_output=n_new, stop=stop
        )

    def next_logprobs(self, embeddings: Tensor, tokens: Sequence[int], stop: Event) -> list[float]:
        """Return the log-probability in nats of each of several tokens as the next one.

        Args:
            embeddings: embeddings of all tokens before, shape (n_positions, hidden).
            tokens: token ids, at most `MAX_TOKENS_PER_REQUEST`.
            stop: event that another thread sets if the request is no longer needed.
        """
        body = {
            "prompt_embeds": encode_embeddings(embeddings),
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": 1,
            "logprob_token_ids": list(tokens),
            "return_tokens_as_token_ids": True,
        }

        def read(answer: Mapping[str, Any]) -> list[float]:
            return read_logprobs(answer, tokens)

        return self._post(
            "/completions", body, read, n_input=len(embeddings), n_output=1, stop=stop
        )

    def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        *,
        n_input: int,
        n_output: int,
        stop: Event,
    ) -> T:
        def read_checked(answer: Mapping[str, Any], usage: TokenUsage) -> T:
            counts = read_usage(answer)
            usage.n_input = counts.get("prompt_tokens", usage.n_input)
            usage.n_output = counts.get("completion_tokens", usage.n_output)
            self._check_origin(answer)
            return read(answer)

        return self._client.request(
            path,
            {"model": self._model, **body},
            read_checked,
            expected="a completion",
            n_input=n_input,
            n_output=n_output,
            stop=stop,
        )

    def _check_origin(self, answer: Mapping[str, Any]) -> None:
        """Raise `RequestFailedError` if another model, version or configuration answers."""
        if answer.get("model") != self._model:
            raise RequestFailedError(
                f"Expected an answer of {self._model!r}, received one of "
                f"{self._client.quote(str(answer.get('model')))!r}. Check the server.",
                final=True,
            )
        received = answer.get("system_fingerprint")
        if not isinstance(received, str):
            return
        with self._lock:
            expected = self._fingerprint = self._fingerprint or received
        if received != expected:
            raise RequestFailedError(
                "The server changed its version or configuration from "
                f"{self._client.quote(expected)!r} to {self._client.quote(received)!r}. Create "
                "the model again.",
                final=True,
            )


def encode_embeddings(embeddings: Tensor) -> str:
    """Return embeddings, shape (n_positions, hidden), in vLLM's format: base64 of `torch.save`."""
    stream = io.BytesIO()
    torch.save(embeddings.detach().cpu().clone(), stream)  # a view would save its whole storage
    return base64.b64encode(stream.getvalue()).decode()


def read_tokens(answer: Mapping[str, Any], end: int) -> GeneratedTokens:
    """Return the generated token ids before the end-of-sequence token `end`.

    Raises:
        RequestFailedError: if the answer has no token ids.
    """
    try:
        ids = [_token_id(token) for token in answer["choices"][0]["token_ids"]]
    except FORMAT_ERRORS as error:
        raise format_error("token_ids", error) from None
    if end in ids:
        return GeneratedTokens(tuple(ids[: ids.index(end)]), ended=True)
    return GeneratedTokens(tuple(ids), ended=False)


def read_logprobs(answer: Mapping[str, Any], tokens: Iterable[int]) -> list[float]:
    """Return the log-probability in nats of each token at the first generated position.

    Raises:
        RequestFailedError: if a log-probability is missing.
    """
    try:
        values = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        logprobs = [float(values[f"token_id:{token}"]) for token in tokens]
    except FORMAT_ERRORS as error:
        raise format_error("log-probabilities of given tokens (logprob_token_ids)", error) from None
    return [-math.inf if value <= CLAMPED_NATS else value for value in logprobs]


def check_text_ids(answer: Mapping[str, Any], ids: Sequence[int], n_audio: int) -> None:
    """Raise `RequestFailedError` if the server tokenized the text of a prompt differently."""
    received = answer.get("prompt_token_ids")
    if not isinstance(received, list) or received[n_audio:] != list(ids):
        n_received = len(received) - n_audio if isinstance(received, list) else "no"
        raise RequestFailedError(
            f"Expected the server to use the {len(ids)} token ids of the local tokenizer for the "
            f"text of the prompt, received {n_received} token ids or other ones. A repetition "
            "penalty would apply to other tokens. Omit the repetition penalty, or use a local "
            "model."
        )


def _token_id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def format_error(expected: str, error: Exception) -> RequestFailedError:
    """Return the error for an answer whose format differs from vLLM's; it names `expected`."""
    return RequestFailedError(
        f"Expected {expected} in the answer, received none ({type(error).__name__}). Use a vLLM "
        f"server (tested with version {_TESTED})."
    )
