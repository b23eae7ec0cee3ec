"""Gated cross-attention before layers of a language model, as in Flamingo."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.models.connectors.config import ConnectorSizes, CrossAttentionConfig
from audioprobe.models.connectors.layers import LayerConnector
from audioprobe.models.connectors.sequence import INITIAL_DEVIATION


class GatedAttention(nn.Module):
    """Attention of text positions to audio tokens; a tanh gate scales what it adds.

    Args:
        config: sizes.
        hidden: width of the language model.

    Attributes:
        gate: logit of the gate, initialised to 0 (closed).
    """

    def __init__(self, config: CrossAttentionConfig, hidden: int) -> None:
        super().__init__()
        self._n_heads = config.n_heads
        self.query = nn.Linear(hidden, config.width, bias=False)
        self.key = nn.Linear(config.token_width, config.width, bias=False)
        self.value = nn.Linear(config.token_width, config.width, bias=False)
        self.out = nn.Linear(config.width, hidden, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, states: Tensor, tokens: Tensor, present: Tensor) -> Tensor:
        """Return states plus the gated attention output.

        Args:
            states: residual stream, shape (n_rows, n_positions, hidden).
            tokens: shape (n_rows or 1, n_tokens, token width).
            present: whether a row has audio, shape (n_rows or 1,). Other rows do not change.
        """
        normed = functional.layer_norm(states, states.shape[-1:])
        query, key, value = (
            rows.unflatten(2, (self._n_heads, -1)).transpose(1, 2)
            for rows in (self.query(normed), self.key(tokens), self.value(tokens))
        )
        attended = functional.scaled_dot_product_attention(
            query, key.expand(len(query), -1, -1, -1), value.expand(len(query), -1, -1, -1)
        )
        added = self.gate.tanh() * self.out(attended.transpose(1, 2).flatten(2))
        return states + torch.where(present[:, None, None], added, torch.zeros_like(added))


class CrossAttentionConnector(LayerConnector):
    """Connector of Flamingo: adapters before layers, in which text attends to audio tokens.

    Tokens have learned positions, so that an adapter can know when a token occurs.

    Args:
        config: number and widths of the adapters.
        sizes: sizes of encoder and language model.
    """

    def __init__(self, config: CrossAttentionConfig, sizes: ConnectorSizes) -> None:
        super().__init__(config.every, sizes.n_layers)
        self.narrow = nn.Linear(sizes.width, config.token_width)
        self.positions = nn.Parameter(
            torch.randn(sizes.n_steps, config.token_width) * INITIAL_DEVIATION
        )
        self.adapters = nn.ModuleDict(
            {str(n): GatedAttention(config, sizes.hidden) for n in self.layer_numbers}
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, token width)."""
        tokens: Tensor = self.narrow(features) + self.positions
        return tokens

    def written(self, tokens: Tensor) -> Tensor:
        """Return the mean over adapters of what an open gate would add for each token."""
        adapters: list[Any] = list(self.adapters.values())
        outputs = [adapter.out(adapter.value(tokens)) for adapter in adapters]
        return torch.stack(outputs).mean(dim=0)

    def attach(self, layers: Any) -> None:  # noqa: ANN401
        """Register the hooks by which the layers of a language model read the tokens."""
        for number in self.layer_numbers:
            hook = partial(self._before_layer, str(number))
            layers[number].register_forward_pre_hook(hook, with_kwargs=True)

    def _before_layer(
        self, name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401
        """Add the gated attention output to the input of a layer."""
        if self._tokens is None or self._present is None:
            return None
        states = args[0] if args else kwargs["hidden_states"]
        adapter: Any = self.adapters[name]
        changed = adapter(states, self._tokens.to(states.dtype), self._present)
        return (
            ((changed, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": changed})
        )
