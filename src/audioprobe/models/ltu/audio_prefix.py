"""Audio prefix: the network that turns audio into tokens, which precede the text in the LLaMA.

It consists of an audio encoder, pooling, a projection to the width of the LLaMA, and an optional
cross-attention adapter.
"""

import math
from collections.abc import Mapping
from typing import Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_encoder import (
    NORM_EPS,
    CavMaeConfig,
    CavMaeEncoder,
    TltrConfig,
    TltrEncoder,
)

AudioConfig: TypeAlias = CavMaeConfig | TltrConfig

GATE = "gate"  # attribute of `AudioPrefix` that contains the cross-attention adapter
TIME_POOLING = 2  # time steps averaged into one token: 64 steps become 32 tokens of 320 ms
AUDIO_SCALE = 50.0  # divisor before the layer norm; it matters because of the norm's epsilon


class GatedCrossAttention(nn.Module):
    """Adapter in which audio tokens attend to hidden states of texts, with a tanh gate.

    The gate value `opening` is initialised to 0, so that an untrained adapter does not change the
    tokens. The gate follows Flamingo (Alayrac et al., NeurIPS 2022), where text attends to images.

    Args:
        n_texts: number of texts.
        hidden: width of audio tokens and hidden states.
        width: width of queries, keys and values.

    Attributes:
        texts: one hidden state per text, shape (n_texts, hidden); a buffer, not a parameter.
    """

    texts: Tensor

    def __init__(self, n_texts: int, hidden: int, width: int) -> None:
        super().__init__()
        if min(n_texts, hidden, width) < 1:
            raise InvalidInputError(
                f"n_texts, hidden and width must be at least 1, got {n_texts}, {hidden}, {width}."
            )
        self.query = nn.Linear(hidden, width, bias=False)
        self.key = nn.Linear(hidden, width, bias=False)
        self.value = nn.Linear(hidden, width, bias=False)
        self.out = nn.Linear(width, hidden, bias=False)
        self.opening = nn.Parameter(torch.zeros(1))
        self.register_buffer("texts", torch.zeros(n_texts, hidden))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], prefix: str) -> Self | None:
        """Build an adapter with the sizes of saved tensors, but not with their values.

        Args:
            tensors: tensors by name; if they contain no adapter, the result is None.
            prefix: prefix of the adapter's tensor names, such as "prefix.gate".
        """
        texts, query = (tensors.get(f"{prefix}.{name}") for name in ("texts", "query.weight"))
        if texts is None or query is None:
            return None
        return cls(texts.shape[0], texts.shape[1], query.shape[0])

    @classmethod
    def from_texts(cls, texts: Tensor, width: int, seed: int) -> Self:
        """Build an untrained adapter, whose gate is 0.

        Args:
            texts: one hidden state per text, shape (n_texts, hidden); copied.
            width: width of queries, keys and values.
            seed: seed of the initial weights.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            adapter = cls(texts.shape[0], texts.shape[1], width)
        adapter.texts.copy_(texts.detach())
        return adapter

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens plus gated attention output, shape (n_clips, n_tokens, hidden)."""
        queries, states = (functional.layer_norm(x, x.shape[-1:]) for x in (tokens, self.texts))
        scores = self.query(queries) @ self.key(states).T / math.sqrt(self.query.out_features)
        attended: Tensor = self.out(scores.softmax(dim=-1) @ self.value(states))
        return tokens + self.opening.tanh() * attended


class AudioPrefix(nn.Module):
    """Network that computes audio tokens: encoder, pooling, projection and optional adapter.

    Attributes:
        gate: cross-attention adapter after the projection; None in published models.
    """

    gate: GatedCrossAttention | None

    def __init__(self, encoder: nn.Module, width: int, hidden_size: int, n_tokens: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = nn.Linear(width, hidden_size)
        self.n_tokens = n_tokens
        self.gate = None

    def pool(self, tokens: Tensor) -> Tensor:
        """Return the pooled output of the encoder, shape (n_clips, n_tokens, width)."""
        return tokens

    def project(self, pooled: Tensor) -> Tensor:
        """Return normalised and projected tokens, shape (n_clips, n_tokens, hidden)."""
        normed = functional.layer_norm(pooled, pooled.shape[-1:], eps=NORM_EPS)
        projected: Tensor = self.projection(normed)
        return projected

    def forward(self, inputs: Tensor) -> Tensor:
        """Return audio tokens, shape (n_clips, n_tokens, hidden).

        Args:
            inputs: input of the encoder, in any floating-point data type.
        """
        encoded = self.encoder(inputs.to(self.projection.weight.dtype))
        tokens = self.project(self.pool(encoded))
        return tokens if self.gate is None else self.gate(tokens)


class CavMaePrefix(AudioPrefix):
    """Audio prefix of LTU; the published sizes turn a spectrogram into 32 tokens."""

    encoder: CavMaeEncoder

    def __init__(self, config: CavMaeConfig, hidden_size: int) -> None:
        n_tokens = config.n_steps // TIME_POOLING
        super().__init__(CavMaeEncoder(config), config.width, hidden_size, n_tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        """Return means over frequency and over pairs of steps, shape (n_clips, n_tokens, width).

        Args:
            tokens: shape (n_clips, n_bands * n_steps, width).
        """
        config = self.encoder.config
        n_clips, _, width = tokens.shape
        by_step = tokens.reshape(n_clips, config.n_bands, config.n_steps, width).mean(dim=1)
        return by_step.reshape(n_clips, -1, TIME_POOLING, width).mean(dim=2)

    def project(self, pooled: Tensor) -> Tensor:
        """Return scaled, normalised and projected tokens, shape (n_clips, n_tokens, hidden)."""
        return super().project(pooled / AUDIO_SCALE)


class TltrPrefix(AudioPrefix):
    """Audio prefix of LTU-AS; the published sizes turn Whisper features into 25 tokens."""

    encoder: TltrEncoder

    def __init__(self, config: TltrConfig, hidden_size: int) -> None:
        super().__init__(TltrEncoder(config), config.width, hidden_size, config.n_steps)


def build_prefix(config: AudioConfig, hidden_size: int) -> CavMaePrefix | TltrPrefix:
    """Return an untrained audio prefix of LTU or LTU-AS, depending on the type of `config`."""
    if isinstance(config, TltrConfig):
        return TltrPrefix(config, hidden_size)
    return CavMaePrefix(config, hidden_size)
