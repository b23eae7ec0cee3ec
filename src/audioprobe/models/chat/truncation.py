"""Measure how much audio a processor uses: replace the end, and check whether the input changes.

Processors truncate long audio silently, and each processor truncates at another length. Samples
that can be replaced without changing the model's input are not used.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from audioprobe.types import FloatArray

_TAIL = 800  # samples (50 ms at 16 kHz); framing drops fewer samples than this
_RESOLUTION = 32  # samples (2 ms at 16 kHz): accuracy of the measured length


class TruncationDetector:
    """Measurement of how many samples at the end of audio a processor drops.

    Args:
        features: function that returns the model's input for audio.
    """

    def __init__(self, features: Callable[[FloatArray], Mapping[str, Tensor]]) -> None:
        self._features = features
        self._longest_untruncated = 0
        self._limit: int | None = None

    def n_truncated(self, audio: FloatArray) -> int:
        """Return the number of dropped samples.

        Args:
            audio: shape (n_samples,), at the model's sample rate.
        """
        if self._limit is not None:
            return max(0, len(audio) - self._limit)
        if len(audio) <= max(self._longest_untruncated, 2 * _TAIL):
            return 0
        features = self._features(audio)
        if self._uses_samples_from(len(audio) - _TAIL, audio, features):
            self._longest_untruncated = len(audio)
            return 0
        self._limit = self._find_end(audio, features)
        return len(audio) - self._limit

    def _find_end(self, audio: FloatArray, features: Mapping[str, Tensor]) -> int:
        """Return the index of the first unused sample, found by bisection."""
        used, unused = 0, len(audio) - _TAIL
        while unused - used > _RESOLUTION:
            middle = (used + unused) // 2
            if self._uses_samples_from(middle, audio, features):
                used = middle
            else:
                unused = middle
        return unused

    def _uses_samples_from(
        self, start: int, audio: FloatArray, features: Mapping[str, Tensor]
    ) -> bool:
        """Return whether the features change if samples from `start` on are replaced by noise."""
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(audio) - start)
        changed = self._features(np.concatenate([audio[:start], noise.astype(audio.dtype)]))
        return any(
            features[name].shape != changed[name].shape
            or not torch.equal(features[name], changed[name])
            for name in features
        )
