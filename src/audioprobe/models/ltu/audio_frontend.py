"""Audio front ends: convert a waveform to the input of an LTU's audio prefix.

The audio prefix (see `audio_prefix`) turns this input into tokens of the language model.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.models import ltu
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.models.ltu.audio_prefix import AudioConfig
from audioprobe.types import Option, Waveform

WHISPER = "openai/whisper-large"
"""Hub name of the Whisper model that every published LTU-AS uses (large-v1)."""


class AudioFrontend(Protocol):
    """Converter from waveforms to the input of the audio prefix.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        options: settings to store with results.
    """

    seconds: float
    options: Mapping[str, Option]

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the input of the audio prefix for one waveform; the first dimension has size 1.

        Raises:
            UnsupportedInputError: if the audio is too short.
        """
        ...


class SpectrogramFrontend:
    """Audio front end of LTU: a mel spectrogram of 1024 frames of 10 ms."""

    seconds = 10.24
    options: Mapping[str, Option] = MappingProxyType({})

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return a normalised spectrogram, shape (1, 1024, 128)."""
        return LTU_SPECTROGRAM.of(waveform)[None]


def build_frontend(
    config: AudioConfig, whisper: str | Path, *, dtype: torch.dtype, device: str
) -> AudioFrontend:
    """Return the audio front end of an LTU or LTU-AS.

    Args:
        config: configuration of the audio encoder; its type distinguishes LTU from LTU-AS.
        whisper: folder or hub name of the Whisper model of an LTU-AS; ignored for LTU.
        dtype: data type of the computation.
        device: device of the computation.

    Raises:
        WeightsError: if Whisper's files are missing or damaged, or if the model has the wrong size.
    """
    if not isinstance(config, TltrConfig):
        return SpectrogramFrontend()
    # Loaded on first use because it imports Whisper's modelling code.
    return ltu.WhisperFrontend.from_pretrained(whisper, config, dtype=dtype, device=device)
