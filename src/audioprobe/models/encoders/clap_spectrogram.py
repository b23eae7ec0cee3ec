"""CLAP's spectrogram and attention masks, equal to those of transformers and several times as fast.

`ClapFeatureExtractor` transforms frame by frame in numpy and chooses parts of longer audio at
random; here frames are transformed in blocks, and the choice is deterministic.
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

BLOCK = 128  # frames per block: 1 MiB of float64, which fits into a processor's cache
TRUNCATIONS = ("fusion", "rand_trunc")
PADDINGS = ("repeatpad", "repeat", "pad")
POWER_FLOOR = 1e-10  # -100 dB (transformers' spectrogram and power_to_db)


class ClapSpectrogram:
    """Computes the model's input from samples, by the settings of an extractor.

    Audio shorter than the model's input (10 s for every published checkpoint) is repeated or padded
    as the extractor does. Of longer audio, a checkpoint without fusion gets the beginning (the
    extractor: a random part); one with fusion gets a downsampled version of all of it and three
    parts, the middle ones of those from which the extractor draws.

    Args:
        extractor: transformers' `ClapFeatureExtractor`.

    Raises:
        WeightsError: for an unknown kind of truncation or padding.
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
        """Number of frames of the model's input: 1,001 for every published checkpoint."""
        return self.n_samples // self._hop + 1

    def __call__(self, samples: npt.NDArray[np.float32]) -> Tensor:
        """Return the model's input.

        Args:
            samples: shape (n_samples,), at `sample_rate`.

        Returns:
            float32 decibels, at least -100, shape (1, n_frames, n_mels); (4, n_frames, n_mels) with
            fusion.
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
        """Samples repeated or padded to the length of the model's input, if they are shorter."""
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
        """Periodic Hann window in float64, as in the extractor.

        In float32, values next to a loud tone would differ by 0.05 dB.
        """
        return torch.hann_window(self._size, periodic=True, dtype=torch.float64)

    @cached_property
    def _matrix(self) -> Tensor:
        """Filter weights up to the last nonzero bin, shape (n_bins, n_mels)."""
        filters: npt.NDArray[np.float64] = self._filters
        n_bins = int(np.flatnonzero(filters.any(axis=1))[-1]) + 1
        return torch.from_numpy(filters[:n_bins].astype(np.float32))


def middle_starts(n_starts: int) -> tuple[int, int, int]:
    """Return the middle of each third of the possible starts of a part.

    The thirds are those of the extractor (`_random_mel_fusion`), which draws one start from each.
    """
    thirds = np.array_split(np.arange(n_starts), 3)
    front, centre, back = (int(third[len(third) // 2]) if len(third) else 0 for third in thirds)
    return front, centre, back


def mask_exactly(network: nn.Module) -> None:
    """Give masked positions an attention weight of exactly zero, which avoids denormal numbers.

    transformers adds -100 to the attention of positions from other windows. exp(-100) = 4e-44 is a
    denormal number, with which processors compute many times more slowly. Outputs stay the same bit
    for bit, and the audio encoder takes 0.6 of the time (measured on one machine). Masks are also
    computed once instead of in every pass.

    Args:
        network: `ClapModel` of transformers; changed in place.
    """
    for layer in network.modules():
        if isinstance(layer, ClapAudioLayer):
            layer.get_attn_mask = _with_infinity(layer.get_attn_mask)


def _with_infinity(make_mask: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    @cache
    def mask(height: int, width: int, *, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        finite = make_mask(height, width, dtype=dtype, device=device)
        return None if finite is None else finite.masked_fill(finite < 0, -torch.inf)

    return mask
