"""From a waveform to what an LTU's audio half takes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import WhisperConfig

from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.audio.logmel import log_mel
from audioprobe.errors import WeightsError
from audioprobe.models.causal_lm.files import read_folder, read_json
from audioprobe.models.ltu.audio_prefix import AudioConfig
from audioprobe.models.ltu.load_state import load_state
from audioprobe.models.ltu.tltr import TltrConfig
from audioprobe.models.ltu.whisper_features import WhisperFeatures
from audioprobe.types import Option, Waveform
from audioprobe.weights import resolve

WHISPER = "openai/whisper-large"
"""On the hub: large-v1, by which every published LTU-AS hears."""

_FRAMES_PER_STEP = 40  # of 10 ms in the 400 ms of one of LTU-AS's steps


class AudioFrontend(Protocol):
    """What prepares a sound for the network.

    Attributes:
        seconds: what it hears of a sound; the rest is cut off.
        options: what provenance needs to know of it.
    """

    seconds: float
    options: Mapping[str, Option]

    def __call__(self, waveform: Waveform) -> Tensor:
        """Input of the audio half for one sound, batch dimension first, on the CPU or its device.

        Raises:
            UnsupportedInputError: if the sound is too short.
        """
        ...


class SpectrogramFrontend:
    """LTU's: a filter bank of 1024 frames of 10 ms."""

    seconds = 10.24
    options: Mapping[str, Option] = MappingProxyType({})

    def __call__(self, waveform: Waveform) -> Tensor:
        """Shape (1, 1024, 128)."""
        return LTU_SPECTROGRAM.of(waveform)[None]


class WhisperFrontend:
    """LTU-AS's: the blocks of a Whisper encoder."""

    def __init__(
        self, features: WhisperFeatures, n_steps: int, options: Mapping[str, Option]
    ) -> None:
        self.options = options
        self._features = features
        self._n_frames = n_steps * _FRAMES_PER_STEP
        self.seconds = self._n_frames / 100

    def __call__(self, waveform: Waveform) -> Tensor:
        """Shape (1, n_blocks, n_steps, width)."""
        weight = self._features.encoder.conv1.weight
        mel = log_mel(waveform, self._n_frames)[None].to(weight.device, weight.dtype)
        with torch.inference_mode():
            features: Tensor = self._features(mel)
        return features


def frontend_for(
    config: AudioConfig, whisper: str | Path, *, dtype: torch.dtype, device: str
) -> AudioFrontend:
    """The ear of an LTU, or of an LTU-AS, which needs a Whisper.

    Args:
        config: of the audio half.
        whisper: folder or hub name; not used for LTU.
        dtype: numbers to compute with.
        device: where.

    Raises:
        WeightsError: if Whisper's files are missing, damaged, or of another size than the model
            was trained with.
    """
    if not isinstance(config, TltrConfig):
        return SpectrogramFrontend()
    weights = resolve(str(whisper))
    features = read_whisper(weights.folder)
    sizes = features.encoder.config
    if (sizes.d_model, sizes.encoder_layers) != (config.width, config.n_layers):
        raise WeightsError(
            f"{whisper}: a Whisper encoder of width {sizes.d_model} with {sizes.encoder_layers} "
            f"blocks, and this LTU-AS hears by one of width {config.width} with {config.n_layers} "
            f"blocks (published ones: {WHISPER})."
        )
    name = Path(whisper).name if weights.origin == "path" else str(whisper)
    options = {"whisper": name, "whisper_revision": weights.revision()}
    return WhisperFrontend(features.to(device, dtype), config.n_steps, options)


def read_whisper(folder: Path) -> WhisperFeatures:
    """The encoder in a folder of transformers' Whisper; the decoder is left where it is.

    Raises:
        WeightsError: if files are missing or damaged, or are no Whisper's.
    """
    given = read_json(folder / "config.json", "a Whisper's folder")
    if given.get("model_type") != "whisper":
        raise WeightsError(
            f"{folder}: expected a Whisper, found {given.get('model_type')!r} in config.json."
        )
    config: Any = WhisperConfig.from_dict(given)
    with torch.device("meta"):
        features = WhisperFeatures(config)
    found = {
        name.removeprefix("model."): tensor
        for name, tensor in read_folder(folder).items()
        if name.removeprefix("model.").startswith("encoder.")
    }
    load_state(features, found, source=str(folder))
    return features
