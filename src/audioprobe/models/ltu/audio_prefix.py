"""Audio prefix: the network that turns audio into tokens, which precede the text in the LLaMA.

It consists of an audio encoder, pooling, a connector (in LTU, a linear projection to the width of
the LLaMA), and an optional cross-attention adapter.
"""

import math
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.building import build_connector
from audioprobe.models.connectors.codes import CodesConnector, QuantizedConnector
from audioprobe.models.connectors.config import ConnectorConfig, ConnectorSizes, LinearConfig
from audioprobe.models.connectors.layers import LayerConnector
from audioprobe.models.connectors.sequence import normalized
from audioprobe.models.frozen_encoder import load_encoder
from audioprobe.models.ltu.audio_encoder import (
    NORM_EPS,
    CavMaeConfig,
    CavMaeEncoder,
    TltrConfig,
    TltrEncoder,
)
from audioprobe.models.ltu.feature_encoder import (
    FeatureConfig,
    PatchEncoder,
    as_trainable,
)

AudioConfig: TypeAlias = CavMaeConfig | TltrConfig | FeatureConfig

GATE = "gate"  # attribute of `AudioPrefix` that contains the cross-attention adapter
TIME_POOLING = 2  # time steps averaged into one token: 64 steps become 32 tokens of 320 ms
LINEAR = LinearConfig()  # the connector of published models
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
        """Build an untrained adapter whose sizes are those of saved tensors.

        `prefix` is the start of the names of the adapter's tensors, such as "prefix.gate". Return
        None if `tensors` contains no adapter.
        """
        texts, query = (tensors.get(f"{prefix}.{name}") for name in ("texts", "query.weight"))
        if texts is None or query is None:
            return None
        return cls(texts.shape[0], texts.shape[1], query.shape[0])

    @classmethod
    def from_texts(cls, texts: Tensor, width: int, seed: int) -> Self:
        """Build an untrained adapter for a copy of `texts`, shape (n_texts, hidden)."""
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


class TimeFrequencyPooling(nn.Module):
    """Pooling of LTU: means over frequency and over pairs of time steps; it has no parameters."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self._n_bands, self._n_steps = config.n_bands, config.n_steps

    def forward(self, tokens: Tensor) -> Tensor:
        """Return shape (n_clips, n_steps / 2, width) for (n_clips, n_bands * n_steps, width)."""
        n_clips, _, width = tokens.shape
        by_step = tokens.reshape(n_clips, self._n_bands, self._n_steps, width).mean(dim=1)
        return by_step.reshape(n_clips, -1, TIME_POOLING, width).mean(dim=2)


class AudioPrefix(nn.Module):
    """Network that computes audio tokens: encoder, pooling, projection and optional adapter.

    The type of the configuration distinguishes LTU, where a spectrogram gives 32 tokens in the
    published sizes, from LTU-AS, where Whisper features give 25 tokens, and from models whose
    tokens are the projected features of a separate encoder (`FeatureConfig`).

    Args:
        config: configuration of the encoder.
        hidden_size: width of the LLaMA.
        connector: configuration of the connector.
        n_layers: number of layers of the LLaMA.

    Attributes:
        sizes: sizes that the connector is built for.
        projection: the connector; a linear layer in published models.
        gate: cross-attention adapter after the projection; None in published models.
    """

    gate: GatedCrossAttention | None

    def __init__(
        self,
        config: AudioConfig,
        hidden_size: int,
        connector: ConnectorConfig = LINEAR,
        n_layers: int = 1,
    ) -> None:
        super().__init__()
        self._config = config
        self.encoder: Any = _encoder(config)
        self.pooling = (
            TimeFrequencyPooling(config) if isinstance(config, CavMaeConfig) else nn.Identity()
        )
        self.sizes = ConnectorSizes(
            width=config.width, n_steps=n_pooled(config), hidden=hidden_size, n_layers=n_layers
        )
        self.projection: Any = build_connector(connector, self.sizes)
        self.gate = None

    @property
    def weight(self) -> Tensor:
        """A weight of the connector, which has the device and data type of the prefix."""
        weight: Tensor = next(self.projection.parameters())
        return weight

    @property
    def reader(self) -> LayerConnector | None:
        """The connector, if layers of the LLaMA read its tokens; None if they precede the text."""
        return self.projection if isinstance(self.projection, LayerConnector) else None

    def pool(self, tokens: Tensor) -> Tensor:
        """Return the pooled output of the encoder, shape (n_clips, n_tokens, width).

        For LTU, these are means over frequency and over pairs of time steps. For other models, the
        output is returned unchanged.
        """
        pooled: Tensor = self.pooling(tokens)
        return pooled

    def project(self, pooled: Tensor) -> Tensor:
        """Return normalised and projected tokens, shape (n_clips, n_tokens, hidden).

        Codebooks receive features without this normalisation, as they were fitted.
        """
        if not isinstance(self.projection, CodesConnector | QuantizedConnector):
            scale = AUDIO_SCALE if isinstance(self._config, CavMaeConfig) else 1.0
            pooled = normalized(pooled / scale, NORM_EPS)
        projected: Tensor = self.projection(pooled)
        return projected

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the audio tokens of spectrograms or features, in any floating-point data type.

        The shape is (n_clips, n_tokens, hidden).
        """
        encoded = self.encoder(inputs.to(self.weight.dtype))
        tokens = self.project(self.pool(encoded))
        return tokens if self.gate is None else self.gate(tokens)


def n_pooled(config: AudioConfig) -> int:
    """Return the number of feature vectors of a clip that the connector receives."""
    return config.n_steps // TIME_POOLING if isinstance(config, CavMaeConfig) else config.n_steps


def _encoder(config: AudioConfig) -> nn.Module:
    """Build the encoder of a prefix; an identity layer for features of a frozen encoder."""
    if isinstance(config, CavMaeConfig):
        return CavMaeEncoder(config)
    if isinstance(config, TltrConfig):
        return TltrEncoder(config)
    if not config.trainable:
        return nn.Identity()
    with torch.device("cpu"):  # reads weights, even where the other networks are on "meta"
        encoder = load_encoder(config.encoder, config.options, "cpu")
    return PatchEncoder(as_trainable(encoder, config).feature_network())
