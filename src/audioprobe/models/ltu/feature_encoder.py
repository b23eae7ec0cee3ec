"""Pretrained encoders of the registry as the audio encoder of an LTU, frozen or trainable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from audioprobe.errors import InvalidInputError
from audioprobe.protocols import AudioEncoder
from audioprobe.types import Option, Waveform


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """Features of a separate, pretrained audio encoder: any backend of the kind "encoder".

    `audio_frontend.feature_config` determines revision, width and number of steps.

    Attributes:
        encoder: name of the encoder in the registry, such as "yamnet" or "ast:FOLDER".
        options: options of the encoder, such as `{"hop": 0.32}`.
        revision: hash of the encoder's weights.
        width: size of a feature vector.
        n_steps: number of feature vectors of a clip of `seconds`; each becomes one token.
        seconds: length of audio that the model uses.
        trainable: whether the encoder's network is a part of the LTU, whose weights are trained
            and saved with it. The encoder must be a `TrainableEncoder`.
    """

    encoder: str
    options: Mapping[str, Option] = field(default_factory=dict)
    revision: str = ""
    width: int
    n_steps: int
    seconds: float = 10.24
    trainable: bool = False


@runtime_checkable
class TrainableEncoder(Protocol):
    """Encoder that computes each feature vector of a clip from one part of the audio (patch)."""

    def patches(self, waveform: Waveform) -> Tensor:
        """Return the input of the network for each feature vector, shape (n_steps, ...)."""
        ...

    def feature_network(self) -> nn.Module:
        """Return a network that maps patches, (n, ...), to feature vectors, (n, width)."""
        ...


class PatchEncoder(nn.Module):
    """Network of a `TrainableEncoder` as the encoder of an LTU.

    Args:
        network: maps patches, (n, ...), to feature vectors, (n, width).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: Tensor) -> Tensor:
        """Return the feature vectors of clips, shape (n_clips, n_steps, width).

        Args:
            patches: shape (n_clips, n_steps, ...).
        """
        features: Tensor = self.network(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        return features


def as_trainable(encoder: AudioEncoder, config: FeatureConfig) -> TrainableEncoder:
    """Return the encoder of a configuration, to train its network as a part of an LTU.

    Raises:
        InvalidInputError: if the encoder cannot be trained.
    """
    if not isinstance(encoder, TrainableEncoder):
        raise InvalidInputError(
            f"Expected an encoder with `patches` and `feature_network`, such as yamnet, got "
            f"{config.encoder!r}, which can only be used frozen. Set trainable to false."
        )
    return encoder
