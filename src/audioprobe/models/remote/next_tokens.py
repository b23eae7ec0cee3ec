"""Likelihoods of continuations from requests for the probabilities of next tokens.

A server that returns only probabilities of new tokens is asked once for each different beginning of
the continuations.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NextTokens:
    """Tokens whose probability is needed after a beginning of a continuation.

    Attributes:
        prefix: token ids of the beginning.
        tokens: ids of the possible next tokens.
    """

    prefix: tuple[int, ...]
    tokens: tuple[int, ...]


def next_tokens(sequences: Iterable[Sequence[int]], n_max: int) -> list[NextTokens]:
    """Return the next tokens of each different beginning of sequences of token ids.

    Args:
        sequences: token ids of each continuation.
        n_max: maximum number of tokens in one item of the result.
    """
    following: dict[tuple[int, ...], dict[int, None]] = {}  # a dictionary keeps the order
    for ids in sequences:
        for n, token in enumerate(ids):
            following.setdefault(tuple(ids[:n]), {})[token] = None
    return [
        NextTokens(prefix, tuple(tokens)[start : start + n_max])
        for prefix, tokens in following.items()
        for start in range(0, len(tokens), n_max)
    ]


def sequence_totals(
    sequences: Iterable[Sequence[int]],
    steps: Sequence[NextTokens],
    logprobs: Sequence[Sequence[float]],
) -> list[float]:
    """Return the log-probability in nats of each sequence.

    Args:
        sequences: as for `next_tokens`.
        steps: result of `next_tokens`.
        logprobs: log-probability in nats of each token of each step.
    """
    values = {
        (step.prefix, token): value
        for step, row in zip(steps, logprobs, strict=True)
        for token, value in zip(step.tokens, row, strict=True)
    }
    return [
        math.fsum(values[tuple(ids[:n]), token] for n, token in enumerate(ids)) for ids in sequences
    ]
