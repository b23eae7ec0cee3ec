"""Measurement of how much of long audio the processor of a model drops."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from audioprobe.types import FloatArray

_TAIL = 800  # samples (50 ms at 16 kHz); framing drops fewer samples than this
_RESOLUTION = 32  # samples (2 ms at 16 kHz): accuracy of the measured length


class TruncationDetector:
    """Measurement of how many samples at the end of audio a processor drops.

    Processors drop the end of long audio without a warning, and their maximum lengths differ. The
    detector replaces the end of the audio by noise: if the model's input does not change, the
    processor drops these samples.

    Args:
        features: function that returns the model's input for audio.
    """

    def __init__(self, features: Callable[[FloatArray], Mapping[str, Tensor]]) -> None:
        self._features = features
        self._longest_untruncated = 0
        self._limit: int | None = None

    def n_truncated(self, audio: FloatArray) -> int:
        """Return the number of samples that the processor drops from audio of any length."""
        if self._limit is not None:
            return max(0, len(audio) - self._limit)
        if len(audio) <= max(self._longest_untruncated, 2 * _TAIL):
            return 0
        features = self._features(audio)
        used, unused = 0, len(audio) - _TAIL
        if self._uses_samples_from(unused, audio, features):
            self._longest_untruncated = len(audio)
            return 0
        while unused - used > _RESOLUTION:  # bisection
            middle = (used + unused) // 2
            if self._uses_samples_from(middle, audio, features):
                used = middle
            else:
                unused = middle
        self._limit = unused
        return len(audio) - unused

    def _uses_samples_from(
        self, start: int, audio: FloatArray, features: Mapping[str, Tensor]
    ) -> bool:
        """Return whether the model's input changes if noise replaces all samples after `start`."""
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(audio) - start)
        changed = self._features(np.concatenate([audio[:start], noise.astype(audio.dtype)]))
        return any(
            features[name].shape != changed[name].shape
            or not torch.equal(features[name], changed[name])
            for name in features
        )
