"""Changed copies of recordings: lossy coding and other sample rates."""

import io

import numpy as np
import numpy.typing as npt
import soundfile

from audioprobe.audio.transforms import resample
from audioprobe.types import Waveform

Samples = npt.NDArray[np.float32]
BLOCK = 4096  # libsndfile may crash if a long Ogg file is written at once


def encoded(samples: Samples, rate: int, kind: str, subtype: str) -> tuple[Samples, int]:
    """Return samples after lossy coding at a low quality."""
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", rate, 1, subtype, format=kind, compression_level=0.8
    ) as file:
        for start in range(0, samples.size, BLOCK):
            file.write(samples[start : start + BLOCK])
    stream.seek(0)
    decoded, rate = soundfile.read(stream, dtype="float32")
    return decoded, rate


def resampled(samples: Samples, rate: int, new_rate: int) -> tuple[Samples, int]:
    """Return samples with another sample rate in Hz."""
    return resample(Waveform(samples, rate), new_rate).samples, new_rate
