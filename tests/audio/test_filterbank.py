"""The filter bank gives what the originals give, independent of the batch."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.signals import chirp_10s, noise_5s, sweep
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


SIGNALS = {
    "chirp_1s_16k": sweep(16_000, 16_000, 100, 7000, 0.5),
    "chirp_10s_16k": chirp_10s(),
    "chirp_12s_16k": sweep(192_000, 16_000, 50, 7500, 0.5),  # longer than the input of the model
    "chirp_dc_2s_16k": sweep(32_000, 16_000, 200, 4000, 0.3, offset=0.2),
    "exact_1024_frames_16k": sweep(164_080, 16_000, 300, 3000, 0.4),
    "noise_5s_16k": noise_5s(),
    "silence_2s_16k": torch.zeros(32_000),
    "stereo_3s_44k1": GOLDEN["stereo_3s_44k1.resampled16k"][0],
}


def assert_equal_to_the_original(ours: torch.Tensor, signal: str, path: str, frames: str) -> None:
    """Tight where there is sound; loose near the logarithm's floor, where only rounding is left.

    That rounding differs between builds of the FFT, and the originals subtract a mean whose last
    bits depend on the number of threads. Three quarters of a chirp's cells are of this kind, and
    hardly any of noise.
    """
    original = GOLDEN[f"{signal}.{path}"]
    error = (ours[GOLDEN[f"{signal}.{frames}"].long()] - original).abs()
    assert error.max() <= (2e-4 if signal.startswith("noise") else 5e-3)
    assert error.mean() <= 5e-5
    loud = original * LTU.scale + LTU.mean > -8
    assert loud.any()
    assert error[loud].max() <= 1e-4


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("signal", SIGNALS)
def test_ltu_spectrograms_equal_the_reference(signal: str) -> None:
    assert_equal_to_the_original(LTU(SIGNALS[signal]), signal, "gradio", "frames")


def test_sample_rate_of_the_file_can_be_used() -> None:
    at_44k = dataclasses.replace(LTU, bank=FilterBank(sample_rate=44_100))
    ours = at_44k(sweep(132_300, 44_100, 100, 15_000, 0.5, offset=0.05))
    assert_equal_to_the_original(ours, "stereo_3s_44k1", "batch", "frames_batch")


@pytest.mark.parametrize("preset", [LTU, AST_AUDIOSET])
def test_result_does_not_depend_on_the_number_of_threads(preset: Spectrogram) -> None:
    before = torch.get_num_threads()
    try:
        result = []
        for n_threads in (1, 2, 4):
            torch.set_num_threads(n_threads)
            result.append(preset(SIGNALS["chirp_10s_16k"]))
    finally:
        torch.set_num_threads(before)
    for other in result[1:]:
        torch.testing.assert_close(other, result[0], atol=2e-6, rtol=0)


def test_padding_is_above_silence() -> None:
    ours = LTU(torch.zeros(16_000))
    assert ours[0, 0] == pytest.approx(-2.42177, abs=1e-5)
    assert ours[-1, 0] == pytest.approx(1.13291, abs=1e-5)


@pytest.mark.parametrize("seconds", [0.5, 5.0, 12.0])
def test_ast_spectrograms_equal_transformers(seconds: float) -> None:
    wave = noise(int(seconds * 16_000))
    reference = ASTFeatureExtractor()(wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    error = (AST_AUDIOSET(wave) - reference["input_values"][0]).abs()
    # transformers computes filters and logarithm in float64 with numpy
    assert error.max() <= 1e-3
    assert error.mean() <= 1e-5


@pytest.mark.parametrize(
    ("preset", "mean", "std", "n_frames"),
    [
        (AST_AUDIOSET, -4.2677393, 4.5689974, 1024),
        (AST_ESC50, -6.6268077, 5.358466, 512),
        (AST_SPEECH_COMMANDS, -6.845978, 5.5654526, 128),
        (LTU, -5.081, 4.4849 / 2, 1024),  # one deviation, where the extractor divides by two
    ],
)
def test_presets_have_published_normalisation(
    preset: Spectrogram, mean: float, std: float, n_frames: int
) -> None:
    wave = noise(16_000)
    extractor = ASTFeatureExtractor(mean=mean, std=std, max_length=n_frames)
    reference = extractor(wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    torch.testing.assert_close(preset(wave), reference["input_values"][0], atol=1e-3, rtol=0)


@settings(deadline=None, max_examples=25)
@given(
    n_samples=st.integers(400, 20_000),
    seeds=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    preset=st.sampled_from([LTU, AST_AUDIOSET]),
)
def test_spectrogram_does_not_depend_on_the_batch(
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
def test_only_complete_frames_count(rate: int, n_samples: int, n_frames: int) -> None:
    bank = FilterBank(rate, n_mels=40)
    assert bank(noise(n_samples)).shape == (n_frames, 40)
    assert bank.n_frames(n_samples) == n_frames


def test_doubling_the_amplitude_adds_log_four() -> None:
    quiet = FilterBank()(noise(16_000))
    loud = FilterBank()(2 * noise(16_000))
    above = quiet > math.log(LOG_FLOOR) + 1
    torch.testing.assert_close((loud - quiet)[above], torch.full((int(above.sum()),), math.log(4)))


@pytest.mark.parametrize("n_frames", [1, 511, 512, 513, 1100])
def test_blocks_give_the_same_result_as_one_block(n_frames: int) -> None:
    wave = noise(400 + 160 * (n_frames - 1))
    complete = FilterBank()(wave)
    one_by_one = torch.cat([FilterBank()(frame) for frame in wave.unfold(0, 400, 160)])
    torch.testing.assert_close(complete, one_by_one, atol=2e-6, rtol=0)


def test_only_input_frames_are_computed_but_the_mean_is_of_all_samples() -> None:
    wave = torch.cat([noise(170_000), torch.ones(170_000)])
    decoded = dataclasses.replace(LTU, remove_mean=False)(wave - wave.numpy().mean())
    assert torch.equal(LTU(wave), decoded)


def test_constant_offset_has_no_effect() -> None:
    torch.testing.assert_close(
        FilterBank()(noise(16_000)), FilterBank()(noise(16_000) + 0.2), atol=1e-3, rtol=0
    )


def test_tone_has_its_maximum_in_the_filter_of_its_frequency() -> None:
    time = torch.arange(16_000) / 16_000
    centres = [
        FilterBank()(torch.sin(2 * math.pi * f * time)).mean(0).argmax() for f in (500, 4000)
    ]
    mel = [1127 * math.log1p(f / 700) for f in (20, 8000, 500, 4000)]
    expected = [round((m - mel[0]) / (mel[1] - mel[0]) * 129) - 1 for m in mel[2:]]
    assert all(abs(int(c) - e) <= 1 for c, e in zip(centres, expected, strict=True))


def test_arrays_and_tensors_give_equal_results() -> None:
    wave = noise(1000)
    assert torch.equal(FilterBank()(wave), FilterBank()(wave.numpy()))


def test_read_only_and_strided_arrays_are_accepted_and_unchanged() -> None:
    wave = noise(2000).numpy()
    wave.setflags(write=False)
    before = wave.copy()
    assert torch.equal(LTU(wave), LTU(before))
    assert torch.equal(LTU(wave[::-1]), LTU(wave[::-1].copy()))
    assert torch.equal(LTU(wave[::2]), LTU(wave[::2].copy()))
    batch = np.asfortranarray(np.stack([wave, -wave]))
    assert torch.equal(LTU(batch), LTU(np.ascontiguousarray(batch)))
    assert torch.equal(LTU(torch.tensor(before).repeat(3, 1).T.clone().T)[0], LTU(before))
    np.testing.assert_array_equal(wave, before)


def test_short_audio_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(UnsupportedInputError, match=r"399 samples at 16000 Hz.*400 samples"):
        FilterBank()(np.zeros(399, np.float32))
    with pytest.raises(InvalidInputError, match="n_clips, n_samples"):
        FilterBank()(np.zeros((1, 1, 500), np.float32))


@pytest.mark.parametrize("integers", [np.ones(500, np.int16), torch.ones(500, dtype=torch.int16)])
def test_integer_samples_are_refused(integers: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"floats.*int16"):
        LTU(integers)


@pytest.mark.parametrize(("rate", "n_mels"), [(0, 128), (99, 128), (16_000, 0)])
def test_invalid_filter_banks_are_refused(rate: int, n_mels: int) -> None:
    with pytest.raises(InvalidInputError, match=f"got {rate} Hz and n_mels={n_mels}"):
        FilterBank(rate, n_mels)


@given(n_frames=st.integers(1, 30), wanted=st.integers(1, 30))
def test_fit_length_crops_or_pads_at_the_end(n_frames: int, wanted: int) -> None:
    features = torch.arange(n_frames * 2.0).reshape(n_frames, 2) + 1
    fitted = fit_length(features, wanted)
    assert fitted.shape == (wanted, 2)
    assert torch.equal(fitted[:n_frames], features[:wanted])
    assert not fitted[n_frames:].any()
