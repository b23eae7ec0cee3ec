"""Audio encoders: CAV-MAE of LTU, and TLTR ("time and layer transformer") of LTU-AS.

Sources: Gong et al., "Contrastive Audio-Visual Masked Autoencoder", ICLR 2023; "Listen, Think, and
Understand", ICLR 2024; "Joint Audio and Speech Understanding", ASRU 2023; and their published code.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError

NORM_EPS = 1e-5  # torch's default, which CAV-MAE uses; timm's ViT has 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CavMaeConfig:
    """Sizes of the CAV-MAE encoder; the default values are those of every published LTU.

    Attributes:
        width: size of a token.
        n_heads: number of attention heads; must divide the width.
        n_blocks: number of transformer blocks. CAV-MAE has 11 blocks for audio and 1 block for
            both audio and images.
        mlp_width: hidden size of a block's MLP.
        n_mels: number of mel filters of the spectrogram.
        n_frames: number of frames of the spectrogram.
        patch: side of a square patch, in mel filters and in frames.
    """

    width: int = 768
    n_heads: int = 12
    n_blocks: int = 12
    mlp_width: int = 3072
    n_mels: int = 128
    n_frames: int = 1024
    patch: int = 16

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.width % self.n_heads:
            raise InvalidInputError(
                f"n_heads must divide the width {self.width}, got {self.n_heads}."
            )
        if self.n_mels % self.patch or self.n_frames % self.patch:
            raise InvalidInputError(
                f"patch must divide n_mels ({self.n_mels}) and n_frames ({self.n_frames}), got "
                f"{self.patch}."
            )

    @property
    def n_bands(self) -> int:
        """Number of patches along frequency (8 by default)."""
        return self.n_mels // self.patch

    @property
    def n_steps(self) -> int:
        """Number of patches along time (64 patches of 160 ms by default)."""
        return self.n_frames // self.patch


class CavMaeEncoder(nn.Module):
    """Audio encoder of LTU: the audio part of CAV-MAE, which LTU's papers call AST.

    It differs from AST in four points: patches do not overlap, and they are ordered by frequency
    first; there is no class token; a modality embedding is added to every token; the epsilon of
    layer norms is 1e-5.
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
        """Return patch embeddings without position embeddings.

        Args:
            spectrograms: normalised spectrograms, shape (n_clips, n_frames, n_mels).

        Returns:
            Shape (n_clips, n_bands * n_steps, width). A patch has the index `band * n_steps +
            step`, where `band` counts patches along frequency and `step` along time.
        """
        expected = (self.config.n_frames, self.config.n_mels)
        if spectrograms.shape[1:] != expected:
            raise InvalidInputError(
                f"Expected spectrograms of shape (n_clips, {expected[0]}, {expected[1]}), got "
                f"{tuple(spectrograms.shape)}."
            )
        images = spectrograms.transpose(1, 2).unsqueeze(1)
        tokens: Tensor = self.patches(images).flatten(2).transpose(1, 2)
        return tokens

    def forward(self, spectrograms: Tensor, visible: Tensor | None = None) -> Tensor:
        """Return the tokens after the last layer norm, shape (n_clips, n_tokens, width).

        Args:
            spectrograms: normalised spectrograms, shape (n_clips, n_frames, n_mels).
            visible: indices of the tokens to encode, shape (n_clips, n_visible), for the training
                of masked autoencoders; None encodes all tokens.
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
        """Return transformed tokens; input and output have shape (n_clips, n_tokens, width)."""
        n_clips, n_tokens, _ = tokens.shape
        # Rows of the fused projection: query, key and value; each is divided into heads.
        fused = self.query_key_value(self.norm1(tokens))
        query, key, value = fused.reshape(n_clips, n_tokens, 3, self._n_heads, -1).permute(
            2, 0, 3, 1, 4
        )
        return _finish_block(self, tokens, query, key, value)


def sincos_positions(config: CavMaeConfig) -> Tensor:
    """Return the initial position embeddings of CAV-MAE, shape (1, n_bands * n_steps, width).

    Half of the width encodes the time step and half encodes the frequency band. Each half consists
    of sines and cosines with geometrically spaced angular frequencies (He et al., "Masked
    Autoencoders", 2022). The order is that of `CavMaeEncoder.embed`.
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
    """Sizes of the TLTR encoder; the default values are those of every published LTU-AS.

    Attributes:
        width: size of a token, equal to the width of Whisper large.
        n_layers: number of Whisper blocks whose outputs are used.
        n_steps: number of time steps of 400 ms (10 s in total by default).
        time_heads: number of heads of the attention over time steps.
        layer_heads: number of heads of the attention over Whisper layers.
    """

    width: int = 1280
    n_layers: int = 32
    n_steps: int = 25
    time_heads: int = 1
    layer_heads: int = 8

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.width % self.time_heads or self.width % self.layer_heads:
            raise InvalidInputError(
                f"time_heads and layer_heads must divide the width {self.width}, got "
                f"{self.time_heads} and {self.layer_heads}."
            )


class TltrEncoder(nn.Module):
    """Audio encoder of LTU-AS, whose input is the outputs of all layers of Whisper's encoder.

    A first block attends over the time steps of each Whisper layer. A second block attends over the
    layers of each time step.
    """

    def __init__(self, config: TltrConfig) -> None:
        super().__init__()
        self.config = config
        self.over_time = TltrBlock(config.width, config.time_heads)
        self.over_layers = TltrBlock(config.width, config.layer_heads)

    def forward(self, features: Tensor) -> Tensor:
        """Return one token per time step, shape (n_clips, n_steps, width).

        Args:
            features: output of `WhisperFeatures`, shape (n_clips, n_layers, n_steps, width).
        """
        n_clips, n_layers, n_steps, width = features.shape
        in_time = self.over_time(features.flatten(0, 1)).view(n_clips, n_layers, n_steps, width)
        by_step = in_time.transpose(1, 2).flatten(0, 1)
        mixed: Tensor = self.over_layers(by_step)
        return mixed.view(n_clips, n_steps, n_layers, width).mean(dim=2)


class TltrBlock(nn.Module):
    """A pre-norm transformer block as in Whisper; its key projection has no bias."""

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
        """Return transformed tokens; input and output have shape (n_rows, n_tokens, width)."""
        normed = self.norm1(tokens)
        query, key, value = (
            projection(normed).unflatten(-1, (self._n_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        # Whisper scales both query and key by head_size ** -0.25, the usual scale in total.
        return _finish_block(self, tokens, query, key, value)


def _finish_block(
    block: CavMaeBlock | TltrBlock, tokens: Tensor, query: Tensor, key: Tensor, value: Tensor
) -> Tensor:
    """Return the output of a transformer block: add attention, then the MLP, to the tokens."""
    heads = functional.scaled_dot_product_attention(query, key, value)
    tokens = tokens + block.output(heads.transpose(1, 2).flatten(2))
    mixed: Tensor = block.narrow(functional.gelu(block.widen(block.norm2(tokens))))
    return tokens + mixed


def _require_positive(sizes: CavMaeConfig | TltrConfig) -> None:
    for field in fields(sizes):
        if getattr(sizes, field.name) < 1:
            raise InvalidInputError(
                f"{field.name} must be at least 1, got {getattr(sizes, field.name)}."
            )
