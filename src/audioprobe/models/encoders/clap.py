"""CLAP: embeds audio and text in one space, so that clips can be compared with labels.

Source: Wu et al., "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and
Keyword-to-Caption Augmentation", ICASSP 2023. The network comes from transformers. The spectrogram
equals `ClapFeatureExtractor`'s result, but is computed many times as fast.
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
from audioprobe.audio.transforms import resample
from audioprobe.devices import placement
from audioprobe.errors import InvalidInputError, WeightsError
from audioprobe.models.causal_lm.configuration import read_config
from audioprobe.models.causal_lm.loading import dtype_of, load_network
from audioprobe.models.causal_lm.tokenization import refuse_ids_beyond, text_ids
from audioprobe.models.encoders.clap_spectrogram import ClapSpectrogram, mask_exactly
from audioprobe.models.encoding_ahead import encode_ahead
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr, Waveform

DEFAULT_MODEL = weights.CLAP_UNFUSED
"""LAION's checkpoint without feature fusion, trained on 630,000 clips with captions."""

_TEXT_BATCH = 64
_MARGIN_S = 1.0  # audio after the model's input, more than the resampling filter needs


class CLAP(InfoRepr):
    """CLAP as joint encoder of audio and text, and as audio encoder.

    Audio is resampled to the model's rate (48 kHz). The model input has 10 s; shorter audio is
    repeated, as in transformers. For longer audio, transformers chooses parts at random, but this
    class is deterministic. Checkpoints without fusion use the first 10 s. Checkpoints with fusion
    combine several parts of a clip; here the parts have fixed positions (see `ClapSpectrogram`).
    With fusion, every clip is fused, as transformers does for a single clip. (In a batch of short
    clips, transformers fuses only one clip, chosen at random.)

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
        model: str = DEFAULT_MODEL,
        *,
        batch_size: int = 8,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        device, dtype = placement(device, dtype)
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
        """Model name, hash of the weights, and data type."""
        options = {"dtype": self._dtype}
        return ComponentInfo("encoder", self._name, self._weights.revision(), options)

    @cached_property
    def logit_scale(self) -> float:
        """Factor that multiplies cosine similarities before a softmax over labels."""
        return float(self._network.logit_scale_a.detach().float().exp())

    def embed_audio(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        """Yield one unit vector per clip: float32, shape (width,); width is 512 by default."""
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.get_audio_features(**self._inputs(features))
            yield from output.pooler_output.float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit vector per text: float32, shape (n_texts, width).

        Raises:
            InvalidInputError: if a text exceeds the model's context or has lone surrogates.
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
                    f"{longest}. Shorten the text."
                )
        # Sort by length to reduce padding.
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
        """Yield features of each clip: outputs of the last layer, averaged over frequency.

        Yields:
            float32, shape (n_frames, width). The default model yields (32, 768), one frame per 0.31
            s of the model's 10 s, including repetitions of shorter audio.
        """
        for features in self._batches(waveforms):
            with torch.inference_mode():
                output = self._network.audio_model(**self._inputs(features))
            # Shape (n_clips, width, n_bands, n_frames).
            frames = output.last_hidden_state.float().mean(dim=2).transpose(1, 2)
            yield from frames.contiguous().cpu().numpy()

    def _batches(self, waveforms: Iterable[Waveform]) -> Iterator[Tensor]:
        """Yield the spectrograms of up to `batch_size` clips as one tensor."""
        features = encode_ahead(self._features, waveforms, self._batch_size)
        while batch := list(islice(features, self._batch_size)):
            yield torch.stack(batch).to(self._device, self._torch_dtype)

    def _features(self, waveform: Waveform) -> Tensor:
        """Return the model input of a clip: its spectrogram, or four spectrograms with fusion."""
        spectrogram = self._spectrogram
        if not spectrogram.fused:
            # Resample only the part that the model uses.
            seconds = spectrogram.n_samples / spectrogram.sample_rate + _MARGIN_S
            head = waveform.samples[: int(seconds * waveform.sample_rate)]
            waveform = Waveform(head, waveform.sample_rate)
        return spectrogram(resample(waveform, spectrogram.sample_rate).samples)

    def _inputs(self, features: Tensor) -> dict[str, Tensor]:
        """Return the keyword arguments of the network for a batch of spectrograms."""
        if not self._spectrogram.fused:
            return {"input_features": features}
        everyone = torch.ones(len(features), 1, dtype=torch.bool, device=features.device)
        return {"input_features": features, "is_longer": everyone}

    @property
    def _longest_text(self) -> int:
        """Maximum number of tokens of a text.

        It is less than the number of positions, because RoBERTa numbers the positions from
        `pad_token_id + 1`.
        """
        text = self._config.text_config
        longest: int = text.max_position_embeddings - text.pad_token_id - 1
        return longest

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        folder = self._weights.folder
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{folder}: no readable tokenizer ({error}). Download it again."
            ) from error
        refuse_ids_beyond(tokenizer, self._config.text_config.vocab_size, str(folder))
        return tokenizer

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401 - transformers has no types
        network = load_network(ClapModel, self._weights.folder)
        mask_exactly(network)
        return network.to(self._device, self._torch_dtype)


def _read_spectrogram(folder: Path, config: ClapConfig) -> ClapSpectrogram:
    """Return a `ClapSpectrogram` with the settings that a folder contains.

    Raises:
        WeightsError: if the settings are not readable, or do not fit the model's `config`.
    """
    try:
        extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder}: no readable preprocessor_config.json ({error}). Download it again."
        ) from error
    spectrogram = ClapSpectrogram(extractor)
    audio: Any = config.audio_config
    most = audio.spec_size * (audio.spec_size // audio.num_mel_bins)
    if (
        spectrogram.n_mels != audio.num_mel_bins
        or spectrogram.n_frames > most
        or spectrogram.fused != audio.enable_fusion
    ):
        raise WeightsError(
            f"{folder}: preprocessor and model disagree: the preprocessor returns "
            f"{spectrogram.n_frames} frames of {spectrogram.n_mels} mels with fusion "
            f"{spectrogram.fused}, but the model expects at most {most} frames of "
            f"{audio.num_mel_bins} mels with fusion {audio.enable_fusion}. Download both again."
        )
    return spectrogram
