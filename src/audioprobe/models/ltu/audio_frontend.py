"""Audio front ends: convert a waveform to the input of an LTU's audio prefix.

The audio prefix (see `audio_prefix`) turns this input into tokens of the language model. LTU uses a
mel spectrogram. LTU-AS uses the outputs of all blocks of Whisper's encoder, averaged over 400 ms;
sources: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, and the
fork of Whisper by LTU-AS's authors (repository YuanGongND/ltu). Other models use the features of
any encoder of the registry, which stays frozen.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, WhisperConfig
from transformers.audio_utils import mel_filter_bank

from audioprobe.audio.filterbank import LTU as LTU_SPECTROGRAM
from audioprobe.audio.filterbank import fit_length
from audioprobe.audio.transforms import resample
from audioprobe.errors import InvalidInputError, UnsupportedInputError, WeightsError
from audioprobe.models.causal_lm.loading import load_state, read_folder, read_json
from audioprobe.models.ltu.audio_encoder import FeatureConfig, TltrConfig
from audioprobe.protocols import AudioEncoder
from audioprobe.registry import factory_of, load
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


class SpectrogramFrontend:
    """Audio front end of LTU: a mel spectrogram of 1024 frames of 10 ms.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        options: settings to store with results.
    """

    seconds = 10.24
    options: Mapping[str, Option] = MappingProxyType({})

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return a normalised spectrogram, shape (1, 1024, 128)."""
        return LTU_SPECTROGRAM.of(waveform)[None]


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
        self._n_frames = config.n_steps * FRAMES_PER_STEP
        self.seconds = self._n_frames / 100

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the input of the audio prefix, shape (1, n_blocks, n_steps, width)."""
        weight = self._features.encoder.conv1.weight
        mel = log_mel(waveform, self._n_frames)[None].to(weight.device, weight.dtype)
        with torch.inference_mode():
            features: Tensor = self._features(mel)
        return features


class EncoderFrontend:
    """Audio front end that computes the features of a separate encoder, such as YAMNet.

    Audio beyond `config.seconds` is cut off. The features of shorter audio are followed by zeros.

    Args:
        config: name, options and sizes of the encoder.
        device: device of the encoder.

    Attributes:
        seconds: length of audio that the model uses; longer audio is truncated.
        options: name and revision of the encoder, stored with results.

    Raises:
        BackendNotFoundError: if no encoder of this name is installed.
        WeightsError: if the encoder's weights are missing, or if its features have another width.
    """

    def __init__(self, config: FeatureConfig, *, device: str = "cpu") -> None:
        self._encoder = _load_encoder(config.encoder, config.options, device)
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
        self.options: Mapping[str, Option] = {
            "encoder": info.name,
            "encoder_revision": info.revision,
        }

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the features of a waveform, shape (1, n_steps, width)."""
        rate = waveform.sample_rate
        used = Waveform(waveform.samples[: round(self.seconds * rate)], rate)
        (features,) = self._encoder.encode([used])
        if features.shape[1] != self._config.width:
            raise WeightsError(
                f"Expected features of width {self._config.width} from the encoder "
                f"{self._config.encoder!r}, received {features.shape[1]}. Use the encoder that "
                "this model was trained with."
            )
        return fit_length(torch.tensor(features, dtype=torch.float32), self._config.n_steps)[None]


def feature_config(encoder: str, *, seconds: float = 10.24, **options: Option) -> FeatureConfig:
    """Return the configuration of an LTU that uses the features of an encoder.

    Revision, width and number of steps are those of the installed encoder.

    Args:
        encoder: name of the encoder in the registry, such as "yamnet".
        seconds: length of audio that the model uses.
        options: options of the encoder, such as `hop=0.32`.

    Raises:
        BackendNotFoundError: if no encoder of this name is installed.
        WeightsError: if the encoder's weights are missing.
    """
    loaded = _load_encoder(encoder, options, "cpu")
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
    )


def _load_encoder(name: str, options: Mapping[str, Option], device: str) -> AudioEncoder:
    """Load an encoder on a device; encoders without this option, such as BirdNET, use the CPU."""
    has_device = "device" in signature(factory_of("encoder", name.partition(":")[0])).parameters
    placement = {"device": device} if has_device else {}
    encoder = load("encoder", name, **options, **placement)
    if not isinstance(encoder, AudioEncoder):
        raise InvalidInputError(
            f"Expected an encoder with `encode` as audio front end, got {name!r}, which has none."
        )
    return encoder


AudioFrontend: TypeAlias = SpectrogramFrontend | WhisperFrontend | EncoderFrontend


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
