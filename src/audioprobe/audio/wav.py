"""Encoding of waveforms as WAV files in memory."""

import io
import wave

import numpy as np

from audioprobe.types import Waveform

_FULL_SCALE = 32768  # decoders divide 16-bit samples by this value, so they stay exact


def wav_bytes(waveform: Waveform) -> tuple[bytes, int]:
    """Return a waveform as a 16-bit WAV file, and the number of clipped samples.

    Samples are rounded to multiples of 1/32768. The rounding error is at most 1.5e-5 of full scale,
    and 0 for 16-bit recordings. Samples beyond full scale are clipped.
    """
    steps = np.rint(waveform.samples.astype(np.float64) * _FULL_SCALE)
    # +1.0 is one step above the largest value; reducing it does not count as clipping.
    n_clipped = int(np.count_nonzero((steps > _FULL_SCALE) | (steps < -_FULL_SCALE)))
    samples = np.clip(steps, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(waveform.sample_rate)
        stream.writeframes(samples.tobytes())
    return file.getvalue(), n_clipped
