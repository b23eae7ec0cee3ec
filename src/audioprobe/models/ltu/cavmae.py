"""The audio encoder of CAV-MAE as LTU uses it (LTU's papers call it AST).

Source: Gong et al., "Contrastive Audio-Visual Masked Autoencoder", ICLR 2023, and "Listen, Think,
and Understand", ICLR 2024. It differs from AST: patches do not overlap and are ordered by frequency
first, there is no class token, every token carries a modality vector, and the layer norms have an
epsilon of 1e-5.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError

NORM_EPS = 1e-5  # torch's default, which CAV-MAE leaves as it is; timm's ViT has 1e-6


@dataclass(frozen=True, slots=True)
class CavMaeConfig:
    """Sizes of the encoder; the defaults are those of every published LTU.

    Attributes:
        width: of a token.
        n_heads: attention heads; they divide the width.
        n_blocks: transformer blocks: 11 for sound alone and 1 that CAV-MAE shares with vision.
        mlp_width: inside a block.
        n_mels: filters of the spectrogram.
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
        """Patches along frequency: 8."""
        return self.n_mels // self.patch

    @property
    def n_steps(self) -> int:
        """Patches along time: 64, of 160 ms each."""
        return self.n_frames // self.patch


class CavMaeEncoder(nn.Module):
    """Spectrogram to tokens."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(1, config.width, config.patch, config.patch)
        self.positions = nn.Parameter(sincos_positions(config))
        self.modality = nn.Parameter(torch.zeros(1, 1, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.width, NORM_EPS)

    def embed(self, spectrograms: Tensor) -> Tensor:
        """Patch embeddings, before positions.

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

    def forward(self, spectrograms: Tensor, kept: Tensor | None = None) -> Tensor:
        """Tokens after the last norm, shape (n_clips, n_bands * n_steps, width).

        Args:
            spectrograms: shape (n_clips, n_frames, n_mels), normalised.
            kept: tokens of each clip to go on with, shape (n_clips, n_kept), as masked
                autoencoders do in training; None is all.
        """
        tokens = self.embed(spectrograms) + self.positions + self.modality
        if kept is not None:
            tokens = tokens.gather(1, kept[:, :, None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


class Block(nn.Module):
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
        """Tokens in, tokens out, shape (n_clips, n_tokens, width)."""
        tokens = tokens + self._attend(self.norm1(tokens))
        mixed: Tensor = self.narrow(functional.gelu(self.widen(self.norm2(tokens))))
        return tokens + mixed

    def _attend(self, tokens: Tensor) -> Tensor:
        # Rows of the fused projection are query, key, value; within each, head by head.
        n_clips, n_tokens, _ = tokens.shape
        parts = self.query_key_value(tokens).reshape(n_clips, n_tokens, 3, self._n_heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heads = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.output(heads.transpose(1, 2).flatten(2))
        return attended


def sincos_positions(config: CavMaeConfig) -> Tensor:
    """Where CAV-MAE's position embeddings start before they are trained.

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
