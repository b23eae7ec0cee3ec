"""A gated adapter: audio tokens look at states of texts, and take from them what they find.

Cross-attention with a gate that is shut at first, as Flamingo's (Alayrac et al., NeurIPS 2022);
there text looks at images, here sound looks at texts.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError

NAME = "gate"
"""Of the adapter, within the audio half of a network."""


class GatedCrossAttention(nn.Module):
    """Cross-attention of one head from audio tokens to states of texts.

    While `opening` is 0, as at first, tokens go through as they are.

    Args:
        n_texts: how many texts can be looked at.
        hidden: width of tokens and states.
        width: of queries, keys and values.

    Attributes:
        texts: their states, shape (n_texts, hidden); no parameter.
    """

    texts: Tensor

    def __init__(self, n_texts: int, hidden: int, width: int) -> None:
        super().__init__()
        if min(n_texts, hidden, width) < 1:
            raise InvalidInputError(f"A gate needs texts and widths, got {n_texts} and {width}.")
        self.query = nn.Linear(hidden, width, bias=False)
        self.key = nn.Linear(hidden, width, bias=False)
        self.value = nn.Linear(hidden, width, bias=False)
        self.out = nn.Linear(width, hidden, bias=False)
        self.opening = nn.Parameter(torch.zeros(1))
        self.register_buffer("texts", torch.zeros(n_texts, hidden))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens with what they found; shape (n_clips, n_tokens, hidden), as they came."""
        heard, read = (functional.layer_norm(x, x.shape[-1:]) for x in (tokens, self.texts))
        scores = self.query(heard) @ self.key(read).T / math.sqrt(self.query.out_features)
        found: Tensor = self.out(scores.softmax(dim=-1) @ self.value(read))
        return tokens + self.opening.tanh() * found


def attach_cross_attention(tensors: Mapping[str, Tensor], under: str) -> GatedCrossAttention | None:
    """A gate of the sizes that saved tensors have; None where they have none.

    Args:
        tensors: by name.
        under: where in them a gate would be, such as "prefix.gate".
    """
    texts, query = (tensors.get(f"{under}.{name}") for name in ("texts", "query.weight"))
    if texts is None or query is None:
        return None
    return GatedCrossAttention(texts.shape[0], texts.shape[1], query.shape[0])


def init_cross_attention(texts: Tensor, width: int, seed: int) -> GatedCrossAttention:
    """A shut gate to texts.

    Args:
        texts: their states, shape (n_texts, hidden).
        width: of queries, keys and values.
        seed: of the first weights.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate = GatedCrossAttention(texts.shape[0], texts.shape[1], width)
    gate.texts.copy_(texts.detach())
    return gate
