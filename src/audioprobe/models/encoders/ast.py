"""Audio Spectrogram Transformer (AST): audio features and AudioSet labels.

Source: Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021. The network comes from
transformers. The spectrogram equals `ASTFeatureExtractor`'s result, but is computed faster.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import ASTConfig, ASTForAudioClassification

from audioprobe import weights
from audioprobe.audio.filterbank import AST_AUDIOSET, FilterBank, Spectrogram
from audioprobe.devices import placement
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.causal_lm.configuration import read_config, read_json
from audioprobe.models.causal_lm.loading import dtype_of, load_network
from audioprobe.models.encoding_ahead import encode_ahead
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Waveform

N_SPECIAL_TOKENS = 2  # class token and distillation token, which precede the patches
_FRAME_SECONDS = 0.01  # distance of the columns of the spectrogram
_DEFAULTS: Mapping[str, float] = {
    "max_length": AST_AUDIOSET.n_frames,
    "num_mel_bins": AST_AUDIOSET.bank.n_mels,
    "sampling_rate": AST_AUDIOSET.bank.sample_rate,
    "mean": AST_AUDIOSET.mean,
    "std": AST_AUDIOSET.scale / 2,
}
"""Settings of the spectrogram that a folder may leave out."""


class AST(InfoRepr):
    """AST as audio encoder and as tagger, which returns a probability per label.

    Audio is resampled to the model's rate (16 kHz). The model input has a fixed length (10.24 s):
    longer audio is truncated at the end, and shorter audio is padded, as in AST's training.

    Args:
        model: local folder or hub name.
        batch_size: clips per forward pass; changes outputs only by rounding errors.
        device: "auto" (a GPU if there is one), "cpu", "cuda", ...
        dtype: "float32", "bfloat16", "float16", or "auto" (bfloat16 on a GPU).

    Raises:
        WeightsError: if the weights are missing or damaged, or belong to another model.
    """

    def __init__(
        self,
        model: str = weights.AST_AUDIOSET,
        *,
        batch_size: int = 4,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        device, dtype = placement(device, dtype)
        self._torch_dtype = dtype_of(dtype)
        self._name = model
        self._weights = weights.resolve(model)
        self._batch_size = batch_size
        self._device = device
        self._dtype = dtype
        self._config: Any = read_config(
            self._weights.folder, ASTConfig, "an Audio Spectrogram Transformer"
        )
        self._spectrogram = _read_spectrogram(self._weights.folder, self._config)

    @property
    def info(self) -> ComponentInfo:
        """Model name, hash of the weights, and data type."""
        options = {"dtype": self._dtype}
        return ComponentInfo("encoder", self._name, self._weights.revision(), options)

    @property
    def hop(self) -> float:
        """Seconds between two feature vectors; 0.1 in the default model."""
        return float(self._config.time_stride * _FRAME_SECONDS)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Class names of the model; the default model has the 527 classes of AudioSet."""
        names = self._config.id2label
        return tuple(names[n] for n in range(len(names)))

    @property
    def phrases(self) -> tuple[str, ...]:
        """Class names in lower case, for use after "the sound of", such as "rain on surface"."""
        return tuple(name.lower() for name in self.labels)

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield features of each clip: outputs of the last layer, averaged over frequency.

        Yields:
            float32, shape (n_frames, width). The default model yields (101, 768), one frame per
            100 ms.
        """
        config = self._config
        n_time = (config.max_length - config.patch_size) // config.time_stride + 1
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.audio_spectrogram_transformer(features)
            patches = output.last_hidden_state[:, N_SPECIAL_TOKENS:].float()
            # The order of patches is by frequency, then by time.
            by_time = patches.unflatten(1, (-1, n_time)).mean(dim=1)
            yield from by_time.cpu().numpy()

    def tag(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield the label probabilities of each clip, float32 in [0, 1], shape (n_labels,).

        The labels are not exclusive, so the probabilities do not sum to 1.
        """
        for features in self._batches(waveforms):
            with torch.inference_mode():
                logits = self._network(features).logits.float()
            yield from torch.sigmoid(logits).cpu().numpy()

    def _batches(self, waveforms: Iterable[Waveform]) -> Iterator[Tensor]:
        """Yield the model inputs of up to `batch_size` clips, shape (n_clips, n_frames, n_mels)."""
        features = encode_ahead(self._spectrogram.of, waveforms, self._batch_size)
        while batch := list(islice(features, self._batch_size)):
            yield torch.stack(batch).to(self._device, self._torch_dtype)

    @cached_property
    def _network(self) -> ASTForAudioClassification:
        network: Any = load_network(ASTForAudioClassification, self._weights.folder)
        return network.to(self._device, self._torch_dtype)


def _read_spectrogram(folder: Path, config: ASTConfig) -> Spectrogram:
    """Return a `Spectrogram`, which computes spectrograms, with the settings in a folder.

    `ASTFeatureExtractor` saved the settings as `preprocessor_config.json`.

    Raises:
        WeightsError: if the file is not readable, or does not fit the model's `config`.
    """
    path = folder / "preprocessor_config.json"
    settings = {**_DEFAULTS, **read_json(path, "the settings of ASTFeatureExtractor")}
    wrong = [name for name in _DEFAULTS if not _is_like(settings[name], _DEFAULTS[name])]
    if wrong:
        raise WeightsError(
            f"{path}: expected a finite number as {wrong[0]}, got {settings[wrong[0]]!r:.80}. "
            "Download it again."
        )
    length, n_mels = settings["max_length"], settings["num_mel_bins"]
    if (length, n_mels) != (config.max_length, config.num_mel_bins):
        raise WeightsError(
            f"{folder}: preprocessor and model disagree: preprocessor_config.json has {length} "
            f"frames of {n_mels} mels, but the model expects {config.max_length} frames of "
            f"{config.num_mel_bins} mels. Download the model again."
        )
    try:
        bank = FilterBank(settings["sampling_rate"], n_mels)
    except InvalidInputError as error:
        raise WeightsError(f"{path}: {error} Download it again.") from error
    if not settings.get("do_normalize", True):
        return Spectrogram(mean=0.0, scale=1.0, n_frames=length, bank=bank)
    return Spectrogram(settings["mean"], 2 * settings["std"], length, bank=bank)


def _is_like(value: object, default: float) -> bool:
    """Return whether a value is a number below 2^31, and an integer if the default is one."""
    kind = int if isinstance(default, int) else int | float
    return isinstance(value, kind) and not isinstance(value, bool) and abs(value) < 2**31
