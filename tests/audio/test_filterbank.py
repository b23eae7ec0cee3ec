"""The filter bank gives what the originals give, whatever else is in the batch."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import ASTFeatureExtractor

from audioprobe.audio.filterbank import (
    AST_AUDIOSET,
    AST_ESC50,
    AST_SPEECH_COMMANDS,
    LOG_FLOOR,
    LTU,
    FilterBank,
    Spectrogram,
    fit_length,
)
from audioprobe.errors import InvalidInputError, UnsupportedInputError

GOLDEN = load_file(Path(__file__).parents[1] / "data/fbank/fbank.safetensors")
MONO = ["chirp_12s_16k", "chirp_1s_16k", "chirp_dc_2s_16k", "noise_5s_16k", "silence_2s_16k"]

# Cells near the logarithm's floor hold nothing but rounding, which differs between builds of the
# FFT: chirps have such cells, noise has none.
CHIRP_TOLERANCE = 5e-3
NOISE_TOLERANCE = 2e-4


def tolerance(signal: str) -> float:
    return NOISE_TOLERANCE if signal.startswith("noise") else CHIRP_TOLERANCE


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("signal", MONO)
def test_ltu_spectrograms_equal_the_originals(signal: str) -> None:
    ours = LTU(GOLDEN[f"{signal}.waveform"][0])[GOLDEN[f"{signal}.frames"]]
    error = (ours - GOLDEN[f"{signal}.gradio"]).abs()
    assert error.max() <= tolerance(signal)
    assert error.mean() <= 1e-5


def test_the_demo_path_at_44_khz_equals_the_original_once_resampled() -> None:
    ours = LTU(GOLDEN["stereo_3s_44k1.resampled16k"])[GOLDEN["stereo_3s_44k1.frames"]]
    torch.testing.assert_close(ours, GOLDEN["stereo_3s_44k1.gradio"], atol=CHIRP_TOLERANCE, rtol=0)


def test_the_training_path_takes_the_files_own_rate() -> None:
    at_44k = dataclasses.replace(LTU, bank=FilterBank(sample_rate=44_100))
    ours = at_44k(GOLDEN["stereo_3s_44k1.waveform"][0])[GOLDEN["stereo_3s_44k1.frames_batch"]]
    torch.testing.assert_close(ours, GOLDEN["stereo_3s_44k1.batch"], atol=CHIRP_TOLERANCE, rtol=0)


def test_padding_is_loud_and_silence_is_not() -> None:
    ours = LTU(torch.zeros(16_000))
    assert ours[0, 0] == pytest.approx(-2.42177, abs=1e-5)
    assert ours[-1, 0] == pytest.approx(1.13291, abs=1e-5)


@pytest.mark.parametrize("seconds", [0.5, 5.0, 12.0])
def test_ast_spectrograms_equal_those_of_transformers(seconds: float) -> None:
    wave = noise(int(seconds * 16_000))
    reference = ASTFeatureExtractor()(wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    error = (AST_AUDIOSET(wave) - reference["input_values"][0]).abs()
    # transformers computes filters and logarithm in float64 with numpy
    assert error.max() <= 1e-3
    assert error.mean() <= 1e-5


def test_presets_have_the_lengths_of_their_data() -> None:
    lengths = [preset(noise(16_000)).shape[0] for preset in (AST_AUDIOSET, AST_ESC50, LTU)]
    assert lengths == [1024, 512, 1024]
    assert AST_SPEECH_COMMANDS(noise(16_000)).shape == (128, 128)


@settings(deadline=None, max_examples=25)
@given(
    n_samples=st.integers(400, 20_000),
    seeds=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    preset=st.sampled_from([LTU, AST_AUDIOSET]),
)
def test_a_clip_has_the_same_spectrogram_alone_and_in_a_batch(
    n_samples: int, seeds: list[int], preset: Spectrogram
) -> None:
    waves = torch.stack([noise(n_samples, seed) for seed in seeds])
    together = preset(waves)
    for wave, row in zip(waves, together, strict=True):
        assert torch.equal(preset(wave), row)


@pytest.mark.parametrize(
    ("rate", "n_samples", "n_frames"),
    [
        (16_000, 400, 1),
        (16_000, 559, 1),
        (16_000, 560, 2),
        (16_000, 164_080, 1024),
        (8_000, 8_000, 98),
    ],
)
def test_only_whole_frames_count(rate: int, n_samples: int, n_frames: int) -> None:
    bank = FilterBank(rate, n_mels=40)
    assert bank(noise(n_samples)).shape == (n_frames, 40)
    assert bank.n_frames(n_samples) == n_frames


def test_twice_as_loud_is_log_four_more() -> None:
    quiet = FilterBank()(noise(16_000))
    loud = FilterBank()(2 * noise(16_000))
    above = quiet > math.log(LOG_FLOOR) + 1
    torch.testing.assert_close((loud - quiet)[above], torch.full((int(above.sum()),), math.log(4)))


def test_a_constant_offset_is_not_heard() -> None:
    torch.testing.assert_close(
        FilterBank()(noise(16_000)), FilterBank()(noise(16_000) + 0.2), atol=1e-3, rtol=0
    )


def test_a_tone_is_loudest_in_the_filter_of_its_pitch() -> None:
    time = torch.arange(16_000) / 16_000
    centres = [
        FilterBank()(torch.sin(2 * math.pi * f * time)).mean(0).argmax() for f in (500, 4000)
    ]
    mel = [1127 * math.log1p(f / 700) for f in (20, 8000, 500, 4000)]
    expected = [round((m - mel[0]) / (mel[1] - mel[0]) * 129) - 1 for m in mel[2:]]
    assert all(abs(int(c) - e) <= 1 for c, e in zip(centres, expected, strict=True))


def test_numpy_and_torch_are_taken_alike() -> None:
    wave = noise(1000)
    assert torch.equal(FilterBank()(wave), FilterBank()(wave.numpy()))


def test_sounds_shorter_than_a_frame_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(UnsupportedInputError, match=r"399 samples at 16000 Hz.*400 samples"):
        FilterBank()(np.zeros(399, np.float32))
    with pytest.raises(InvalidInputError, match="n_clips, n_samples"):
        FilterBank()(np.zeros((1, 1, 500), np.float32))


@given(n_frames=st.integers(1, 30), wanted=st.integers(1, 30))
def test_length_is_made_by_cutting_or_zeros_at_the_end(n_frames: int, wanted: int) -> None:
    features = torch.arange(n_frames * 2.0).reshape(n_frames, 2) + 1
    fitted = fit_length(features, wanted)
    assert fitted.shape == (wanted, 2)
    assert torch.equal(fitted[:n_frames], features[:wanted])
    assert not fitted[n_frames:].any()
