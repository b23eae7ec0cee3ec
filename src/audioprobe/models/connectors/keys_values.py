"""Audio tokens as additional keys and values of layers of a language model (LAL).

A layer computes keys and values of audio tokens with its own norm and projections. They have no
rotary position, as if they were at position 0. Tokens are not changed by any layer, and have no
queries and no MLP.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from audioprobe.models.connectors.config import ConnectorSizes, KeysValuesConfig
from audioprobe.models.connectors.layers import LayerConnector
from audioprobe.models.connectors.sequence import mlp

_CACHES = ("cache", "past_key_values")  # transformers 5.24 renamed the argument


class KeysValuesConnector(LayerConnector):
    """Connector whose tokens are additional keys and values of the language model's attention.

    Args:
        config: layers that read the tokens, and width of the MLP.
        sizes: sizes of encoder and language model.
    """

    def __init__(self, config: KeysValuesConfig, sizes: ConnectorSizes) -> None:
        super().__init__(config.every, sizes.n_layers)
        self.layers = mlp(sizes.width, config.width, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, hidden)."""
        tokens: Tensor = self.layers(features)
        return tokens

    def written(self, tokens: Tensor) -> Tensor:
        """Return the tokens, which layers read like the input of the language model."""
        return tokens

    def attach(self, layers: Any) -> None:  # noqa: ANN401
        """Register the hooks by which the layers of a language model read the tokens."""
        for number in self.layer_numbers:
            hook = partial(self._before_attention, layers[number].input_layernorm)
            layers[number].self_attn.register_forward_pre_hook(hook, with_kwargs=True)

    def _before_attention(
        self,
        norm: nn.Module,
        attention: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        """Extend keys, values and mask of an attention layer by those of the audio tokens."""
        if self._tokens is None or self._present is None:
            return None
        states = kwargs["hidden_states"]
        name = next(name for name in _CACHES if name in kwargs)
        normed = norm(self._tokens.to(states.dtype))
        heads = (*normed.shape[:2], -1, attention.head_dim)
        keys, values = (
            projection(normed).view(heads).transpose(1, 2).expand(len(states), -1, -1, -1)
            for projection in (attention.k_proj, attention.v_proj)
        )
        cache = _AudioCache(kwargs[name], keys, values)
        n_before = 0 if kwargs[name] is None else kwargs[name].get_seq_length(attention.layer_idx)
        present = self._present.expand(len(states))
        mask = extended_mask(kwargs.get("attention_mask"), states, n_before, present, keys.shape[2])
        return args, {**kwargs, name: cache, "attention_mask": mask}


class _AudioCache:
    """Key-value cache of one layer that puts keys and values of audio tokens before all others.

    The cache itself does not store them.
    """

    def __init__(self, cache: Any, keys: Tensor, values: Tensor) -> None:  # noqa: ANN401
        self._cache, self._keys, self._values = cache, keys, values

    def update(
        self, keys: Tensor, values: Tensor, layer: int, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Store the keys and values of new positions; return all, those of audio first."""
        if self._cache is not None:
            keys, values = self._cache.update(keys, values, layer, **options)
        return torch.cat([self._keys, keys], dim=2), torch.cat([self._values, values], dim=2)


def extended_mask(
    mask: Tensor | None, states: Tensor, n_before: int, present: Tensor, n_tokens: int
) -> Tensor:
    """Return an additive attention mask in which audio tokens precede all other positions.

    Args:
        mask: mask of the other positions, (n_rows, 1, n_queries, n_keys), boolean (True if visible)
            or additive; None means causal attention.
        states: input of the attention, shape (n_rows, n_queries, hidden).
        n_before: number of positions before the first query.
        present: whether a row has audio, shape (n_rows,).
        n_tokens: number of audio tokens.

    Returns:
        Shape (n_rows, 1, n_queries, n_tokens + n_keys).
    """
    n_rows, n_queries, _ = states.shape
    lowest = torch.finfo(states.dtype).min
    if mask is None:
        visible = torch.ones(
            n_queries, n_before + n_queries, dtype=torch.bool, device=states.device
        ).tril(n_before)
        mask = visible[None, None].expand(n_rows, -1, -1, -1)
    if mask.dtype == torch.bool:
        zeros = torch.zeros(mask.shape, dtype=states.dtype, device=states.device)
        mask = zeros.masked_fill(~mask, lowest)
    audio = torch.zeros(n_rows, 1, n_queries, n_tokens, dtype=mask.dtype, device=mask.device)
    audio = audio.masked_fill(~present[:, None, None, None], lowest)
    return torch.cat([audio, mask.expand(n_rows, -1, -1, -1)], dim=3)
