"""Read the log-likelihood of a continuation from vLLM's `prompt_logprobs`."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.responses import LogLikelihood

_CLAMPED_NATS = -9999.0  # vLLM's value for minus infinity, which JSON cannot represent
_PARTIAL_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# Errors raised while reading a JSON value that has another structure than documented.
_FORMAT_ERRORS = (AttributeError, LookupError, TypeError, ValueError, OverflowError)


def read_likelihood(answer: Mapping[str, Any], continuation: str) -> LogLikelihood:
    """Return the log-likelihood of a continuation at the end of the prompt.

    `prompt_logprobs` contains one entry per token of the prompt (None for the first token). An
    entry maps token ids to `logprob`, `rank` and `decoded_token`. Raises `RequestFailedError` if
    the tokens of the continuation cannot be identified, or if their sum is not a finite
    log-probability.
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
            total += -math.inf if logprob <= _CLAMPED_NATS else logprob
            tail = text + tail
        except _FORMAT_ERRORS as error:
            raise RequestFailedError(
                f"prompt_logprobs do not contain the whole continuation, only {tail!r:.60} "
                f"({type(error).__name__})."
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
        "(for example spaces at its ends), or a token crosses its start."
    )


def _prompt_token(entry: Any) -> tuple[Any, Any]:  # noqa: ANN401 - JSON of the service
    """Return log-probability and text of the token that the prompt contains.

    The entry has one or two tokens: the most probable token and the prompt's token, which has the
    larger `rank`.
    """
    token = max(entry.values(), key=lambda item: item["rank"])
    return token["logprob"], token["decoded_token"]


def _check_start(before: Sequence[Any], continuation: str) -> None:
    """Raise if the token before the continuation has no text.

    Such a token may be part of the continuation's first character.
    """
    with suppress(*_FORMAT_ERRORS):  # such as None for the first token of the prompt
        _, text = _prompt_token(before[-1])
        if text == "":
            raise RequestFailedError(
                f"The token before {continuation!r:.60} has no text. It may be part of the first "
                "character or of the chat template, so the sum is unknown. Start the continuation "
                "with another character, or use a local model."
            )
