"""CLAP: audio and text in one embedding space, so that labels and clips can be compared.

Source: Wu et al., "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and
Keyword-to-Caption Augmentation", ICASSP 2023. The network is that of transformers; the
spectrogram equals `ClapFeatureExtractor` and is many times as fast.
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
from audioprobe.models.causal_lm.loading import dtype_of, load_network, read_config
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond, text_ids
from audioprobe.models.encoders.clap_spectrogram import ClapSpectrogram, mask_exactly
from audioprobe.types import ComponentInfo, FloatArray, Waveform

DEFAULT_MODEL = weights.CLAP_UNFUSED
"""LAION's checkpoint without fusion, trained on 630,000 clips with captions."""

_TEXT_BATCH = 64
_MARGIN_S = 1.0  # audio beyond the model's input for the resampler's filter, more than it needs


class CLAP:
    """CLAP as joint encoder of audio and text, and as audio encoder.

    Audio is resampled to the model's rate (48 kHz). The model takes 10 s; shorter audio is repeated
    as its extractor does. For longer audio, where transformers chooses parts at random, this class
    is deterministic: without fusion it takes the first 10 s, with fusion the middle of the possible
    parts (see `clap_spectrogram`). `Windowing` cuts windows of 10 s, so this concerns only longer
    windows. A fused checkpoint fuses every clip, as transformers does for a single clip; in a batch
    without longer clips, transformers fuses only one at random.

    Args:
        model: local folder or hub name.
        batch_size: clips per forward pass; does not change outputs beyond rounding.
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
        self._torch_dtype = dtype_of(dtype)
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
        """Factor of cosine similarities before a softmax over labels, as in transformers."""
        return float(self._network.logit_scale_a.detach().float().exp())

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield a unit vector per clip: float32, shape (width,), 512 for the default."""
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.get_audio_features(**self._inputs(features))
            yield from output.pooler_output.float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return a unit vector per text: float32, shape (n_texts, width).

        Raises:
            InvalidInputError: for a text beyond the model's context, or as `text_ids`.
        """
        vectors = np.empty((len(texts), self._config.projection_dim), dtype=np.float32)
        if not texts:
            return vectors
        tokens = [text_ids(self._tokenizer, text) for text in texts]
        longest = self._longest_text
        for text, ids in zip(texts, tokens, strict=True):
            if len(ids) > longest:
                raise InvalidInputError(
                    f"The text {text!r:.60} has {len(ids)} tokens, but {self._name} takes at most "
                    f"{longest}. Shorten it."
                )
        # Sorted by length, so that little padding is computed.
        order = sorted(range(len(texts)), key=lambda n: len(tokens[n]))
        for start in range(0, len(order), _TEXT_BATCH):
            chosen = order[start : start + _TEXT_BATCH]
            inputs = self._tokenizer.pad(
                {"input_ids": [tokens[n] for n in chosen]}, return_tensors="pt"
            ).to(self._device)
            with torch.inference_mode():
                output = self._network.get_text_features(**inputs)
            vectors[chosen] = output.pooler_output.float().cpu().numpy()
        return vectors

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield features after the last norm, averaged over frequency.

        Returns:
            float32, shape (n_frames, width): for the default (32, 768), a frame every 0.31 s of the
            model's 10 s, repetitions of shorter audio included.
        """
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.audio_model(**self._inputs(features))
            # Shape (n_clips, width, n_bands, n_frames).
            frames = output.last_hidden_state.float().mean(dim=2).transpose(1, 2)
            yield from frames.contiguous().cpu().numpy()

    def _batches(self, waveforms: Iterable[Waveform]) -> Iterator[Tensor]:
        features = map(self._features, waveforms)
        while batch := list(islice(features, self._batch_size)):
            yield torch.stack(batch).to(self._device, self._torch_dtype)

    def _features(self, waveform: Waveform) -> Tensor:
        spectrogram = self._spectrogram
        if not spectrogram.fused:
            # Resample only the part that the model takes.
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
        """Number of tokens; RoBERTa counts positions from the one after that of padding."""
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
    def _network(self) -> Any:  # noqa: ANN401 - transformers has no types
        network = load_network(ClapModel, self._weights.folder)
        mask_exactly(network)
        return network.to(self._device, self._torch_dtype)


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
