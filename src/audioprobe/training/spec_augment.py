"""Other views of spectrograms: mixed, louder, through another microphone, with gaps.

On LTU's normalised spectrograms; frames that are padding stay padding.
"""

import math

import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU

_NEPER = math.log(10) / 10  # of energy, in a decibel
_PADDING = -LTU.mean / LTU.scale  # what zeros before normalising become
_TIME_MASK, _MEL_MASK = 192, 32  # widest masks, in frames and mels, as for AST (Gong et al., 2021)

_MIXED = 0.3  # share of clips that get another one behind them
_BEHIND_DB = (-15.0, 0.0)
_LEVEL_DB = (-15.0, 10.0)
_TILT_DB = (-10.0, 10.0)  # from the lowest to the highest mel


def view(spectrograms: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Another view of a batch, and its labels: those of both where two clips are mixed.

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        labels: shape (n_clips, n_labels), in [0, 1].
        generator: for everything that is drawn.
    """
    mixed, both = _mix(spectrograms, labels, generator)
    return masked(_filter(mixed, generator), generator), both


def masked(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """A stretch of time and a band of mels of each clip set to the mean, 0 (Park et al., 2019).

    Args:
        spectrograms: shape (n_clips, n_frames, n_mels), normalised.
        generator: for widths and places.
    """
    n_clips, n_frames, n_mels = spectrograms.shape
    hidden = torch.zeros(n_clips, n_frames, n_mels, dtype=torch.bool)
    for size, widest, axis in ((n_frames, _TIME_MASK, 1), (n_mels, _MEL_MASK, 2)):
        width = torch.rand(n_clips, generator=generator) * min(widest, size)
        start = torch.rand(n_clips, generator=generator) * (size - width)
        place = torch.arange(size)
        inside = (place >= start[:, None]) & (place < (start + width)[:, None])
        hidden |= inside[:, :, None] if axis == 1 else inside[:, None, :]
    return spectrograms.masked_fill(hidden, 0.0)


def kept_patches(n_clips: int, n_patches: int, n_kept: int, generator: torch.Generator) -> Tensor:
    """Which patches an encoder sees of each clip, in their order; shape (n_clips, n_kept)."""
    order = torch.rand(n_clips, n_patches, generator=generator).argsort(dim=1)
    return order[:, :n_kept].sort(dim=1).values


def _mix(spectrograms: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Add the energy of the clip before, at a lower level, to some of the clips."""
    n_clips = len(spectrograms)
    chosen = torch.rand(n_clips, generator=generator) < _MIXED
    level = _drawn(n_clips, _BEHIND_DB, generator) * _NEPER / LTU.scale
    padding = _padding(spectrograms)
    front = spectrograms.masked_fill(padding, -torch.inf)
    behind = front.roll(1, 0) + level[:, None, None]
    # Both have the mean subtracted, and so has their sum.
    sums = torch.logaddexp(front * LTU.scale, behind * LTU.scale) / LTU.scale
    sums = torch.where(padding & padding.roll(1, 0), _PADDING, sums)
    mixed = torch.where(chosen[:, None, None], sums, spectrograms)
    both = torch.where(chosen[:, None], labels.maximum(labels.roll(1, 0)), labels)
    return mixed, both


def _filter(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Louder or softer, and brighter or darker."""
    n_clips, _, n_mels = spectrograms.shape
    level = _drawn(n_clips, _LEVEL_DB, generator)[:, None]
    tilt = _drawn(n_clips, _TILT_DB, generator)[:, None] * torch.linspace(-0.5, 0.5, n_mels)
    change = (level + tilt) * _NEPER / LTU.scale
    return torch.where(_padding(spectrograms), spectrograms, spectrograms + change[:, None, :])


def _padding(spectrograms: Tensor) -> Tensor:
    """Frames that are padding, shape (n_clips, n_frames, 1); half precision rounds their value."""
    return ((spectrograms - _PADDING).abs() < 1e-3).all(dim=2, keepdim=True)


def _drawn(n: int, within: tuple[float, float], generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (within[1] - within[0]) + within[0]
