"""WAV files in memory, read by an independent reader."""

import io

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.audio.transforms import wav_bytes
from audioprobe.types import Float64Array, Waveform


def read(content: bytes) -> Float64Array:
    samples: Float64Array = soundfile.read(io.BytesIO(content), dtype="float64")[0]
    return samples


def test_wav_has_16_bits_and_one_channel() -> None:
    content, _ = wav_bytes(Waveform(np.zeros(3, np.float32), 44_100))
    info = soundfile.info(io.BytesIO(content))
    assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
    assert (info.samplerate, info.frames) == (44_100, 3)


def test_16_bit_samples_round_trip_exactly() -> None:
    samples = (np.arange(-32768, 32768) / 32768).astype(np.float32)
    content, n_cut = wav_bytes(Waveform(samples, 8000))
    np.testing.assert_array_equal(read(content), samples)
    assert n_cut == 0


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=50))
def test_samples_are_rounded_and_clipped(
    values: list[float],
) -> None:
    content, n_cut = wav_bytes(Waveform(np.array(values, np.float32), 8000))
    limited = np.clip(values, -1, 32767 / 32768)
    assert np.abs(read(content) - limited).max() <= 0.5 / 32768
    assert n_cut == sum(abs(value) > 1 + 0.5 / 32768 for value in values)
