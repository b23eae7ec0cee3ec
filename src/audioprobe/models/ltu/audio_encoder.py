"""Audio encoders of LTU (CAV-MAE) and LTU-AS (TLTR).

Sources: Gong et al., "Contrastive Audio-Visual Masked Autoencoder", ICLR 2023; "Listen, Think, and
Understand", ICLR 2024; "Joint Audio and Speech Understanding", ASRU 2023; and their published code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError

NORM_EPS = 1e-5  # torch's default, which CAV-MAE uses; timm's ViT has 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CavMaeConfig:
    """Sizes of the CAV-MAE encoder; the defaults are those of every published LTU.

    Attributes:
        width: size of a token.
        n_heads: attention heads; must divide the width.
        n_blocks: transformer blocks: 11 for audio and 1 that CAV-MAE shares with vision.
        mlp_width: hidden size of a block's MLP.
        n_mels: mel filters of the spectrogram.
        n_frames: frames of the spectrogram.
        patch: side of a square patch, in filters and in frames.
    """

    width: int = 768
    n_heads: int = 12
    n_blocks: int = 12
    mlp_width: int = 3072
    n_mels: int = 128
    n_frames: int = 1024
    patch: int = 16

    def __post_init__(self) -> None:
        if self.width % self.n_heads:
            raise InvalidInputError(f"{self.n_heads} heads do not divide the width {self.width}.")
        if self.n_mels % self.patch or self.n_frames % self.patch:
            raise InvalidInputError(
                f"Patches of {self.patch} do not tile {self.n_mels} mels by {self.n_frames} frames."
            )

    @property
    def n_bands(self) -> int:
        """Patches along frequency (8 for the defaults)."""
        return self.n_mels // self.patch

    @property
    def n_steps(self) -> int:
        """Patches along time (64 of 160 ms each for the defaults)."""
        return self.n_frames // self.patch


class CavMaeEncoder(nn.Module):
    """CAV-MAE's audio encoder, which LTU's papers call AST.

    It differs from AST: patches do not overlap and are ordered by frequency first, there is no
    class token, every token carries a modality vector, and layer norms have an epsilon of 1e-5.
    """

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(1, config.width, config.patch, config.patch)
        self.positions = nn.Parameter(sincos_positions(config))
        self.modality = nn.Parameter(torch.zeros(1, 1, config.width))
        self.blocks = nn.ModuleList(CavMaeBlock(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.width, NORM_EPS)

    def embed(self, spectrograms: Tensor) -> Tensor:
        """Return patch embeddings, before positions are added.

        Args:
            spectrograms: shape (n_clips, n_frames, n_mels), normalised.

        Returns:
            Shape (n_clips, n_bands * n_steps, width); token `band * n_steps + step`.
        """
        expected = (self.config.n_frames, self.config.n_mels)
        if spectrograms.shape[1:] != expected:
            raise InvalidInputError(
                f"Spectrograms need shape (n_clips, {expected[0]}, {expected[1]}), got "
                f"{tuple(spectrograms.shape)}."
            )
        images = spectrograms.transpose(1, 2).unsqueeze(1)
        tokens: Tensor = self.patches(images).flatten(2).transpose(1, 2)
        return tokens

    def forward(self, spectrograms: Tensor, visible: Tensor | None = None) -> Tensor:
        """Return tokens after the last norm, shape (n_clips, n_bands * n_steps, width).

        Args:
            spectrograms: shape (n_clips, n_frames, n_mels), normalised.
            visible: indices of the tokens of each clip that are encoded, shape (n_clips,
                n_visible), as in the training of masked autoencoders; None encodes all.
        """
        tokens = self.embed(spectrograms) + self.positions + self.modality
        if visible is not None:
            tokens = tokens.gather(1, visible[:, :, None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


class CavMaeBlock(nn.Module):
    """A pre-norm transformer block with exact GELU and no dropout."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self._n_heads = config.n_heads
        self.norm1 = nn.LayerNorm(config.width, NORM_EPS)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, NORM_EPS)
        self.widen = nn.Linear(config.width, config.mlp_width)
        self.narrow = nn.Linear(config.mlp_width, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens to tokens of the same shape (n_clips, n_tokens, width)."""
        n_clips, n_tokens, _ = tokens.shape
        # Rows of the fused projection are query, key, value; within each, head by head.
        fused = self.query_key_value(self.norm1(tokens))
        query, key, value = fused.reshape(n_clips, n_tokens, 3, self._n_heads, -1).permute(
            2, 0, 3, 1, 4
        )
        heads = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.output(heads.transpose(1, 2).flatten(2))
        mixed: Tensor = self.narrow(functional.gelu(self.widen(self.norm2(tokens))))
        return tokens + mixed


def sincos_positions(config: CavMaeConfig) -> Tensor:
    """Return the initial position embeddings of CAV-MAE.

    Half of the width encodes the time step and half the frequency band, each as sines and cosines
    of geometrically spaced angular frequencies (He et al., "Masked Autoencoders", 2022).

    Returns:
        Shape (1, n_bands * n_steps, width), token `band * n_steps + step`.
    """
    quarter = config.width // 4
    frequencies = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)

    def encode(positions: Tensor) -> Tensor:
        angles = positions[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    steps = torch.arange(config.n_steps, dtype=torch.float64).repeat(config.n_bands)
    bands = torch.arange(config.n_bands, dtype=torch.float64).repeat_interleave(config.n_steps)
    return torch.cat([encode(steps), encode(bands)], dim=1)[None].to(torch.float32)


@dataclass(frozen=True, slots=True)
class TltrConfig:
    """Sizes of the TLTR encoder; the defaults are those of every published LTU-AS.

    Attributes:
        width: size of a feature, that of Whisper large.
        n_layers: Whisper blocks whose outputs are used.
        n_steps: time steps of 400 ms; 10 s in all.
        time_heads: attention heads over the steps of one layer.
        layer_heads: attention heads over the layers of one step.
    """

    width: int = 1280
    n_layers: int = 32
    n_steps: int = 25
    time_heads: int = 1
    layer_heads: int = 8

    def __post_init__(self) -> None:
        if self.width % self.time_heads or self.width % self.layer_heads:
            raise InvalidInputError(
                f"{self.time_heads} and {self.layer_heads} heads do not both divide the width "
                f"{self.width}."
            )


class TltrEncoder(nn.Module):
    """LTU-AS's encoder: attention over time in each Whisper layer, then over layers per step."""

    def __init__(self, config: TltrConfig) -> None:
        super().__init__()
        self.config = config
        self.over_time = TltrBlock(config.width, config.time_heads)
        self.over_layers = TltrBlock(config.width, config.layer_heads)

    def forward(self, features: Tensor) -> Tensor:
        """Return one token per step, shape (n_clips, n_steps, width).

        Args:
            features: shape (n_clips, n_layers, n_steps, width), see `whisper_frontend`.
        """
        n_clips, n_layers, n_steps, width = features.shape
        in_time = self.over_time(features.flatten(0, 1)).view(n_clips, n_layers, n_steps, width)
        by_step = in_time.transpose(1, 2).flatten(0, 1)
        mixed: Tensor = self.over_layers(by_step)
        return mixed.view(n_clips, n_steps, n_layers, width).mean(dim=2)


class TltrBlock(nn.Module):
    """A pre-norm transformer block as in Whisper, without a bias on the key."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens to tokens of the same shape (n_rows, n_tokens, width)."""
        normed = self.norm1(tokens)
        query, key, value = (
            projection(normed).unflatten(-1, (self._n_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        # Whisper scales query and key by the fourth root each: together the usual scale.
        heads = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.output(heads.transpose(1, 2).flatten(2))
        mixed: Tensor = self.narrow(functional.gelu(self.widen(self.norm2(tokens))))
        return tokens + mixed
