"""CLAP: sound and text in one space, so that a label can be compared with a sound directly.

Source: Wu et al., "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and
Keyword-to-Caption Augmentation", ICASSP 2023. The network is transformers' own; the spectrogram is
ours, which equals `ClapFeatureExtractor` and is many times as fast.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    PreTrainedTokenizerBase,
)

from audioprobe import weights
from audioprobe.audio.resample import resample
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.causal_lm.dtypes import dtype_of
from audioprobe.models.causal_lm.loading import load_network, read_config
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond, text_ids
from audioprobe.models.encoders.clap_spectrogram import ClapSpectrogram, exclude_exactly
from audioprobe.types import ComponentInfo, FloatArray, Waveform

DEFAULT_MODEL = weights.CLAP_UNFUSED
"""LAION's checkpoint without fusion, trained on 630,000 pairs of sound and caption."""

_TEXTS_AT_ONCE = 64
_MARGIN_S = 1.0  # what the resampler's filter needs beyond the model's input, with much to spare


class CLAP:
    """CLAP as joint encoder of sound and text, and as encoder of sound.

    Any sample rate is resampled to the model's (48 kHz). The model hears 10 s: shorter sounds are
    repeated as its extractor does. Where transformers picks parts of a longer sound at random, this
    class always takes the same ones: without fusion the first 10 s, with fusion the middle ones of
    those to pick from (see `clap_spectrogram`). `Windowing` cuts windows of 10 s, so that this
    concerns only longer windows. A fused checkpoint fuses every sound, as transformers does with
    a sound that comes alone; in a batch, it fuses only one at random of those that are not longer.

    Args:
        model: a local folder or a hub name.
        batch_size: sounds per forward pass; does not change answers beyond rounding.
        device: "cpu", "cuda", ...
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        WeightsError: if the weights are missing, damaged or those of another model.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        batch_size: int = 8,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        self._numbers = dtype_of(dtype)
        if batch_size < 1:
            raise InvalidInputError(f"batch_size must be at least 1, got {batch_size}.")
        self._name = model
        self._weights = weights.resolve(model)
        self._batch_size = batch_size
        self._device = device
        self._dtype = dtype
        self._config: Any = read_config(self._weights.folder, ClapConfig, "a CLAP")
        self._spectrogram = _read_spectrogram(self._weights.folder, self._config)

    @property
    def info(self) -> ComponentInfo:
        """Model, hash of the weights, number format."""
        options = {"dtype": self._dtype}
        return ComponentInfo("encoder", self._name, self._weights.revision(), options)

    @cached_property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before a softmax over labels, as in transformers."""
        return float(self._network.logit_scale_a.detach().float().exp())

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """A unit vector per sound: float32, shape (width,), 512 wide for the default."""
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.get_audio_features(**self._inputs(features))
            yield from output.pooler_output.float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """A unit vector per text: float32, shape (n_texts, width).

        Raises:
            InvalidInputError: for a text that is longer than the model reads, or as `text_ids`.
        """
        vectors = np.empty((len(texts), self._config.projection_dim), dtype=np.float32)
        if not texts:
            return vectors
        tokens = [text_ids(self._tokenizer, text) for text in texts]
        longest = self._longest_text
        for text, ids in zip(texts, tokens, strict=True):
            if len(ids) > longest:
                raise InvalidInputError(
                    f"The text {text!r:.60} has {len(ids)} tokens, and {self._name} reads "
                    f"{longest}: shorten it."
                )
        # Texts of a length stand together, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda n: len(tokens[n]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            chosen = order[start : start + _TEXTS_AT_ONCE]
            inputs = self._tokenizer.pad(
                {"input_ids": [tokens[n] for n in chosen]}, return_tensors="pt"
            ).to(self._device)
            with torch.inference_mode():
                output = self._network.get_text_features(**inputs)
            vectors[chosen] = output.pooler_output.float().cpu().numpy()
        return vectors

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Features after the last norm, averaged over frequency.

        Returns:
            float32, shape (n_frames, width): for the default (32, 768), a frame every 0.31 s of the
            10 s that the model hears, repetitions of shorter sounds included.
        """
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.audio_model(**self._inputs(features))
            # Shape (n_sounds, width, n_bands, n_frames).
            frames = output.last_hidden_state.float().mean(dim=2).transpose(1, 2)
            yield from frames.contiguous().cpu().numpy()

    def _batches(self, waveforms: Iterable[Waveform]) -> Iterator[Tensor]:
        features = map(self._features, waveforms)
        while batch := list(islice(features, self._batch_size)):
            yield torch.stack(batch).to(self._device, self._numbers)

    def _features(self, waveform: Waveform) -> Tensor:
        spectrogram = self._spectrogram
        if not spectrogram.fused:
            # What the model does not hear is not resampled only to be thrown away.
            seconds = spectrogram.n_samples / spectrogram.sample_rate + _MARGIN_S
            head = waveform.samples[: int(seconds * waveform.sample_rate)]
            waveform = Waveform(head, waveform.sample_rate)
        return spectrogram(resample(waveform, spectrogram.sample_rate).samples)

    def _inputs(self, features: Tensor) -> dict[str, Tensor]:
        if not self._spectrogram.fused:
            return {"input_features": features}
        everyone = torch.ones(len(features), 1, dtype=torch.bool, device=features.device)
        return {"input_features": features, "is_longer": everyone}

    @property
    def _longest_text(self) -> int:
        """Tokens: RoBERTa counts positions from the one after the padding's."""
        text = self._config.text_config
        longest: int = text.max_position_embeddings - text.pad_token_id - 1
        return longest

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        folder = self._weights.folder
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{folder}: no readable tokenizer ({error}).") from error
        refuse_ids_beyond(tokenizer, self._config.text_config.vocab_size, str(folder))
        return tokenizer

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401 - transformers annotates less than it gives
        network = load_network(ClapModel, self._weights.folder)
        exclude_exactly(network)
        return network.to(self._device, self._numbers)


def _read_spectrogram(folder: Path, config: ClapConfig) -> ClapSpectrogram:
    try:
        extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: no readable preprocessor_config.json ({error}).") from error
    spectrogram = ClapSpectrogram(extractor)
    audio: Any = config.audio_config
    most = audio.spec_size * (audio.spec_size // audio.num_mel_bins)
    if (
        spectrogram.n_mels != audio.num_mel_bins
        or spectrogram.n_frames > most
        or spectrogram.fused != audio.enable_fusion
    ):
        raise WeightsError(
            f"{folder}: preprocessor and model disagree: {spectrogram.n_frames} frames of "
            f"{spectrogram.n_mels} mels, fusion {spectrogram.fused}, against at most {most} of "
            f"{audio.num_mel_bins}, fusion {audio.enable_fusion}."
        )
    return spectrogram
