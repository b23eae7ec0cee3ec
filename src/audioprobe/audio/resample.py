"""Resampling of waveforms with the package soxr."""

import soxr

from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Waveform

QUALITY = "HQ"  # soxr's default; 20-bit precision, the fastest setting above 16 bits


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Resample a waveform; if it already has the target rate, return the same object.

    Args:
        waveform: waveform of any sample rate.
        sample_rate: target rate in Hz.

    Raises:
        UnsupportedInputError: if the waveform is shorter than one sample at the new rate.
    """
    if waveform.sample_rate == sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality=QUALITY)
    if not samples.size:
        raise UnsupportedInputError(
            f"A waveform of {waveform.samples.size} samples at {waveform.sample_rate} Hz is too "
            f"short to be resampled to {sample_rate} Hz."
        )
    return Waveform(samples, sample_rate)
