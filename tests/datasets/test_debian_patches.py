"""Samples of Gravis patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.soundfonts import RATE, patch, tone

from audioprobe.datasets.debian.patches import read_patch
from audioprobe.errors import InvalidInputError

LOW, HIGH = tone(220, 0.02), tone(880, 0.01)
VALUES = np.array([-32768, -1, 0, 16384], "<i2")


def test_samples_are_returned_from_low_to_high() -> None:
    low, high = read_patch(patch((880, HIGH), (220, LOW)))
    assert (low.root_hz, high.root_hz) == (220, 880)
    assert low.rate == high.rate == RATE
    np.testing.assert_allclose(low.samples, LOW / 32768, atol=1e-7)
    np.testing.assert_allclose(high.samples, HIGH / 32768, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "modes"),
    [
        (VALUES, 1),
        ((VALUES.astype(int) + 32768).astype("<u2"), 1 | 2),
        (VALUES[::-1], 1 | 16),
        (np.array([-128, 0, 0, 64], "i1"), 0),
        (np.array([0, 128, 128, 192], "u1"), 2),
    ],
)
def test_all_encodings_are_scaled_to_one(values: np.ndarray, modes: int) -> None:
    (sample,) = read_patch(patch((440, values), modes=modes))
    np.testing.assert_allclose(sample.samples, [-1, 0, 0, 0.5], atol=1e-4)


def test_truncation_is_detected_everywhere() -> None:
    content = patch((220, LOW), (880, HIGH))
    for length in range(0, len(content), 7):
        with pytest.raises(InvalidInputError, match=r"Damaged patch|begins with"):
            read_patch(content[:length])


@given(st.binary(max_size=400))
def test_damaged_headers_raise_only_documented_errors(noise: bytes) -> None:
    content = bytearray(patch((220, LOW)))
    content[12 : 12 + len(noise)] = noise
    try:
        samples = read_patch(bytes(content))
    except InvalidInputError:
        return
    assert sum(sample.samples.size for sample in samples) <= len(content)


def test_other_files_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Gravis patch .*got .*b'RIFF"):
        read_patch(b"RIFF" + bytes(300))
    with pytest.raises(InvalidInputError, match="no samples"):
        read_patch(patch())
    with pytest.raises(InvalidInputError, match="a sample of 3 bytes"):
        read_patch(patch((220, np.zeros(3, "i1")), modes=1))
    with pytest.raises(InvalidInputError, match="sample rate below"):
        read_patch(patch((220, LOW), rate=0))
    several = bytearray(patch((220, LOW)))
    several[82] = 2
    with pytest.raises(InvalidInputError, match="got 2 with 1"):
        read_patch(bytes(several))
