"""Augmentation keeps the sources of a clip, and padding stays padding."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU
from audioprobe.small_ltu import encoder_training as training
from audioprobe.small_ltu.encoder_training import augment, draw_patches, mask_time_and_frequency

PADDING = -LTU.mean / LTU.scale


def clips(n: int = 40) -> tuple[Tensor, Tensor]:
    """Noise, each clip with a label of its own; the second half of every clip is padding."""
    spectrograms = 0.2 * torch.randn(n, 64, 16, generator=torch.Generator().manual_seed(1))
    spectrograms[:, 32:] = PADDING
    return spectrograms, torch.eye(n)


def test_augmentation_depends_on_the_generator_only() -> None:
    spectrograms, labels = clips()
    first, second, other = (
        augment(spectrograms, labels, torch.Generator().manual_seed(n)) for n in (1, 1, 2)
    )
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], other[0])
    assert not torch.isclose(first[0], spectrograms).all()


def test_mixed_clip_has_labels_and_energy_of_both() -> None:
    spectrograms, labels = clips()
    mixed, both = training._mix(spectrograms, labels, torch.Generator().manual_seed(0))
    chosen = both.sum(1) == 2
    assert 4 < int(chosen.sum()) < 25
    assert torch.equal(mixed[~chosen], spectrograms[~chosen])
    assert torch.equal(both[~chosen], labels[~chosen])
    assert torch.equal(both[chosen], (labels + labels.roll(1, 0))[chosen])
    front, added = (s.double() * LTU.scale for s in (spectrograms, spectrograms.roll(1, 0)))
    energy = (mixed.double() * LTU.scale).exp() - front.exp()
    decibels = 10 * (energy / added.exp())[chosen][:, :32].flatten(1).log10()
    assert float(decibels.std(dim=1).max()) < 0.1, "one level per clip"
    assert -15.1 < float(decibels.min()) < float(decibels.max()) < 0.1
    assert torch.allclose(mixed[:, 32:], torch.tensor(PADDING)), "padding of both"


def test_audio_added_to_padding_replaces_it() -> None:
    spectrograms, labels = clips(2)
    spectrograms[0, 32:] = 0.5
    for seed in range(20):
        mixed, both = training._mix(spectrograms, labels, torch.Generator().manual_seed(seed))
        if both[1].sum() == 2:
            drop = (0.5 - mixed[1, 32:]) * LTU.scale * 10 / math.log(10)
            assert 0 <= float(drop.min()) <= float(drop.max()) <= 15.1
            return
    pytest.fail("no seed mixed the clip")


def test_level_and_tilt_do_not_change_padding() -> None:
    spectrograms, _ = clips()
    filtered = training._filter(spectrograms, torch.Generator().manual_seed(0))
    assert torch.equal(filtered[:, 32:], spectrograms[:, 32:])
    change = (filtered - spectrograms)[:, :32] * LTU.scale * 10 / math.log(10)
    assert torch.allclose(change, change[:, :1].expand_as(change), atol=1e-3), "equal in all frames"
    assert -20.1 < float(change.min()) < -5
    assert 5 < float(change.max()) < 15.1


def test_visible_patches_are_sorted_and_distinct() -> None:
    patches = draw_patches(5, 32, 8, torch.Generator().manual_seed(0))
    assert patches.shape == (5, 8)
    assert bool((patches.diff(dim=1) > 0).all())
    assert len({tuple(row) for row in patches.tolist()}) == 5
    assert torch.equal(draw_patches(1, 4, 4, torch.Generator()), torch.arange(4)[None])


def test_mask_is_one_range_of_frames_and_one_of_mels() -> None:
    ones = torch.ones(20, 1024, 128)
    masked = mask_time_and_frequency(ones, torch.Generator().manual_seed(0))
    assert bool(((masked == 0) | (masked == 1)).all())
    mask = masked == 0
    frames, mels = mask.all(2), mask.all(1)
    assert torch.equal(mask, frames[:, :, None] | mels[:, None, :])
    assert int(frames.sum(1).max()) <= 193
    assert int(mels.sum(1).max()) <= 33
    starts = np.diff(frames.int().numpy(), axis=1) == 1
    assert (starts.sum(1) <= 1).all(), "contiguous"
