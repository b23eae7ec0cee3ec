"""Keys and values of a prompt, which later prompts with the same beginning use again.

Questions about one clip share its positions, which are most of the prompt of an audio model.
"""

import copy
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from audioprobe.models.causal_lm.generation import left_padded, run_single

# Model inputs that have one entry per token, and the value of the entry for a text token.
PER_TOKEN = {"attention_mask": 1, "token_type_ids": 0, "mm_token_type_ids": 0}

PASS_COST = 16
"""Positions that a CPU core computes in the time in which it reads the weights for a pass."""


@dataclass(frozen=True, slots=True, eq=False)
class ProcessedPrompt:
    """State of a model after a prompt.

    Attributes:
        next_token: log-probabilities of the next token, shape (n_vocabulary,).
        position: position of the next token.
        cache: keys and values of the prompt; None if continuations cannot share the model's cache.
    """

    next_token: Tensor
    position: int
    cache: Any


class PromptCache:
    """Processing of prompts one after another, in which a prompt uses the beginning of the last.

    Only the keys and values of one prompt are in memory. A prompt shares its beginning with the
    last one if both have the same audio, and the beginning contains all of it.

    Args:
        model: a causal model of transformers.
        placeholders: ids of tokens that the model replaces by audio.

    Attributes:
        placeholders: the argument, as a set.
        can_start_batches: False if `layers_after` returned None.
    """

    def __init__(self, model: Any, placeholders: Collection[int] = ()) -> None:  # noqa: ANN401
        self._model, self.placeholders = model, frozenset(placeholders)
        self.can_start_batches = True
        self._inputs: Mapping[str, Tensor] = {}
        self._cache: Any = None
        self._rope_delta = 0

    def process(self, inputs: Mapping[str, Tensor]) -> ProcessedPrompt:
        """Return the state after a prompt without padding, which has batch size 1.

        The cache of the result belongs to this object: it may grow, and is valid until the next
        call.

        Raises:
            OutOfMemoryError: if the prompt does not fit into memory.
        """
        n_shared = self._n_shared(inputs)
        # Compute logits only at the last position if the model supports this.
        last = {"logits_to_keep": 1} if "logits_to_keep" in parameters_of(self._model) else {}
        if n_shared:
            self._cache.crop(n_shared - self._cache.get_seq_length())
            rest, position = inputs["input_ids"][:, n_shared:], n_shared + self._rope_delta
            logits = run_single(
                lambda: logits_after(self._model, rest, position, self._cache, **last)
            )
        else:
            outputs = run_single(lambda: self._model(**inputs, use_cache=True, **last))
            cache = getattr(outputs, cache_name(self._model), None)
            self._cache = cache if _can_be_shared(cache) else None
            self._rope_delta = _rope_delta(self._model)
            logits = outputs.logits
        self._inputs = inputs
        tokens = inputs["inputs_embeds"] if "inputs_embeds" in inputs else inputs["input_ids"]
        return ProcessedPrompt(
            next_token=logits[0, -1].float().log_softmax(-1),
            position=tokens.shape[1] + self._rope_delta,
            cache=self._cache,
        )

    def layers_after(self, inputs: Mapping[str, Tensor]) -> list[Any] | None:
        """Return keys and values of a beginning of prompts by layer; they do not change later.

        The result is None if a batch cannot start with them: if the model has another kind of
        cache, or rotary positions that differ from the index of a token.
        """
        if not self._has_processed(inputs):
            self.process(inputs)
        self.can_start_batches = _can_crop(self._cache) and not _has_rope_deltas(self._model)
        # Layers replace their tensors, and never change them in place.
        return [copy.copy(n) for n in self._cache.layers] if self.can_start_batches else None

    def _has_processed(self, inputs: Mapping[str, Tensor]) -> bool:
        """Return whether the cache contains exactly these inputs."""
        before, ids = self._inputs, inputs["input_ids"]
        return (
            have_equal_features(before, inputs)
            and torch.equal(before["input_ids"], ids)
            and _can_crop(self._cache)
            and self._cache.get_seq_length() == ids.shape[1]
        )

    def _n_shared(self, inputs: Mapping[str, Tensor]) -> int:
        """Return the number of tokens at the start that need not be computed again."""
        before = self._inputs
        if (
            "input_ids" not in inputs
            or not _can_crop(self._cache)
            or not have_equal_features(before, inputs)
        ):
            return 0
        return n_common(
            [row["input_ids"][0].tolist() for row in (inputs, before)], self.placeholders
        )


