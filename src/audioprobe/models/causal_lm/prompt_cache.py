"""Keys and values of a prompt, which later prompts with the same beginning use again.

Questions about one clip share its positions, which are most of the prompt of an audio model.
"""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from audioprobe.models.causal_lm.generation import run_single

# Model inputs that have one entry per token, and the value of the entry for a text token.
PER_TOKEN = {"attention_mask": 1, "token_type_ids": 0, "mm_token_type_ids": 0}


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
    """

    def __init__(self, model: Any, placeholders: Collection[int] = ()) -> None:  # noqa: ANN401
        self._model, self._placeholders = model, frozenset(placeholders)
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

    def _n_shared(self, inputs: Mapping[str, Tensor]) -> int:
        """Return the number of tokens at the start that need not be computed again."""
        before = self._inputs
        if (
            "input_ids" not in inputs
            or before.keys() != inputs.keys()
            or not _can_crop(self._cache)
        ):
            return 0
        features = [name for name in inputs if name not in PER_TOKEN and name != "input_ids"]
        if not all(torch.equal(before[name], inputs[name]) for name in features):
            return 0
        ids, old = inputs["input_ids"][0].tolist(), before["input_ids"][0].tolist()
        n_same = sum(1 for _ in takewhile(bool, (a == b for a, b in zip(ids, old, strict=False))))
        n_shared = min(n_same, len(ids) - 1)  # the last token predicts the next one
        complete = self._placeholders.isdisjoint([*ids[n_shared:], *old[n_shared:]])
        return n_shared if complete else 0


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
    delta = getattr(getattr(model, "model", None), "rope_deltas", None)
    return 0 if delta is None else int(delta.flatten()[0])
