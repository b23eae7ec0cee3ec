"""Whisper features for LTU-AS: outputs of all blocks of a frozen encoder, averaged over 400 ms.

Source: the authors' fork of Whisper (repository YuanGongND/ltu). All published checkpoints use
Whisper large-v1. Only LTU-AS needs this module, which imports Whisper's modelling code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from audioprobe.audio.logmel import log_mel
from audioprobe.errors import WeightsError
from audioprobe.models.causal_lm.loading import read_folder, read_json
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_frontend import WHISPER
from audioprobe.models.ltu.network import load_state
from audioprobe.types import Option, Waveform
from audioprobe.weights import resolve

POSITIONS_PER_STEP = 20  # encoder positions of 20 ms that are averaged into a step of 400 ms
FRAMES_PER_STEP = 40  # spectrogram frames of 10 ms in a step of 400 ms


class WhisperFeatures(nn.Module):
    """The encoder of transformers' Whisper, with the outputs of all blocks."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.encoder = WhisperEncoder(config)

    def states(self, mel: Tensor) -> Tensor:
        """Return the input of the first block and the output of each block, without the final norm.

        The forward pass in transformers requires 30 s of audio and normalises the last state.
        LTU-AS uses 10 s and therefore only the first third of the position embeddings.

        Args:
            mel: mel spectrogram, shape (n_clips, n_mels, n_frames), with an even number of frames
                of 10 ms.

        Returns:
            Shape (n_blocks + 1, n_clips, n_frames / 2, width).
        """
        encoder = self.encoder
        tokens = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel))))
        tokens = tokens.transpose(1, 2)
        tokens = tokens + encoder.embed_positions.weight[: tokens.shape[1]]
        states = [tokens]
        for block in encoder.layers:
            states.append(block(states[-1], None))
        return torch.stack(states)

    def forward(self, mel: Tensor) -> Tensor:
        """Return inputs of `TltrEncoder`, shape (n_clips, n_blocks, n_frames / 40, width)."""
        states = self.states(mel)[1:].transpose(0, 1)
        n_clips, n_blocks, _, width = states.shape
        return states.reshape(n_clips, n_blocks, -1, POSITIONS_PER_STEP, width).mean(dim=3)


class WhisperFrontend:
    """Audio front end of LTU-AS, which computes features with a Whisper encoder.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        options: name and revision of the Whisper model, stored with results.
    """

    def __init__(
        self, features: WhisperFeatures, n_steps: int, options: Mapping[str, Option]
    ) -> None:
        self.options = options
        self._features = features
        self._n_frames = n_steps * FRAMES_PER_STEP
        self.seconds = self._n_frames / 100

    @classmethod
    def from_pretrained(
        cls, whisper: str | Path, config: TltrConfig, *, dtype: torch.dtype, device: str
    ) -> Self:
        """Load the Whisper encoder, and check that its size is the one an LTU-AS was trained with.

        Args:
            whisper: folder or hub name of the Whisper model.
            config: configuration of LTU-AS's audio encoder.
            dtype: data type of the computation.
            device: device of the computation.

        Raises:
            WeightsError: if files are missing or damaged, or if the model has the wrong size.
        """
        weights = resolve(str(whisper))
        features = load_whisper(weights.folder)
        sizes = features.encoder.config
        if (sizes.d_model, sizes.encoder_layers) != (config.width, config.n_layers):
            raise WeightsError(
                f"{whisper}: a Whisper encoder of width {sizes.d_model} with "
                f"{sizes.encoder_layers} blocks, but this LTU-AS was trained with an encoder of "
                f"width {config.width} with {config.n_layers} blocks. Pass the Whisper model that "
                f"it was trained with ({WHISPER} for published models)."
            )
        name = Path(whisper).name if weights.origin == "path" else str(whisper)
        options = {"whisper": name, "whisper_revision": weights.revision()}
        return cls(features.to(device, dtype), config.n_steps, options)

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the input of the audio prefix, shape (1, n_blocks, n_steps, width)."""
        weight = self._features.encoder.conv1.weight
        mel = log_mel(waveform, self._n_frames)[None].to(weight.device, weight.dtype)
        with torch.inference_mode():
            features: Tensor = self._features(mel)
        return features


def load_whisper(folder: Path) -> WhisperFeatures:
    """Load the encoder from a folder of transformers' Whisper; ignore the decoder.

    Raises:
        WeightsError: if files are missing or damaged, or if the model is not a Whisper.
    """
    given = read_json(folder / "config.json", "a Whisper's folder")
    if given.get("model_type") != "whisper":
        raise WeightsError(
            f"{folder}: expected a Whisper, found {given.get('model_type')!r} in config.json."
        )
    config: Any = WhisperConfig.from_dict(given)
    with torch.device("meta"):
        features = WhisperFeatures(config)
    tensors = {
        name.removeprefix("model."): tensor
        for name, tensor in read_folder(folder).items()
        if name.removeprefix("model.").startswith("encoder.")
    }
    load_state(features, tensors, source=str(folder))
    return features
