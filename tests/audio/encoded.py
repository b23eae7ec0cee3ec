"""Sound files in memory, and how many samples are read of one."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioprobe.audio.windowing import Windowing, read_waveform, read_windows
from audioprobe.types import Clip

WHOLE = Windowing(length="whole")
ACCEPT = Windowing(length="whole", incomplete="accept")
RATE = 8000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE).astype("f4")
LENGTHS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("W64", "PCM_16"),
    ("CAF", "PCM_16"), ("AU", "PCM_16"), ("SVX", "PCM_16"), ("NIST", "PCM_16"), ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
]  # fmt: skip
"""Containers that say how long their sound is."""
Put = Callable[..., Path]
"""Write bytes to a file, by default of a name that says nothing."""


def encoded(
    kind: str, subtype: str | None = None, samples: Any = NOISE, rate: int = RATE, **options: Any
) -> bytes:
    """A file of noise, or of other samples."""
    stream = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(
        stream, "w", rate, channels, format=kind, subtype=subtype, **options
    ) as file:
        file.write(samples)
    return stream.getvalue()


def n_read(path: Path, reading: Windowing = WHOLE) -> int:
    """Samples of the file, by one piece and by windows, which must agree."""
    clip = Clip(id="sound", path=path)
    complete = read_waveform(clip, reading).samples
    windows = list(read_windows(clip, Windowing(seconds=0.5, incomplete=reading.incomplete)))
    last = windows[-1]
    end = round(last.start * last.waveform.sample_rate) + last.waveform.samples.size
    assert end == complete.size
    return complete.size


ID3 = b"ID3\4\0\0" + bytes((0, 1, 0, 0)) + b"\xff\xfb" * 8192  # cover art that looks like frames
