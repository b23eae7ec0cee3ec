"""CLAP's spectrogram and attention masks: what transformers computes, several times as fast.

The spectrogram equals `ClapFeatureExtractor`, which transforms one frame after the other in numpy
and picks parts of longer sounds at random; here frames are transformed in blocks, and the parts are
always the same ones.
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

BLOCK = 128  # frames at a time: 1 MiB of float64, which a processor's cache holds
TRUNCATIONS = ("fusion", "rand_trunc")
PADDINGS = ("repeatpad", "repeat", "pad")
POWER_FLOOR = 1e-10  # -100 dB (transformers' spectrogram and power_to_db)


class ClapSpectrogram:
    """Samples to the model's input, by the settings of an extractor.

    A sound that fills the model's input (10 s for every published checkpoint) is taken as it is. A
    shorter one is repeated or padded as the extractor does. Of a longer one, a checkpoint without
    fusion hears the beginning (the extractor: a part at random); one with fusion is given the whole
    in brief and three parts of it, which are the middle ones of those that the extractor chooses
    from at random.

    Args:
        extractor: transformers' `ClapFeatureExtractor`.

    Raises:
        WeightsError: for a kind of truncation or padding that the extractor does not know.
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
        """Frames of the model's input: 1,001 for every published checkpoint."""
        return self.n_samples // self._hop + 1

    def __call__(self, samples: npt.NDArray[np.float32]) -> Tensor:
        """The model's input.

        Args:
            samples: shape (n_samples,), at `sample_rate`.

        Returns:
            float32 decibels, at least -100, shape (1, n_frames, n_mels); (4, n_frames, n_mels) with
            fusion.
        """
        if not self.fused:
            return self.decibels(self._fitted(samples[: self.n_samples]))[None]
        whole = self.decibels(self._fitted(samples))
        surplus = len(whole) - self.n_frames
        if surplus == 0:
            return whole.expand(4, -1, -1)
        brief = torch.nn.functional.interpolate(
            whole[None, None], size=[self.n_frames, self.n_mels], mode="bilinear"
        )
        starts = middles(surplus + 1)
        return torch.stack([brief[0, 0], *(whole[n : n + self.n_frames] for n in starts)])

    def decibels(self, samples: npt.NDArray[np.float32]) -> Tensor:
        """Mel energies, shape (1 + n_samples // hop, n_mels), float32."""
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
        """At least as long as the model's input."""
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
        """Periodic Hann window.

        In float64, to which it lifts the frames, as in the extractor: beside a loud tone, float32
        is off by 0.05 dB.
        """
        return torch.hann_window(self._size, periodic=True, dtype=torch.float64)

    @cached_property
    def _matrix(self) -> Tensor:
        """Filter weights, shape (n_bins, n_mels), up to the last bin that has any."""
        filters: npt.NDArray[np.float64] = self._filters
        n_bins = int(np.flatnonzero(filters.any(axis=1))[-1]) + 1
        return torch.from_numpy(filters[:n_bins].astype(np.float32))


def middles(n_starts: int) -> tuple[int, int, int]:
    """The middle of each third of the places where a part may begin.

    The thirds are the extractor's own (`_random_mel_fusion`), which draws one start from each.
    """
    thirds = np.array_split(np.arange(n_starts), 3)
    front, centre, back = (int(third[len(third) // 2]) if len(third) else 0 for third in thirds)
    return front, centre, back


def exclude_exactly(network: nn.Module) -> None:
    """Let excluded positions weigh exactly zero, so that no time is lost on denormal numbers.

    transformers adds -100 to the attention of positions from other windows. exp(-100) = 4e-44 is a
    denormal number, with which processors multiply many times as slowly, and nothing that a sum
    with normal numbers would notice: answers stay the same, bit for bit, and the audio encoder
    took 0.6 of the time where this was tried. The masks are also made once, not in every pass.

    Args:
        network: transformers' `ClapModel`; changed in place.
    """
    for layer in network.modules():
        if isinstance(layer, ClapAudioLayer):
            layer.get_attn_mask = _exact(layer.get_attn_mask)


def _exact(make: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    @cache
    def mask(height: int, width: int, *, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        made = make(height, width, dtype=dtype, device=device)
        return None if made is None else made.masked_fill(made < 0, -torch.inf)

    return mask
