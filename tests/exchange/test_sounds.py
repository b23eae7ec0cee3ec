"""Exported audio decodes to the same samples, and names contain no folder of this machine."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import AudioReadError
from audioprobe.exchange.sounds import (
    SoundEncoder,
    encode_lossless,
    encode_wav,
    public_names,
    public_text,
)
from audioprobe.types import Waveform


def decoded(content: bytes) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    return samples, rate


@given(
    st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1, max_size=50),
    st.sampled_from([2**15, 2**23, 3.0]),
    st.sampled_from([250, 8000, 44_100, 700_000]),
)
def test_encoding_is_lossless(values: list[int], scale: float, rate: int) -> None:
    samples = (np.array(values) / scale).astype(np.float32)
    encoded = encode_lossless(Waveform(samples, rate))
    result, result_rate = decoded(encoded.content)
    assert np.array_equal(result, samples)
    assert result_rate == rate


@pytest.mark.parametrize(
    ("samples", "subtype", "suffix"),
    [
        ([0.5, -1.0], "PCM_16", "flac"),
        ([0.5, 2.0**-20], "PCM_24", "flac"),
        ([0.5, 0.1], "FLOAT", "wav"),
        ([0.5, 1.0], "FLOAT", "wav"),
    ],
)
def test_smallest_lossless_format_is_chosen(
    samples: list[float], subtype: str, suffix: str
) -> None:
    encoded = encode_lossless(Waveform(np.array(samples, np.float32), 8000))
    assert soundfile.info(io.BytesIO(encoded.content)).subtype == subtype
    assert encoded.name.endswith(f".{suffix}")


def test_unreadable_sound_is_a_failure_without_the_path() -> None:
    def fail() -> Waveform:
        raise AudioReadError("/home/me/a/crow.wav: no such file")

    names = public_names(["/home/me/a/crow.wav", "/home/me/b/dog.wav"])
    encoder = SoundEncoder({"/home/me/a/crow.wav": fail}, encode_lossless, names)
    assert encoder("/home/me/a/crow.wav") is None
    assert encoder("(spoken) crow") is None
    assert encoder.failures == {
        "/home/me/a/crow.wav": "a/crow.wav: no such file",
        "(spoken) crow": "the audio was not stored with the result",
    }


def test_public_names_are_relative_to_the_shared_folder() -> None:
    assert public_names(["/home/me/a/x.wav", "/home/me/y.wav", "z.wav"]) == {
        "/home/me/a/x.wav": "a/x.wav",
        "/home/me/y.wav": "y.wav",
        "z.wav": "z.wav",
    }
    assert public_names(["/home/me/x.wav"]) == {"/home/me/x.wav": "x.wav"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/a/crow.wav: gone", "a/crow.wav: gone"),
        ("/data/my sounds/x.wav: no such file", "x.wav: no such file"),
        (r"C:\data\x.wav: 1/2 of it, and/or less", "x.wav: 1/2 of it, and/or less"),
        ("b/dog.wav has no samples", "b/dog.wav has no samples"),
    ],
)
def test_messages_contain_no_folder_of_this_machine(text: str, expected: str) -> None:
    assert public_text(text, {"/home/me/a/crow.wav": "a/crow.wav"}) == expected


def test_wav_files_count_clipped_samples() -> None:
    encoded = encode_wav(Waveform(np.array([0.5, 1.5, -2.0], np.float32), 8000))
    samples, _ = decoded(encoded.content)
    assert encoded.n_clipped == 2
    assert samples.tolist() == [0.5, 32767 / 32768, -1.0]
