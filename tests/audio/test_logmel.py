"""Whisper's spectrogram as LTU-AS cuts it, against the original."""

import numpy as np
import pytest
import torch
from tests.golden_ltu import close
from tests.golden_ltuas import SOUNDS, whisper_golden
from tests.signals import chirp_10s, sweep
from transformers import WhisperFeatureExtractor

from audioprobe.audio.logmel import log_mel
from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Waveform


@pytest.mark.parametrize("name", SOUNDS)
def test_spectrograms_equal_the_originals(name: str) -> None:
    found = log_mel(Waveform(SOUNDS[name].numpy(), 16_000), 1000)
    assert found.shape == (80, 1000)
    close(found[None, :, ::10], whisper_golden()[f"{name}.mel"], 1e-4)


def test_a_sound_of_thirty_seconds_is_as_transformers_hears_it() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32)
    theirs = WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    close(log_mel(Waveform(samples, 16_000), 3000), theirs.input_features[0], 1e-4)


def test_the_loudest_cell_of_the_whole_sound_sets_the_floor() -> None:
    """Also where it stands behind the cut."""
    quiet = np.full(160_000, 0.0, np.float32)
    loud = np.concatenate([quiet, chirp_10s().numpy()])
    assert float(log_mel(Waveform(loud, 16_000), 1000)[:, :900].max()) > float(
        log_mel(Waveform(quiet, 16_000), 1000)[:, :900].max()
    )


def test_other_rates_are_resampled_and_scraps_refused() -> None:
    at_8k = Waveform(sweep(8_000, 8_000, 100, 3000, 0.5).numpy(), 8_000)
    at_16k = Waveform(sweep(16_000, 16_000, 100, 3000, 0.5).numpy(), 16_000)
    one, other = (log_mel(waveform, 100).flatten() for waveform in (at_8k, at_16k))
    assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.95
    with pytest.raises(UnsupportedInputError, match=r"half a window"):
        log_mel(Waveform(np.zeros(200, np.float32), 16_000), 100)
