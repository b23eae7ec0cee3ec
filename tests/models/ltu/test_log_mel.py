"""Whisper's spectrogram, cropped as in LTU-AS, equals the original."""

import numpy as np
import pytest
import torch
from tests.golden_ltu import close
from tests.golden_ltuas import SOUNDS, whisper_golden
from tests.signals import chirp_10s, sweep
from transformers import WhisperFeatureExtractor

from audioprobe.errors import UnsupportedInputError
from audioprobe.models.ltu.whisper_frontend import log_mel
from audioprobe.types import Waveform


@pytest.mark.parametrize("name", SOUNDS)
def test_spectrograms_equal_the_reference(name: str) -> None:
    result = log_mel(Waveform(SOUNDS[name].numpy(), 16_000), 1000)
    assert result.shape == (80, 1000)
    close(result[None, :, ::10], whisper_golden()[f"{name}.mel"], 1e-4)


def test_30_seconds_equal_the_transformers_spectrogram() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32)
    theirs = WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    close(log_mel(Waveform(samples, 16_000), 3000), theirs.input_features[0], 1e-4)


def test_maximum_of_the_whole_waveform_sets_the_floor() -> None:
    """The maximum counts even if it is in the part that is cropped away."""
    quiet = np.full(160_000, 0.0, np.float32)
    loud = np.concatenate([quiet, chirp_10s().numpy()])
    assert float(log_mel(Waveform(loud, 16_000), 1000)[:, :900].max()) > float(
        log_mel(Waveform(quiet, 16_000), 1000)[:, :900].max()
    )


def test_other_rates_are_resampled_and_short_audio_is_refused() -> None:
    at_8k = Waveform(sweep(8_000, 8_000, 100, 3000, 0.5).numpy(), 8_000)
    at_16k = Waveform(sweep(16_000, 16_000, 100, 3000, 0.5).numpy(), 16_000)
    first, other = (log_mel(waveform, 100).flatten() for waveform in (at_8k, at_16k))
    assert torch.corrcoef(torch.stack([first, other]))[0, 1] > 0.95
    with pytest.raises(UnsupportedInputError, match=r"half a window"):
        log_mel(Waveform(np.zeros(200, np.float32), 16_000), 100)
