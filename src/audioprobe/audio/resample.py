"""Any sample rate to any other, with soxr."""

import soxr

from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Waveform

QUALITY = "HQ"  # soxr's default: 20-bit precision, the fastest setting above 16-bit material


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """The same sound at another rate.

    Args:
        waveform: any rate.
        sample_rate: the rate wanted, Hz.

    Returns:
        The waveform itself if it has this rate already.

    Raises:
        UnsupportedInputError: if the sound is so short that no sample is left at the new rate.
    """
    if waveform.sample_rate == sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality=QUALITY)
    if not samples.size:
        raise UnsupportedInputError(
            f"A sound of {waveform.samples.size} samples at {waveform.sample_rate} Hz is too short "
            f"to be resampled to {sample_rate} Hz."
        )
    return Waveform(samples, sample_rate)
