"""Log-likelihoods of a continuation, as vLLM reports them for the tokens of a prompt."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.responses import LogLikelihood

_CLAMPED_NATS = -9999.0  # what vLLM writes for minus infinity, which JSON does not have
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
# What reading a JSON value of another form than documented raises.
_OTHER_FORM = (AttributeError, LookupError, TypeError, ValueError, OverflowError)


def likelihood_of(answer: Mapping[str, Any], continuation: str) -> LogLikelihood:
    """The log-likelihood of a continuation that ends the prompt, as vLLM reports it.

    Args:
        answer: with `prompt_logprobs`: one entry per token of the prompt (None for the first), of
            token ids with `logprob`, `rank` and `decoded_token`.
        continuation: the text that the prompt ends with.

    Raises:
        Refusal: if there are no such entries, it is not certain which tokens are the continuation,
            or their sum is no finite log-probability.
    """
    entries = answer.get("prompt_logprobs")
    if not isinstance(entries, list) or not entries:
        raise RequestFailedError(
            "The service answered without prompt_logprobs. vLLM gives them; another service needs "
            "OpenAIChat, which has no likelihoods."
        )
    total, tail = 0.0, ""
    for n, entry in enumerate(reversed(entries), 1):
        try:
            logprob, text = _own_token(entry)
            total += -math.inf if logprob <= _CLAMPED_NATS else logprob
            tail = text + tail
        except _OTHER_FORM as error:
            raise RequestFailedError(
                f"prompt_logprobs end before the continuation does, at {tail!r:.60} "
                f"({type(error).__name__})."
            ) from None
        if tail == continuation:
            _refuse_unclear_start(entries[:-n], continuation)
            return _log_likelihood(total, n, continuation)
        if not continuation.endswith(tail):
            break
    if _UNKNOWN in tail:
        raise RequestFailedError(
            f"The service shows tokens that are parts of a character as {_UNKNOWN!r}, so it is not "
            f"known which of them are {continuation!r:.60}. Use continuations in ASCII, or a newer "
            "version of the service."
        )
    raise RequestFailedError(
        f"The prompt ends in the tokens {tail!r:.60}, which is not how {continuation!r:.60} ends: "
        "the chat template changes it (spaces at its ends?), or a token reaches across its start."
    )


def _own_token(entry: Any) -> tuple[Any, Any]:  # noqa: ANN401 - whatever the service says
    """Log-probability and text of the prompt's own token.

    It has the highest rank: the most probable token is listed too where it is another one.
    """
    token = max(entry.values(), key=lambda item: item["rank"])
    return token["logprob"], token["decoded_token"]


def _refuse_unclear_start(before: Sequence[Any], continuation: str) -> None:
    """Refuse a token without text in front: part of the first character, or of the template?"""
    with suppress(*_OTHER_FORM):  # such as None, for the first token of the prompt
        _, text = _own_token(before[-1])
        if text == "":
            raise RequestFailedError(
                f"The token before {continuation!r:.60} has no text. It may be a part of the first "
                "character, or belong to the chat template, so the sum is not known. Begin the "
                "continuation with another character, or use a model on this machine."
            )


def _log_likelihood(total: float, n_tokens: int, continuation: str) -> LogLikelihood:
    try:
        return LogLikelihood(total, n_tokens)
    except InvalidInputError as error:
        raise RequestFailedError(f"prompt_logprobs of {continuation!r:.60}: {error}") from None
