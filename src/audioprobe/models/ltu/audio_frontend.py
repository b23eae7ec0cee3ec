"""Audio front ends: convert a waveform to the input of an LTU's audio prefix.

The audio prefix (see `audio_prefix`) turns this input into tokens of the language model. LTU uses a
mel spectrogram, and LTU-AS features of Whisper (see `whisper_frontend`). Other models use the
features of any encoder of the registry, frozen or trainable (see `feature_encoder`).
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.errors import WeightsError
from audioprobe.models.frozen_encoder import load_encoder
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_prefix import AudioConfig
from audioprobe.models.ltu.feature_encoder import (
    FeatureConfig,
    as_trainable,
)
from audioprobe.models.ltu.whisper_frontend import SAMPLE_RATE, WHISPER, WhisperFrontend
from audioprobe.types import FloatArray, Option, Waveform


class SpectrogramFrontend:
    """Audio front end of LTU: a mel spectrogram of 1024 frames of 10 ms.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        shape: shape of the features of a clip, (n_frames, n_mels).
        options: settings to store with results.
    """

    seconds = 10.24
    shape = (1024, 128)
    options: Mapping[str, Option] = MappingProxyType({})

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return a normalised spectrogram, shape (1, 1024, 128)."""
        return LTU_SPECTROGRAM.of(waveform)[None]


class EncoderFrontend:
    """Audio front end that computes the features of a separate encoder, such as YAMNet.

    If the encoder is trained as a part of the LTU, the front end computes only its patches. Audio
    beyond `config.seconds` is cut off. The features of shorter audio are repeated, as in CLAP, so
    that every token contains sound.

    Args:
        config: name, options and sizes of the encoder.
        device: device of the encoder.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        shape: shape of the result for a clip: (n_steps, width), or (n_steps, ...) for patches.
        options: name and revision of the encoder, stored with results.

    Raises:
        BackendNotFoundError: if no encoder of this name is installed.
        WeightsError: if the encoder's weights are missing, or if its features have another width.
    """

    def __init__(self, config: FeatureConfig, *, device: str = "cpu") -> None:
        self._encoder = load_encoder(config.encoder, config.options, device)
        self._patches = as_trainable(self._encoder, config).patches if config.trainable else None
        info = self._encoder.info
        if config.revision and info.revision != config.revision:
            warnings.warn(
                f"This model was trained with the features of {config.encoder} with the revision "
                f"{config.revision}, but the installed {info.name} has the revision "
                f"{info.revision}. Responses will differ from those of the original model.",
                stacklevel=2,
            )
        self._config = config
        self.seconds = config.seconds
        self.shape: tuple[int, ...] = (config.n_steps, config.width)
        if self._patches is not None:
            silence = Waveform(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
            self.shape = (config.n_steps, *self._patches(silence).shape[1:])
        self.options: Mapping[str, Option] = {
            "encoder": info.name,
            "encoder_revision": info.revision,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the configuration only; another process loads the encoder itself, on the CPU."""
        return type(self), (self._config,)

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the features or patches of a waveform, shape (1, n_steps, ...)."""
        rate = waveform.sample_rate
        used = Waveform(waveform.samples[: round(self.seconds * rate)], rate)
        if self._patches is not None:
            return self._repeated(self._patches(used))
        (features,) = self._encoder.encode([used])
        if features.shape[1] != self._config.width:
            raise WeightsError(
                f"Expected features of width {self._config.width} from the encoder "
                f"{self._config.encoder!r}, received {features.shape[1]}. Use the encoder that "
                "this model was trained with."
            )
        return self._repeated(torch.tensor(features, dtype=torch.float32))

    def _repeated(self, features: Tensor) -> Tensor:
        """Repeat or cut features, shape (any number, ...), to the shape (1, n_steps, ...)."""
        return features[torch.arange(self._config.n_steps) % len(features)][None]


def without_repetition(features: FloatArray) -> FloatArray:
    """Return the feature vectors of a clip before a `FeatureFrontend` repeats them.

    Args:
        features: shape (n_steps, width).

    Returns:
        Shape (n, width): the shortest beginning that gives `features` if it is repeated.
    """
    for n in range(1, len(features)):
        if np.array_equal(features[n:], features[:-n]):
            return features[:n]
    return features


def feature_config(
    encoder: str,
    options: Mapping[str, Option] | None = None,
    *,
    seconds: float = 10.24,
    trainable: bool = False,
) -> FeatureConfig:
    """Return the configuration of an LTU that uses the features of an encoder.

    Revision, width and number of steps are those of the installed encoder.

    Args:
        encoder: name of the encoder in the registry, such as "yamnet".
        options: options of the encoder, such as `{"hop": 0.32}`.
        seconds: length of audio that the model uses.
        trainable: whether the encoder's network is trained as a part of the LTU.

    Raises:
        BackendNotFoundError: if no encoder of this name is installed.
        WeightsError: if the encoder's weights are missing.
    """
    options = options or {}
    loaded = load_encoder(encoder, options, "cpu")
    silence = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    (features,) = loaded.encode([Waveform(silence, SAMPLE_RATE)])
    n_steps, width = features.shape
    return FeatureConfig(
        encoder=encoder,
        options=options,
        revision=loaded.info.revision,
        width=width,
        n_steps=n_steps,
        seconds=seconds,
        trainable=trainable,
    )


AudioFrontend: TypeAlias = SpectrogramFrontend | WhisperFrontend | EncoderFrontend
"""Front end of an LTU of any kind."""


def load_frontend(
    audio: AudioConfig,
    *,
    whisper: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> AudioFrontend:
    """Return the front end for the audio configuration of an LTU.

    Args:
        audio: configuration of the audio prefix.
        whisper: for LTU-AS, folder or hub name of its Whisper model; None means `WHISPER`.
        dtype: for LTU-AS, data type of the Whisper model.
        device: device on which a Whisper model or another encoder computes features.

    Raises:
        BackendNotFoundError: if the encoder of the configuration is not installed.
        WeightsError: if weights are missing or damaged.
    """
    if isinstance(audio, TltrConfig):
        return WhisperFrontend(whisper or WHISPER, audio, dtype=dtype, device=device)
    if isinstance(audio, FeatureConfig):
        return EncoderFrontend(audio, device=device)
    return SpectrogramFrontend()
