"""Chat models served by vLLM, which can also compute likelihoods of given answers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from threading import Event
from typing import Any

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.openai_format import build_messages
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.types import Decoding, LogLikelihood, Prompt, Response

_FIELDS: dict[str, Any] = {
    "add_generation_prompt": False,
    "continue_final_message": True,
    "prompt_logprobs": 1,
    "max_tokens": 1,
    "temperature": 0.0,
}
"""Request fields of vLLM: leave the last message open, and return logprobs of the prompt."""

CLAMPED_NATS = -9999.0  # vLLM's value for minus infinity, which JSON cannot represent
_PARTIAL_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# Errors raised while reading JSON whose structure differs from vLLM's documentation.
FORMAT_ERRORS = (AttributeError, LookupError, TypeError, ValueError, OverflowError)


class VllmChat(OpenAIChat):
    """An `OpenAIChat` for a vLLM server, which also computes likelihoods.

    The implementation follows vLLM's documentation of `prompt_logprobs`. It was tested with a local
    server that answers in this format.

    With `Decoding.choices`, the server excludes all tokens that do not continue one of the choices
    (guided decoding). Unlike local models, it takes the most probable token at each step, so that
    the response may not be the choice with the highest probability. `Response.details` has the
    entry "guided decoding".
    """

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Yield one response per prompt, in order; see `OpenAIChat.generate`.

        Raises:
            RemoteError: also if choices are given and the response is none of them.
        """
        if decoding is None or not decoding.choices:
            return super().generate(prompts, decoding)
        # A token has at least one byte; one more token ends the response.
        longest = max(len(text.strip().encode()) for text in decoding.choices)
        responses = super().generate(prompts, replace(decoding, max_new_tokens=longest + 1))
        return (_guided(response, decoding.choices) for response in responses)

    def log_likelihood(
        self, prompts: Iterable[Prompt], continuations: Sequence[str]
    ) -> Iterator[Sequence[LogLikelihood]]:
        """Yield, for each prompt, the log-likelihood of each continuation as the answer.

        One request is sent per prompt and continuation. Whether the audio is encoded only once
        depends on the server's cache.

        Args:
            prompts: read lazily; up to twice the concurrency is read in advance.
            continuations: texts, exactly as the assistant would write them.

        Raises:
            InvalidInputError: if a text is empty, or if the endpoint is OpenAI's.
            RemoteError: if a request failed permanently, or if the tokens of a continuation cannot
                be identified: the chat template changes it, or a token includes text before it.
        """
        if self._client.is_openai:
            raise InvalidInputError(
                "OpenAI's service returns no likelihoods of given answers. Pass the base_url of a "
                "vLLM server."
            )
        if not continuations:
            for _ in prompts:
                yield ()
            return
        self._client.check_key()
        pairs = ((prompt, text) for prompt in prompts for text in continuations)
        values = self._client.workers.map(pairs, self._likelihood, lambda p: (p[0].digest(), p[1]))
        while row := tuple(islice(values, len(continuations))):
            yield row

    def _fields(self, decoding: Decoding) -> dict[str, Any]:
        if not decoding.choices or self._client.is_openai:
            return super()._fields(decoding)
        choices = [text.strip() for text in decoding.choices]
        fields = super()._fields(replace(decoding, choices=()))
        return {**fields, "structured_outputs": {"choice": choices}}

    def _likelihood(self, pair: tuple[Prompt, str], stop: Event) -> LogLikelihood:
        prompt, continuation = pair
        self._require_audio_support(prompt, stop)
        messages = build_messages(prompt, self.system, self._sample_rate)
        messages.add("assistant", continuation)

        def read(answer: Mapping[str, Any]) -> LogLikelihood:
            return read_likelihood(answer, continuation)

        return self._request(messages, _FIELDS, 1, read, stop)


def _guided(response: Response, choices: Sequence[str]) -> Response:
    """Return the response with a note in its details; raise if it is none of the choices."""
    if response.text not in {text.strip() for text in choices}:
        raise RemoteError(
            f"Expected one of {len(choices)} choices, received {response.text!r:.60}. The server "
            "ignores structured_outputs; use a newer version of vLLM.",
            final=True,
        )
    return replace(response, details={**response.details, "guided decoding": True})


def read_likelihood(answer: Mapping[str, Any], continuation: str) -> LogLikelihood:
    """Return the log-likelihood of a continuation, which vLLM received at the end of a prompt.

    `answer["prompt_logprobs"]` contains one entry per token of the prompt (None for the first
    token). An entry maps token ids to `logprob`, `rank` and `decoded_token`.

    Raises:
        RequestFailedError: if the tokens of the continuation cannot be identified, or if the sum of
            their log-probabilities is not finite.
    """
    entries = answer.get("prompt_logprobs")
    if not isinstance(entries, list) or not entries:
        raise RequestFailedError(
            "Expected prompt_logprobs in the answer, as vLLM returns them, got none. For other "
            "services, use OpenAIChat, which does not compute likelihoods."
        )
    total, tail = 0.0, ""
    for n_tokens, entry in enumerate(reversed(entries), 1):
        try:
            logprob, text = _prompt_token(entry)
            total += -math.inf if logprob <= CLAMPED_NATS else logprob
            tail = text + tail
        except FORMAT_ERRORS as error:
            raise RequestFailedError(
                f"Expected prompt_logprobs for the whole continuation {continuation!r:.60}, got "
                f"them only for its end {tail!r:.60} ({type(error).__name__}). Update the server."
            ) from None
        if tail == continuation:
            _check_start(entries[:-n_tokens], continuation)
            try:
                return LogLikelihood(total, n_tokens)
            except InvalidInputError as error:
                message = f"prompt_logprobs of {continuation!r:.60}: {error}"
                raise RequestFailedError(message) from None
        if not continuation.endswith(tail):
            break
    if _PARTIAL_CHARACTER in tail:
        raise RequestFailedError(
            f"The service shows tokens that are parts of a character as {_PARTIAL_CHARACTER!r}, so "
            f"the tokens of {continuation!r:.60} cannot be identified. Use continuations in ASCII, "
            "or a newer version of the service."
        )
    raise RequestFailedError(
        f"The tokens at the end of the prompt are {tail!r:.60}, which differs from the "
        f"continuation {continuation!r:.60}. Either the chat template changes the continuation "
        "(for example spaces at its ends), or a token includes text before it."
    )


def _prompt_token(entry: Any) -> tuple[Any, Any]:  # noqa: ANN401 - JSON of the service
    """Return the log-probability and the text of the prompt's token at one position.

    `entry` contains the token of the prompt. If a different token is the most probable one, it
    contains that token, too. The token of the prompt has the larger `rank`.
    """
    token = max(entry.values(), key=lambda item: item["rank"])
    return token["logprob"], token["decoded_token"]


def _check_start(before: Sequence[Any], continuation: str) -> None:
    """Raise `RequestFailedError` if the token before the continuation has no text.

    Such a token may be part of the continuation's first character.
    """
    with suppress(*FORMAT_ERRORS):  # such as None for the first token of the prompt
        _, text = _prompt_token(before[-1])
        if text == "":
            raise RequestFailedError(
                f"The token before {continuation!r:.60} has no text. It may be part of the first "
                "character or of the chat template, so the likelihood is unknown. Start the "
                "continuation with another character, or use a local model."
            )