def common_start(sequences: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens with which all sequences start, except the last token of the shortest."""
    shortest = min(map(len, sequences))
    same = (len(set(tokens)) == 1 for tokens in zip(*sequences, strict=False))
    n_same = sum(1 for _ in takewhile(bool, same))
    return list(sequences[0][: min(n_same, shortest - 1)])


def n_common(prompts: Sequence[Sequence[int]], placeholders: Collection[int]) -> int:
    """Return the length of the common start of prompts; 0 if placeholders of audio follow it."""
    n_same = len(common_start(prompts))
    rest = {token for ids in prompts for token in ids[n_same:]}
    return n_same if rest.isdisjoint(placeholders) else 0


def have_equal_features(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Return whether two prompts have the same inputs, except those with an entry per token."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first if not is_per_token(name)
    )


def is_per_token(name: str) -> bool:
    """Return whether an input of a model has one entry per token."""
    return name == "input_ids" or name in PER_TOKEN


def padded_cache(
    rows: Sequence[tuple[Sequence[Any], int, Sequence[int]]],
) -> tuple[DynamicCache, Tensor]:
    """Return a cache with one row per prompt, padded on the left, and the mask of its positions.

    Args:
        rows: for each prompt, the layers of a cache, the number of a row in it, and positions.

    Returns:
        The cache, and a mask of shape (n_prompts, longest) on the CPU: 1, or 0 for padding.
    """
    selected = DynamicCache()
    for number in range(len(rows[0][0])):
        parts: dict[str, list[Tensor]] = {"keys": [], "values": []}
        for layers, n, positions in rows:
            for name, tensors in parts.items():
                # Shape of the tensor: (n_rows, n_heads, n_positions, width).
                tensors.append(getattr(layers[number], name)[n][:, positions].transpose(0, 1))
        keys, values = (left_padded(tensors, 0.0).transpose(1, 2) for tensors in parts.values())
        selected.update(keys, values, number)
    ones = [torch.ones(len(positions), dtype=torch.long) for _, _, positions in rows]
    return selected, left_padded(ones, 0)


def logits_after(
    model: Any,  # noqa: ANN401
    ids: Tensor,
    position: int,
    cache: Any,  # noqa: ANN401
    **options: Any,
) -> Tensor:
    """Return the logits of tokens that follow the cache, which grows, in float32."""
    options[cache_name(model)] = cache
    if "position_ids" in parameters_of(model):
        # Padding is on the right, so that no token attends to it.
        after = torch.arange(ids.shape[1], device=ids.device) + position
        options["position_ids"] = after.expand_as(ids)
    logits: Tensor = model(input_ids=ids, use_cache=True, **options).logits.float()
    return logits


def parameters_of(model: Any) -> Mapping[str, inspect.Parameter]:  # noqa: ANN401
    """Return the arguments that a model's `forward` method accepts, keyed by argument name."""
    return inspect.signature(model.forward).parameters


def cache_name(model: Any) -> str:  # noqa: ANN401
    """Return the name of the argument for the key-value cache, which transformers 5.24 renamed."""
    return "cache" if "cache" in parameters_of(model) else "past_key_values"


def _can_be_shared(cache: Any) -> bool:  # noqa: ANN401
    """Return whether continuations can share a cache: it stores only attention keys and values."""
    return type(cache) is DynamicCache and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    )


def _can_crop(cache: Any) -> bool:  # noqa: ANN401
    """Return whether the end of a cache can be removed; a sliding window has lost its start."""
    return cache is not None and all(type(layer) is DynamicLayer for layer in cache.layers)


def _rope_delta(model: Any) -> int:  # noqa: ANN401
    """Return the number to add to a token's index to get its rotary position.

    The number belongs to the prompt that the model processed last. It is 0 for most models; only
    Qwen's omni models, whose rotary positions have several axes, store another number.
    """
    delta = model.model.rope_deltas if _has_rope_deltas(model) else None
    return 0 if delta is None else int(delta.flatten()[0])


def _has_rope_deltas(model: Any) -> bool:  # noqa: ANN401
    """Return whether rotary positions may differ from the indices of tokens."""
    return hasattr(getattr(model, "model", None), "rope_deltas")
