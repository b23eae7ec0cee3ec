"""Augmentation of spectrograms: mixing, level, spectral tilt, time and frequency masks.

The functions take LTU's normalised spectrograms and do not change frames that are padding, except
that masks may cover them.
"""

import math

import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU

_LOG_ENERGY_PER_DB = math.log(10) / 10
_PADDING = -LTU.mean / LTU.scale  # normalised value of padding
_TIME_MASK, _MEL_MASK = 192, 32  # widest masks in frames and mels, as for AST (Gong et al., 2021)

_MIX_SHARE = 0.3  # share of clips to which another clip is added
_MIX_LEVEL_DB = (-15.0, 0.0)  # range of the level of the added clip
_LEVEL_DB = (-15.0, 10.0)  # range of the change of level
_TILT_DB = (-10.0, 10.0)  # range of the gain of the highest mel relative to the lowest mel


def augment(
    spectrograms: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return augmented spectrograms and their labels; a mixture has the labels of both clips.

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        labels: shape (n_clips, n_labels), in [0, 1].
        generator: random generator.
    """
    mixed, mixed_labels = _mix(spectrograms, labels, generator)
    return mask_time_and_frequency(_filter(mixed, generator), generator), mixed_labels


def mask_time_and_frequency(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Return spectrograms in which one random range of frames and one of mels is 0, the mean.

    Source: SpecAugment (Park et al., 2019).

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        generator: random generator for widths and positions.
    """
    n_clips, n_frames, n_mels = spectrograms.shape
    mask = torch.zeros(n_clips, n_frames, n_mels, dtype=torch.bool)
    for size, widest, axis in ((n_frames, _TIME_MASK, 1), (n_mels, _MEL_MASK, 2)):
        width = torch.rand(n_clips, generator=generator) * min(widest, size)
        start = torch.rand(n_clips, generator=generator) * (size - width)
        position = torch.arange(size)
        inside = (position >= start[:, None]) & (position < (start + width)[:, None])
        mask |= inside[:, :, None] if axis == 1 else inside[:, None, :]
    return spectrograms.masked_fill(mask, 0.0)


def draw_patches(
    n_clips: int, n_patches: int, n_visible: int, generator: torch.Generator
) -> Tensor:
    """Return sorted indices of random visible patches per clip, shape (n_clips, n_visible)."""
    order = torch.rand(n_clips, n_patches, generator=generator).argsort(dim=1)
    return order[:, :n_visible].sort(dim=1).values


def _mix(spectrograms: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return spectrograms and labels after adding the previous clip's energy to random clips."""
    n_clips = len(spectrograms)
    chosen = torch.rand(n_clips, generator=generator) < _MIX_SHARE
    level = _uniform(n_clips, _MIX_LEVEL_DB, generator) * _LOG_ENERGY_PER_DB / LTU.scale
    padding = _padding(spectrograms)
    front = spectrograms.masked_fill(padding, -torch.inf)
    added = front.roll(1, 0) + level[:, None, None]
    # Normalisation subtracts the same mean from both terms and from their sum.
    sums = torch.logaddexp(front * LTU.scale, added * LTU.scale) / LTU.scale
    sums = torch.where(padding & padding.roll(1, 0), _PADDING, sums)
    mixed = torch.where(chosen[:, None, None], sums, spectrograms)
    both = torch.where(chosen[:, None], labels.maximum(labels.roll(1, 0)), labels)
    return mixed, both


def _filter(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Return spectrograms with a randomly changed level and spectral tilt."""
    n_clips, _, n_mels = spectrograms.shape
    level = _uniform(n_clips, _LEVEL_DB, generator)[:, None]
    tilt = _uniform(n_clips, _TILT_DB, generator)[:, None] * torch.linspace(-0.5, 0.5, n_mels)
    change = (level + tilt) * _LOG_ENERGY_PER_DB / LTU.scale
    return torch.where(_padding(spectrograms), spectrograms, spectrograms + change[:, None, :])


def _padding(spectrograms: Tensor) -> Tensor:
    """Return which frames are padding, shape (n_clips, n_frames, 1); float16 rounds their value."""
    return ((spectrograms - _PADDING).abs() < 1e-3).all(dim=2, keepdim=True)


def _uniform(n: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (bounds[1] - bounds[0]) + bounds[0]
