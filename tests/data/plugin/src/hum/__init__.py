"""A backend as a third party writes it: one class, one entry point, no base class."""

from collections.abc import Iterable, Iterator

import numpy as np

from audioprobe.types import ComponentInfo, FloatArray, Waveform


class Hum:
    """Loudness and zero crossings of every 100 ms."""

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = float(gain)

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("encoder", "hum", "1", {"gain": self._gain})

    def encode(self, waveforms: Iterable[Waveform]) -> Iterator[FloatArray]:
        for waveform in waveforms:
            size = max(1, waveform.sample_rate // 10)
            n_frames = -(-waveform.samples.size // size)
            padded = np.pad(waveform.samples, (0, n_frames * size - waveform.samples.size))
            frames = self._gain * padded.reshape(n_frames, size)
            loudness = np.sqrt((frames**2).mean(axis=1))
            crossings = (np.diff(np.sign(frames), axis=1) != 0).mean(axis=1)
            yield np.stack([loudness, crossings], axis=1).astype(np.float32)
