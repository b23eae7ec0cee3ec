"""CLAP's spectrogram and attention masks, computed faster than in transformers.

`ClapFeatureExtractor` of transformers computes frame by frame in numpy, and chooses parts of long
audio at random. Here, frames are computed in blocks, and the parts have fixed positions.
"""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers.models.clap.modeling_clap import ClapAudioLayer

from audioprobe.errors import WeightsError

BLOCK = 128  # frames per block: 1 MiB of float64, which fits into a CPU cache
TRUNCATIONS = ("fusion", "rand_trunc")
PADDINGS = ("repeatpad", "repeat", "pad")
POWER_FLOOR = 1e-10  # -100 dB, as in transformers


class ClapSpectrogram:
    """Conversion of samples to CLAP's input, with the settings of `ClapFeatureExtractor`.

    Audio shorter than the model's input (10 s for all published checkpoints) is repeated or padded,
    as `ClapFeatureExtractor` does. If audio is longer, checkpoints without fusion use its beginning
    (`ClapFeatureExtractor` chooses a random part). Checkpoints with fusion use a downsampled
    version of the whole audio and three parts at fixed positions (see `middle_starts`).

    Args:
        extractor: `ClapFeatureExtractor` of transformers.

    Raises:
        WeightsError: if the extractor has an unknown kind of truncation or padding.
    """

    def __init__(self, extractor: Any) -> None:  # noqa: ANN401 - transformers has no types
        for name, known in (("truncation", TRUNCATIONS), ("padding", PADDINGS)):
            if getattr(extractor, name) not in known:
                raise WeightsError(
                    f"preprocessor_config.json: {name} must be one of {', '.join(known)}, found "
                    f"{getattr(extractor, name)!r}."
                )
        self.sample_rate: int = extractor.sampling_rate
        self.fused: bool = extractor.truncation == "fusion"
        self.n_samples: int = extractor.nb_max_samples
        self.n_mels: int = extractor.feature_size
        self._padding: str = extractor.padding
        self._size: int = extractor.fft_window_size
        self._hop: int = extractor.hop_length
        self._filters = extractor.mel_filters if self.fused else extractor.mel_filters_slaney

    @property
    def n_frames(self) -> int:
        """Number of frames of the model's input (1,001 for all published checkpoints)."""
        return self.n_samples // self._hop + 1

    def __call__(self, samples: npt.NDArray[np.float32]) -> Tensor:
        """Return CLAP's input for a clip.

        Args:
            samples: the clip at `sample_rate`, shape (n_samples,).

        Returns:
            Mel energies in dB, at least -100, float32, shape (1, n_frames, n_mels); with fusion,
            shape (4, n_frames, n_mels).
        """
        if not self.fused:
            return self.decibels(self._fitted(samples[: self.n_samples]))[None]
        spectrogram = self.decibels(self._fitted(samples))
        surplus = len(spectrogram) - self.n_frames
        if surplus == 0:
            return spectrogram.expand(4, -1, -1)
        downsampled = torch.nn.functional.interpolate(
            spectrogram[None, None], size=[self.n_frames, self.n_mels], mode="bilinear"
        )
        starts = middle_starts(surplus + 1)
        return torch.stack(
            [downsampled[0, 0], *(spectrogram[n : n + self.n_frames] for n in starts)]
        )

    def decibels(self, samples: npt.NDArray[np.float32]) -> Tensor:
        """Return mel energies in dB, float32, shape (1 + n_samples // hop, n_mels)."""
        margin = self._size // 2
        wave = torch.from_numpy(np.pad(samples, margin, mode="reflect"))
        frames = wave.unfold(0, self._size, self._hop)
        features = torch.empty(len(frames), self.n_mels)
        window, matrix = self._window, self._matrix
        for rows, block in zip(
            torch.split(features, BLOCK), torch.split(frames, BLOCK), strict=True
        ):
            spectrum = torch.view_as_real(torch.fft.rfft(block * window)[:, : len(matrix)])
            squares = spectrum.square()
            torch.mm((squares[..., 0] + squares[..., 1]).float(), matrix, out=rows)
        return features.clamp_(min=POWER_FLOOR).log10_().mul_(10)

    def _fitted(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Repeat or pad short audio to the length of the model's input; do not cut long audio."""
        missing = self.n_samples - samples.size
        if missing <= 0:
            return samples
        if self._padding == "repeat":
            return np.resize(samples, self.n_samples)
        n_repeats = self.n_samples // samples.size if self._padding == "repeatpad" else 1
        repeated = np.tile(samples, n_repeats)
        return np.pad(repeated, (0, self.n_samples - repeated.size))

    @cached_property
    def _window(self) -> Tensor:
        """Periodic Hann window in float64, as in `ClapFeatureExtractor`.

        With float32, mel energies near a loud tone would differ from its results by 0.05 dB.
        """
        return torch.hann_window(self._size, periodic=True, dtype=torch.float64)

    @cached_property
    def _matrix(self) -> Tensor:
        """Mel filter weights up to the last nonzero frequency bin, shape (n_bins, n_mels)."""
        filters: npt.NDArray[np.float64] = self._filters
        n_bins = int(np.flatnonzero(filters.any(axis=1))[-1]) + 1
        return torch.from_numpy(filters[:n_bins].astype(np.float32))


def middle_starts(n_starts: int) -> tuple[int, int, int]:
    """Return the first frames of the three parts of a long clip that fusion combines.

    The possible first frames, 0 to n_starts - 1, are divided into thirds. The result is the middle
    of each third. transformers (`_random_mel_fusion`) chooses a random frame of each third.
    """
    thirds = np.array_split(np.arange(n_starts), 3)
    front, centre, back = (int(third[len(third) // 2]) if len(third) else 0 for third in thirds)
    return front, centre, back


def mask_exactly(network: nn.Module) -> None:
    """Make the attention weights of masked positions exactly zero, which is faster.

    transformers adds -100 to the attention logits of masked positions. exp(-100) = 4e-44 is a
    denormal number in float32, with which CPUs compute many times more slowly. With zeros, outputs
    are equal bit for bit, and the audio encoder needs 60 % of the time (measured on one machine).
    Masks are also computed once instead of in every forward pass.

    Args:
        network: `ClapModel` of transformers; changed in place.
    """
    for layer in network.modules():
        if isinstance(layer, ClapAudioLayer):
            layer.get_attn_mask = _with_infinity(layer.get_attn_mask)


def _with_infinity(make_mask: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    """Return a function like `make_mask`, but with masks that contain -inf instead of -100."""

    @cache
    def mask(height: int, width: int, *, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        finite = make_mask(height, width, dtype=dtype, device=device)
        return None if finite is None else finite.masked_fill(finite < 0, -torch.inf)

    return mask
