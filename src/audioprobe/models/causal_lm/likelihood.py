"""Compute log-likelihoods of continuations with any causal model of transformers.

A continuation is a text that may follow a prompt. The model processes the prompt once, and the
beginning that all continuations share; all continuations use its key-value cache. If the model has
another kind of cache (such as a recurrent state), the model processes the prompt again for each
continuation. Prompts with the same beginning share it (`PromptCache`).
"""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.errors import InvalidInputError
from audioprobe.models.causal_lm.generation import run_in_batches, run_single
from audioprobe.models.causal_lm.prompt_cache import (
    PER_TOKEN,
    PromptCache,
    common_start,
    logits_after,
)
from audioprobe.types import LogLikelihood, Option

CHUNK = 32  # continuations per forward pass


def warn_of_truncation(truncated: Mapping[str, Option]) -> None:
    """Warn about audio that a model does not use.

    Args:
        truncated: seconds of unused audio, keyed by a description such as "truncated audio (s)".
    """
    for name, seconds in truncated.items():
        warnings.warn(
            f"{name}: {seconds}. The audio is longer than the model's input.", stacklevel=3
        )


@torch.inference_mode()
def log_likelihood(
    model: Any,  # noqa: ANN401 - models have no common type
    inputs: Mapping[str, Tensor],
    continuations: Sequence[Sequence[int]],
    prompts: PromptCache | None = None,
) -> list[LogLikelihood]:
    """Return the log-likelihood of each continuation after one prompt.

    Args:
        model: a causal model of transformers.
        inputs: inputs of the model for one prompt, which has no padding: `input_ids` of shape
            (1, n_tokens) or `inputs_embeds` of shape (1, n_tokens, width), and other inputs.
        continuations: token ids of each continuation, at least one token each.
        prompts: cache of the prompts before this one; None computes the whole prompt.

    Raises:
        InvalidInputError: if a continuation is empty.
        NonFiniteError: if the log-likelihood of a continuation is not finite.
        OutOfMemoryError: if the prompt with a single continuation does not fit into memory.
    """
    require_tokens(continuations)
    if not continuations:
        return []
    prompt = (prompts or PromptCache(model)).process(inputs)
    if prompt.cache is None:
        return [run_single(partial(_full_pass, model, inputs, ids)) for ids in continuations]
    next_token, position, cache = prompt.next_token, prompt.position, prompt.cache
    total = torch.zeros((), dtype=torch.double, device=next_token.device)
    shared = common_start(continuations)
    if shared:
        ids = torch.tensor([shared], device=next_token.device)
        logits = run_single(lambda: logits_after(model, ids, position, cache))
        scores = logits[0].log_softmax(-1)
        predicted = torch.cat([next_token[None], scores[:-1]])
        total += predicted.gather(-1, ids[0, :, None]).double().sum()
        next_token, position = scores[-1], position + len(shared)
    compute = partial(_continue, model, next_token, position, cache)
    rest = [list(ids)[len(shared) :] for ids in continuations]
    likelihoods = run_in_batches(rest, CHUNK, compute)
    return [
        LogLikelihood(float(total + later), len(ids))
        for ids, later in zip(continuations, likelihoods, strict=True)
    ]


def complete_log_likelihood(
    model: Any,  # noqa: ANN401
    inputs: Mapping[str, Tensor],
    continuations: Sequence[Sequence[int]],
    ends: Sequence[int],
    prompts: PromptCache | None = None,
) -> list[float]:
    """Return the log-probability in nats that each continuation is the whole response.

    It is the probability of the continuation followed by any end-of-sequence token.

    Args:
        model: as for `log_likelihood`.
        inputs: as for `log_likelihood`.
        continuations: token ids of each continuation.
        ends: ids of end-of-sequence tokens; () if the model has none.
        prompts: as for `log_likelihood`.
    """
    if not ends:
        return [value.total for value in log_likelihood(model, inputs, continuations, prompts)]
    ended = [[*ids, end] for ids in continuations for end in ends]
    totals = [value.total for value in log_likelihood(model, inputs, ended, prompts)]
    rows = torch.tensor(totals, dtype=torch.double).reshape(len(continuations), len(ends))
    values: list[float] = rows.logsumexp(dim=1).tolist()
    return values


def require_tokens(continuations: Sequence[Sequence[int]]) -> None:
    """Raise `InvalidInputError` if a continuation has no token ids."""
    if any(not len(ids) for ids in continuations):
        raise InvalidInputError("A continuation needs at least one token, got none.")


def _continue(
    model: Any,  # noqa: ANN401
    next_token: Tensor,
    position: int,
    cache: Any,  # noqa: ANN401
    chunk: Sequence[Sequence[int]],
) -> Iterator[Tensor]:
    """Yield the log-likelihood of each continuation; the cache of the prompt does not change.

    `next_token` contains the log-probabilities of the token after the prompt, shape
    (n_vocabulary,), and `position` is the position of this token.
    """
    device = next_token.device
    totals = next_token[torch.tensor([row[0] for row in chunk], device=device)].double()
    if max(map(len, chunk)) > 1:  # the last token predicts nothing that is needed
        ids = pad_sequence([torch.tensor(list(row)) for row in chunk], batch_first=True).to(device)
        repeated = copy.deepcopy(cache)
        repeated.batch_repeat_interleave(len(chunk))
        logits = logits_after(model, ids[:, :-1], position, repeated)
        later = _token_scores(logits, ids[:, 1:])
        totals += torch.stack(
            [
                scores[: len(row) - 1].double().sum()
                for row, scores in zip(chunk, later, strict=True)
            ]
        )
    yield from totals


def _full_pass(
    model: Any,  # noqa: ANN401
    inputs: Mapping[str, Tensor],
    ids: Sequence[int],
) -> LogLikelihood:
    """Return the log-likelihood of a continuation from one pass over prompt and continuation."""
    prompt = inputs["input_ids"]
    new = torch.tensor([list(ids)], device=prompt.device)
    joined = dict(inputs) | {"input_ids": torch.cat([prompt, new], 1)}
    for name, value in PER_TOKEN.items():
        if name in inputs:
            joined[name] = torch.cat([inputs[name], torch.full_like(new, value)], 1)
    logits = model(**joined, use_cache=False).logits[:, -len(ids) - 1 : -1]
    return LogLikelihood(float(_token_scores(logits, new).double().sum()), len(ids))


def _token_scores(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of each target token under the logits at the same position."""
    return logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]
