"""How probable given continuations are, under any causal model of transformers.

The prompt is encoded once, and all continuations share its keys and values. Where a model keeps
something else between tokens (a recurrent state, for one), each continuation gets a full pass.
"""

import copy
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from audioprobe.errors import InvalidInputError
from audioprobe.models.causal_lm.batching import answer_in_batches, answer_one
from audioprobe.types import LogLikelihood

CHUNK = 32  # continuations scored at once over copies of one prefix

# Inputs with an entry per token, and the entry of a token of text.
PER_TOKEN = {"attention_mask": 1, "token_type_ids": 0, "mm_token_type_ids": 0}


@dataclass(frozen=True, slots=True, eq=False)
class _Prefix:
    """An encoded prompt: scores of the next token, its position, and the shared cache."""

    first: Tensor
    position: int
    cache: Any


@torch.inference_mode()
def log_likelihood(
    model: Any,  # noqa: ANN401 - models have no common type
    inputs: Mapping[str, Tensor],
    continuations: Sequence[Sequence[int]],
) -> list[LogLikelihood]:
    """Log-likelihood of each continuation after one prompt.

    Args:
        model: a causal model of transformers.
        inputs: of one prompt, without padding: `input_ids` or `inputs_embeds`, shape (1, n_tokens)
            or (1, n_tokens, width), and what else the model takes.
        continuations: token ids, at least one each.

    Raises:
        InvalidInputError: for a continuation without tokens.
        NonFiniteError: if a continuation has no finite log-likelihood.
        OutOfMemoryError: if the prompt, or it and a single continuation, does not fit.
    """
    if any(not len(ids) for ids in continuations):
        raise InvalidInputError("A continuation needs at least one token, got none.")
    if not continuations:
        return []
    outputs = answer_one(lambda: model(**inputs, use_cache=True, **_last_only(model)))
    cache = getattr(outputs, _cache_name(model), None)
    if not _can_be_shared(cache):
        return [answer_one(partial(_score_whole, model, inputs, ids)) for ids in continuations]
    given = inputs.get("inputs_embeds", inputs.get("input_ids"))
    assert given is not None  # noqa: S101 - the caller's promise
    prefix = _Prefix(
        outputs.logits[0, -1].float().log_softmax(-1),
        given.shape[1] + _rope_delta(model),
        cache,
    )

    def score(chunk: Sequence[Sequence[int]]) -> Iterable[LogLikelihood]:
        return _score(model, prefix, chunk)

    return list(answer_in_batches(continuations, CHUNK, score))


def _score(
    model: Any,  # noqa: ANN401
    prefix: _Prefix,
    chunk: Sequence[Sequence[int]],
) -> Iterator[LogLikelihood]:
    """Scores of continuations over one encoded prefix, which stays as it is."""
    device = prefix.first.device
    ids = pad_sequence([torch.tensor(list(row)) for row in chunk], batch_first=True).to(device)
    repeated = copy.deepcopy(prefix.cache)
    repeated.batch_repeat_interleave(len(chunk))
    options = {_cache_name(model): repeated}
    if "position_ids" in inspect.signature(model.forward).parameters:
        # Pads stand on the right, where no earlier token sees them.
        after = torch.arange(ids.shape[1], device=device) + prefix.position
        options["position_ids"] = after.expand_as(ids)
    logits = model(input_ids=ids, use_cache=True, **options).logits
    later = _scores(logits[:, :-1], ids[:, 1:])
    for row, scores in zip(chunk, later, strict=True):
        total = prefix.first[row[0]].double() + scores[: len(row) - 1].double().sum()
        yield LogLikelihood(float(total), len(row))


def _cache_name(model: Any) -> str:  # noqa: ANN401
    """What keys and values of earlier tokens are called: transformers 5.24 renamed them."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _score_whole(
    model: Any,  # noqa: ANN401
    inputs: Mapping[str, Tensor],
    ids: Sequence[int],
) -> LogLikelihood:
    """The same number by one pass over prompt and continuation."""
    prompt = inputs["input_ids"]
    new = torch.tensor([list(ids)], device=prompt.device)
    whole = dict(inputs) | {"input_ids": torch.cat([prompt, new], 1)}
    for name, value in PER_TOKEN.items():
        if name in inputs:
            whole[name] = torch.cat([inputs[name], torch.full_like(new, value)], 1)
    logits = model(**whole, use_cache=False).logits[:, -len(ids) - 1 : -1]
    return LogLikelihood(float(_scores(logits, new).double().sum()), len(ids))


def _scores(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def _last_only(model: Any) -> dict[str, int]:  # noqa: ANN401
    """Logits of the last position alone, where the model can be asked for them."""
    known = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": 1} if known else {}


def _can_be_shared(cache: Any) -> bool:  # noqa: ANN401
    """Whether a cache holds keys and values and nothing else."""
    return type(cache) is DynamicCache and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    )


def _rope_delta(model: Any) -> int:  # noqa: ANN401
    """By how much rotary positions run ahead of the tokens, after the prompt just encoded.

    Models with positions of several axes (Qwen's omni models) note it when they encode a prompt.
    """
    delta = getattr(getattr(model, "model", None), "rope_deltas", None)
    return 0 if delta is None else int(delta.flatten()[0])
