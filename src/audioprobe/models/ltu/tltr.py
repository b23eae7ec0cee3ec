"""TLTR, the audio encoder of LTU-AS: two transformer blocks over the layers of a frozen Whisper.

Source: Gong et al., "Joint Audio and Speech Understanding", ASRU 2023, and the code that the
authors published.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from audioprobe.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class TltrConfig:
    """Sizes of the encoder; the defaults are those of every published LTU-AS.

    Attributes:
        width: of a feature: that of Whisper large.
        n_layers: Whisper's blocks whose outputs are read.
        n_steps: of 400 ms each; 10 s in all.
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
    """Attention over time within each layer of Whisper, then over the layers within each step."""

    def __init__(self, config: TltrConfig) -> None:
        super().__init__()
        self.config = config
        self.over_time = ResidualBlock(config.width, config.time_heads)
        self.over_layers = ResidualBlock(config.width, config.layer_heads)

    def forward(self, features: Tensor) -> Tensor:
        """Encode.

        Args:
            features: shape (n_clips, n_layers, n_steps, width), see `nets.whisper`.

        Returns:
            Shape (n_clips, n_steps, width).
        """
        n_clips, n_layers, n_steps, width = features.shape
        in_time = self.over_time(features.flatten(0, 1)).view(n_clips, n_layers, n_steps, width)
        by_step = in_time.transpose(1, 2).flatten(0, 1)
        mixed: Tensor = self.over_layers(by_step)
        return mixed.view(n_clips, n_steps, n_layers, width).mean(dim=2)


class ResidualBlock(nn.Module):
    """A block as Whisper has it: norms first, no bias on the key."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (n_rows, n_tokens, width), in and out."""
        normed = self.norm1(tokens)
        split = (len(tokens), -1, self.n_heads, tokens.shape[-1] // self.n_heads)
        query, key, value = (
            part(normed).view(split).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        # Whisper scales query and key by the fourth root each: together the usual scale.
        heard = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.output(heard.transpose(1, 2).flatten(2))
        widened = functional.gelu(self.widen(self.norm2(tokens)))
        narrowed: Tensor = tokens + self.narrow(widened)
        return narrowed
