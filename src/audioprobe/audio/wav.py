"""Sounds as WAV files in memory."""

import io
import wave

import numpy as np

from audioprobe.types import Waveform

_FULL_SCALE = 32768  # what 16-bit readers divide by, so that 16-bit recordings stay as they were


def wav_bytes(waveform: Waveform) -> tuple[bytes, int]:
    """A WAV file of 16-bit samples, which every reader of sound takes.

    Samples are rounded to the nearest multiple of 1/32768: an error of at most 1.5e-5 of full
    scale, and none for what was recorded with 16 bits. Louder samples than full scale are cut off
    there.

    Returns:
        The file, and how many samples were cut off.
    """
    steps = np.rint(waveform.samples.astype(np.float64) * _FULL_SCALE)
    # +1.0 itself is one step beyond the highest; giving it up is rounding.
    n_cut = int(np.count_nonzero((steps > _FULL_SCALE) | (steps < -_FULL_SCALE)))
    samples = np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(waveform.sample_rate)
        stream.writeframes(samples.tobytes())
    return file.getvalue(), n_cut
