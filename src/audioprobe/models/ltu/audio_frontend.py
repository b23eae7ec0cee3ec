"""Audio front ends: from a waveform to the input of an LTU's audio prefix."""

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
"""Hub name of large-v1, the Whisper of every published LTU-AS."""


class AudioFrontend(Protocol):
    """Prepares audio for the network.

    Attributes:
        seconds: length of audio that is used; the rest is truncated.
        options: options for provenance.
    """

    seconds: float
    options: Mapping[str, Option]

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the input of the audio prefix for one waveform, batch dimension first.

        Raises:
            UnsupportedInputError: if the audio is too short.
        """
        ...


class SpectrogramFrontend:
    """LTU's front end: a filter bank of 1024 frames of 10 ms."""

    seconds = 10.24
    options: Mapping[str, Option] = MappingProxyType({})

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return a normalised spectrogram, shape (1, 1024, 128)."""
        return LTU_SPECTROGRAM.of(waveform)[None]


def build_frontend(
    config: AudioConfig, whisper: str | Path, *, dtype: torch.dtype, device: str
) -> AudioFrontend:
    """Return the front end of an LTU, or of an LTU-AS, which needs a Whisper.

    Args:
        config: sizes of the audio encoder.
        whisper: folder or hub name; not used for LTU.
        dtype: number format of the computation.
        device: device of the computation.

    Raises:
        WeightsError: if Whisper's files are missing, damaged, or of another size.
    """
    if not isinstance(config, TltrConfig):
        return SpectrogramFrontend()
    # Loaded on first use, as it imports Whisper's modelling code.
    return ltu.WhisperFrontend.from_pretrained(whisper, config, dtype=dtype, device=device)
