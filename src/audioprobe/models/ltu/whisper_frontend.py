"""Audio front end of LTU-AS: the outputs of all blocks of Whisper's encoder, averaged over 400 ms.

Sources: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, and the
fork of Whisper by LTU-AS's authors (repository YuanGongND/ltu).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, WhisperConfig
from transformers.audio_utils import mel_filter_bank

from audioprobe.audio.filterbank import fit_length
from audioprobe.audio.transforms import resample
from audioprobe.errors import UnsupportedInputError, WeightsError
from audioprobe.models.causal_lm.configuration import read_json
from audioprobe.models.causal_lm.loading import load_state, read_folder
from audioprobe.models.ltu.audio_encoder import TltrConfig
from audioprobe.types import Option, Waveform
from audioprobe.weights import resolve

WHISPER = "openai/whisper-large"
"""Hub name of the Whisper model that every published LTU-AS uses (large-v1)."""

POSITIONS_PER_STEP = 20  # encoder positions of 20 ms that are averaged into a step of 400 ms
FRAMES_PER_STEP = 40  # spectrogram frames of 10 ms in a step of 400 ms

# Whisper's spectrogram.
SAMPLE_RATE = 16_000  # Hz
WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
N_MELS = 80
_FLOOR = 1e-10  # minimum power
_DECADES = 8.0  # power that is more than 8 decades below the maximum is raised to that value


class WhisperFeatures(nn.Module):
    """Network that returns the outputs of all blocks of Whisper's encoder."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        encoder_only: Any = WhisperConfig.from_dict(config.to_dict() | {"decoder_layers": 0})
        # AutoModel imports Whisper's code, which only LTU-AS needs, on first use.
        self.encoder: Any = AutoModel.from_config(encoder_only).encoder

    def states(self, mel: Tensor) -> Tensor:
        """Return the input of the first block and the output of each block, without the final norm.

        The forward pass in transformers requires 30 s of audio and normalises the last state.
        LTU-AS uses 10 s and therefore only the first third of the position embeddings.

        Args:
            mel: mel spectrogram, shape (n_clips, n_mels, n_frames), n_frames even.

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
        """Return the input of `TltrEncoder`, shape (n_clips, n_blocks, n_frames / 40, width)."""
        states = self.states(mel)[1:].transpose(0, 1)
        n_clips, n_blocks, _, width = states.shape
        return states.reshape(n_clips, n_blocks, -1, POSITIONS_PER_STEP, width).mean(dim=3)


class WhisperFrontend:
    """Audio front end of LTU-AS, which computes features with a Whisper encoder.

    Args:
        whisper: folder or hub name of the Whisper model.
        config: configuration of LTU-AS's audio encoder, which the Whisper encoder must fit.
        dtype: data type of the computation.
        device: device of the computation.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        shape: shape of the features of a clip, (n_blocks, n_steps, width).
        options: name and revision of the Whisper model, stored with results.

    Raises:
        WeightsError: if files are missing or damaged, or if the model has the wrong size.
    """

    def __init__(
        self, whisper: str | Path, config: TltrConfig, *, dtype: torch.dtype, device: str
    ) -> None:
        weights = resolve(str(whisper))
        features = load_whisper(weights.folder)
        sizes = features.encoder.config
        if (sizes.d_model, sizes.encoder_layers) != (config.width, config.n_layers):
            raise WeightsError(
                f"{whisper}: found a Whisper encoder of width {sizes.d_model} with "
                f"{sizes.encoder_layers} blocks, but this LTU-AS needs an encoder of width "
                f"{config.width} with {config.n_layers} blocks. Pass the Whisper model that it was "
                f"trained with ({WHISPER} for published models)."
            )
        self.options: Mapping[str, Option] = {
            "whisper": weights.display_name(whisper),
            "whisper_revision": weights.revision(),
        }
        self._features = features.to(device, dtype)
        self.shape = (config.n_layers, config.n_steps, config.width)
        self._n_frames = config.n_steps * FRAMES_PER_STEP
        self.seconds = self._n_frames / 100

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
    content = read_json(folder / "config.json", "a Whisper's folder")
    if content.get("model_type") != "whisper":
        raise WeightsError(
            f"{folder}: expected a Whisper, found {content.get('model_type')!r} in config.json."
        )
    config: Any = WhisperConfig.from_dict(content)
    with torch.device("meta"):
        features = WhisperFeatures(config)
    tensors = {
        name.removeprefix("model."): tensor
        for name, tensor in read_folder(folder).items()
        if name.removeprefix("model.").startswith("encoder.")
    }
    load_state(features, tensors, source=str(folder))
    return features


def log_mel(waveform: Waveform, n_frames: int) -> Tensor:
    """Return Whisper's log-mel spectrogram of a waveform of any rate, shape (N_MELS, n_frames).

    As in LTU-AS, the spectrogram is computed from the whole waveform, and is then cropped or padded
    with zeros to `n_frames`.

    Raises:
        UnsupportedInputError: if the waveform is shorter than half a window.
    """
    samples = resample(waveform, SAMPLE_RATE).samples
    if samples.size <= WINDOW // 2:
        raise UnsupportedInputError(
            f"Expected more than {WINDOW / SAMPLE_RATE * 500} ms of audio (half a window), got "
            f"{samples.size / SAMPLE_RATE * 1000:.1f} ms."
        )
    window = torch.hann_window(WINDOW)
    audio = torch.from_numpy(samples.copy())
    spectrum = torch.stft(audio, WINDOW, HOP, window=window, return_complex=True)
    power = spectrum[:, :-1].abs() ** 2
    log = (_mel_filters() @ power).clamp(min=_FLOOR).log10()
    log = torch.maximum(log, log.max() - _DECADES)
    return fit_length(((log + 4.0) / 4.0).T, n_frames).T


@cache
def _mel_filters() -> Tensor:
    """Return Slaney's mel filters, shape (N_MELS, WINDOW / 2 + 1)."""
    n_bins, high = WINDOW // 2 + 1, SAMPLE_RATE / 2
    bank = mel_filter_bank(
        n_bins, N_MELS, 0.0, high, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return torch.from_numpy(bank.T.astype(np.float32))
