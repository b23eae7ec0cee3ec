"""Connectors whose tokens precede the text: MLP, resampler, and random vectors as a control."""

import zlib

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError
from audioprobe.models.connectors.config import ConnectorSizes, MLPConfig, ResamplerConfig

INITIAL_DEVIATION = 0.02  # standard deviation of learned queries and positions, as in GPT-2


def mlp(n_in: int, width: int, n_out: int) -> nn.Sequential:
    """Return two linear layers with GELU between them."""
    return nn.Sequential(nn.Linear(n_in, width), nn.GELU(), nn.Linear(width, n_out))


class MLPConnector(nn.Module):
    """Connector of two linear layers.

    Args:
        config: width of the hidden layer.
        sizes: widths of features and language model.
    """

    def __init__(self, config: MLPConfig, sizes: ConnectorSizes) -> None:
        super().__init__()
        self.layers = mlp(sizes.width, config.width, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, hidden)."""
        tokens: Tensor = self.layers(features)
        return tokens


class RandomConnector(nn.Module):
    """Linear layer on random vectors, whose seed is a checksum of the features of the clip.

    Args:
        sizes: widths of features and language model.
    """

    def __init__(self, sizes: ConnectorSizes) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes.width, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_steps, hidden)."""
        vectors = []
        for clip in features.detach():
            checksum = zlib.crc32(clip.half().cpu().numpy().tobytes())
            generator = torch.Generator().manual_seed(checksum)
            vectors.append(torch.randn(clip.shape, generator=generator))
        tokens: Tensor = self.linear(torch.stack(vectors).to(features))
        return tokens


class ResamplerBlock(nn.Module):
    """Self-attention of queries, cross-attention to features, and an MLP, each with a residual.

    Args:
        width: width of queries and features.
        n_heads: number of attention heads.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.among_queries = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.to_features = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.mlp = mlp(width, 2 * width, width)

    def forward(self, queries: Tensor, features: Tensor) -> Tensor:
        """Return new queries, shape (n, n_queries, width).

        Args:
            queries: shape (n, n_queries, width).
            features: shape (n, n_steps, width).
        """
        normed = self.norms[0](queries)
        queries = queries + self.among_queries(normed, normed, normed, need_weights=False)[0]
        normed = self.norms[1](queries)
        queries = queries + self.to_features(normed, features, features, need_weights=False)[0]
        mixed: Tensor = queries + self.mlp(self.norms[2](queries))
        return mixed


class Resampler(nn.Module):
    """Connector in which learned queries attend to all features, or to those of their window.

    Features get learned positions, so that a query can know when a feature occurs.

    Args:
        config: queries, blocks and window; the last window of a clip may be shorter.
        sizes: widths of features and language model, and length of a clip.

    Raises:
        InvalidInputError: if the window is longer than the clip.
    """

    def __init__(self, config: ResamplerConfig, sizes: ConnectorSizes) -> None:
        super().__init__()
        window = config.window or sizes.n_steps
        if window > sizes.n_steps:
            raise InvalidInputError(
                f"Expected a window of at most {sizes.n_steps} feature vectors, received {window}."
            )
        self._window = window
        self.narrow = nn.Linear(sizes.width, config.width)
        self.positions = nn.Parameter(torch.randn(window, config.width) * INITIAL_DEVIATION)
        self.queries = nn.Parameter(torch.randn(config.n_queries, config.width) * INITIAL_DEVIATION)
        blocks = [ResamplerBlock(config.width, config.n_heads) for _ in range(config.n_blocks)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, sizes.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Return tokens, shape (n_clips, n_tokens, hidden), in the order of the windows."""
        n_clips, n_steps, _ = features.shape
        narrow = self.narrow(features)
        missing = -n_steps % self._window  # the last window is filled with the last feature
        narrow = torch.cat([narrow, narrow[:, -1:].expand(-1, missing, -1)], dim=1)
        windows = narrow.reshape(-1, self._window, narrow.shape[2]) + self.positions
        queries = self.queries.expand(len(windows), -1, -1)
        for block in self.blocks:
            queries = block(queries, windows)
        tokens: Tensor = self.out(self.norm(queries))
        return tokens.reshape(n_clips, -1, tokens.shape[2])


def normalized(features: Tensor, eps: float) -> Tensor:
    """Return features with mean 0 and variance 1 of each vector."""
    return functional.layer_norm(features, features.shape[-1:], eps=eps)
