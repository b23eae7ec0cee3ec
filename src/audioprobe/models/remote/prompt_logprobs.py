"""Log-likelihoods of a continuation from the `prompt_logprobs` of vLLM."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.responses import LogLikelihood

_CLAMPED_NATS = -9999.0  # vLLM's value for minus infinity, which JSON does not have
_PARTIAL_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# Raised when a JSON value has another form than documented.
_FORMAT_ERRORS = (AttributeError, LookupError, TypeError, ValueError, OverflowError)


def read_likelihood(answer: Mapping[str, Any], continuation: str) -> LogLikelihood:
    """Return the log-likelihood of a continuation at the end of the prompt.

    `prompt_logprobs` has one entry per token of the prompt (None for the first): a mapping of token
    ids to `logprob`, `rank` and `decoded_token`. Raises `RequestFailedError` if the tokens of the
    continuation cannot be identified, or their sum is not a finite log-probability.
    """
    entries = answer.get("prompt_logprobs")
    if not isinstance(entries, list) or not entries:
        raise RequestFailedError(
            "The service answered without prompt_logprobs. vLLM returns them; for other services "
            "use OpenAIChat, which has no likelihoods."
        )
    total, tail = 0.0, ""
    for n_tokens, entry in enumerate(reversed(entries), 1):
        try:
            logprob, text = _prompt_token(entry)
            total += -math.inf if logprob <= _CLAMPED_NATS else logprob
            tail = text + tail
        except _FORMAT_ERRORS as error:
            raise RequestFailedError(
                f"prompt_logprobs end before the continuation does, at {tail!r:.60} "
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
        f"The prompt ends in the tokens {tail!r:.60}, but {continuation!r:.60} does not: the chat "
        "template changes it (spaces at its ends?), or a token crosses its start."
    )


def _prompt_token(entry: Any) -> tuple[Any, Any]:  # noqa: ANN401 - JSON of the service
    """Return log-probability and text of the token in the prompt.

    It has the highest rank; the most probable token is listed too if it is a different one.
    """
    token = max(entry.values(), key=lambda item: item["rank"])
    return token["logprob"], token["decoded_token"]


def _check_start(before: Sequence[Any], continuation: str) -> None:
    """Raise if the token before has no text: it may be part of the first character."""
    with suppress(*_FORMAT_ERRORS):  # such as None for the first token of the prompt
        _, text = _prompt_token(before[-1])
        if text == "":
            raise RequestFailedError(
                f"The token before {continuation!r:.60} has no text. It may be part of the first "
                "character or of the chat template, so the sum is unknown. Start the continuation "
                "with another character, or use a local model."
            )
