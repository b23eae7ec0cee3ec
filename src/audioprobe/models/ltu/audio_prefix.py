"""Sound as a few tokens of a language model: encoder, pooling, projection."""

from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from audioprobe.models.ltu.cavmae import NORM_EPS, CavMaeConfig, CavMaeEncoder
from audioprobe.models.ltu.cross_attention import GatedCrossAttention
from audioprobe.models.ltu.tltr import TltrConfig, TltrEncoder

AudioConfig: TypeAlias = CavMaeConfig | TltrConfig

TIME_POOLING = 2  # neighbouring time steps averaged: 64 steps become 32 tokens of 320 ms
AUDIO_SCALE = 50.0  # divides the pooled tokens; eps makes the following norm feel it


class CavMaePrefix(nn.Module):
    """LTU's: a spectrogram to 32 tokens (for the published sizes).

    Attributes:
        gate: what tokens go through at last; None in LTU, see `nets.gate`.
    """

    gate: GatedCrossAttention | None

    def __init__(self, config: CavMaeConfig, hidden_size: int) -> None:
        super().__init__()
        self.encoder = CavMaeEncoder(config)
        self.projection = nn.Linear(config.width, hidden_size)
        self.n_tokens = config.n_steps // TIME_POOLING
        self.gate = None

    def pool(self, tokens: Tensor) -> Tensor:
        """Mean over frequency, then over pairs of time steps.

        Args:
            tokens: shape (n_clips, n_bands * n_steps, width).

        Returns:
            Shape (n_clips, n_tokens, width).
        """
        config = self.encoder.config
        n_clips, _, width = tokens.shape
        by_step = tokens.reshape(n_clips, config.n_bands, config.n_steps, width).mean(dim=1)
        return by_step.reshape(n_clips, -1, TIME_POOLING, width).mean(dim=2)

    def project(self, pooled: Tensor) -> Tensor:
        """Scale, normalise without parameters, project; shape (n_clips, n_tokens, hidden)."""
        return _projected(pooled / AUDIO_SCALE, self.projection)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Audio tokens, shape (n_clips, n_tokens, hidden), of sounds in any number format."""
        heard = spectrograms.to(self.projection.weight.dtype)
        return _through(self.gate, self.project(self.pool(self.encoder(heard))))


class TltrPrefix(nn.Module):
    """LTU-AS's: features of Whisper to 25 tokens (for the published sizes).

    Attributes:
        gate: as of `CavMaePrefix`.
    """

    gate: GatedCrossAttention | None

    def __init__(self, config: TltrConfig, hidden_size: int) -> None:
        super().__init__()
        self.encoder = TltrEncoder(config)
        self.projection = nn.Linear(config.width, hidden_size)
        self.n_tokens = config.n_steps
        self.gate = None

    def forward(self, features: Tensor) -> Tensor:
        """Audio tokens, shape (n_clips, n_tokens, hidden), of features in any number format."""
        heard = features.to(self.projection.weight.dtype)
        return _through(self.gate, _projected(self.encoder(heard), self.projection))


def prefix_for(config: AudioConfig, hidden_size: int) -> CavMaePrefix | TltrPrefix:
    """The audio half of an LTU or an LTU-AS."""
    if isinstance(config, TltrConfig):
        return TltrPrefix(config, hidden_size)
    return CavMaePrefix(config, hidden_size)


def _projected(tokens: Tensor, projection: nn.Linear) -> Tensor:
    """Normalised without parameters, then projected."""
    normed = functional.layer_norm(tokens, tokens.shape[-1:], eps=NORM_EPS)
    projected: Tensor = projection(normed)
    return projected


def _through(gate: GatedCrossAttention | None, tokens: Tensor) -> Tensor:
    return tokens if gate is None else gate(tokens)
