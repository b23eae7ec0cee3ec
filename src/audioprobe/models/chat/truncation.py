"""How much of a sound reaches a model, found by changing the rest.

Processors cut long sounds without a word, each at its own length and by its own rules. Whatever the
rules are: a part that can be changed without changing the model's input is not heard.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from audioprobe.types import FloatArray

_TAIL = 800  # samples: a processor may lose less than that to its frames; 50 ms at 16 kHz
_STEP = 32  # samples: how closely the end is looked for; 2 ms at 16 kHz


class InputCoverage:
    """Remembers how much a processor hears of a sound.

    Args:
        features: what the model is given of a sound.
    """

    def __init__(self, features: Callable[[FloatArray], Mapping[str, Tensor]]) -> None:
        self._features = features
        self._heard_whole = 0
        self._limit: int | None = None

    def lost(self, sound: FloatArray) -> int:
        """How many samples at the end of a sound are not heard.

        Args:
            sound: shape (n_samples,), at the model's rate.
        """
        if self._limit is not None:
            return max(0, len(sound) - self._limit)
        if len(sound) <= max(self._heard_whole, 2 * _TAIL):
            return 0
        given = self._features(sound)
        if self._differs(sound, given, len(sound) - _TAIL):
            self._heard_whole = len(sound)
            return 0
        self._limit = self._find_end(sound, given)
        return len(sound) - self._limit

    def _find_end(self, sound: FloatArray, given: Mapping[str, Tensor]) -> int:
        """The first sample from which on changes make no difference."""
        heard, silent = 0, len(sound) - _TAIL
        while silent - heard > _STEP:
            middle = (heard + silent) // 2
            if self._differs(sound, given, middle):
                heard = middle
            else:
                silent = middle
        return silent

    def _differs(self, sound: FloatArray, given: Mapping[str, Tensor], start: int) -> bool:
        """Whether another ending, from a sample on, changes what the model is given."""
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(sound) - start)
        changed = np.concatenate([sound[:start], noise.astype(sound.dtype)])
        other = self._features(changed)
        return any(
            given[name].shape != other[name].shape or not torch.equal(given[name], other[name])
            for name in given
        )
