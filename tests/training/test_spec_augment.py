"""Changed views keep what is heard, and padding stays padding."""

import math

import pytest
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU
from audioprobe.training import spec_augment
from audioprobe.training.spec_augment import kept_patches, view

PADDING = -LTU.mean / LTU.scale


def clips(n: int = 40) -> tuple[Tensor, Tensor]:
    """Noise, each with a label of its own; the second half of every clip is padding."""
    heard = 0.2 * torch.randn(n, 64, 16, generator=torch.Generator().manual_seed(1))
    heard[:, 32:] = PADDING
    return heard, torch.eye(n)


def test_a_view_depends_on_the_generator_alone_and_differs_from_the_clip() -> None:
    heard, labels = clips()
    one, same, other = (view(heard, labels, torch.Generator().manual_seed(n)) for n in (1, 1, 2))
    assert torch.equal(one[0], same[0])
    assert not torch.equal(one[0], other[0])
    assert not torch.isclose(one[0], heard).all()


def test_a_mixed_clip_has_the_labels_and_the_energy_of_both() -> None:
    heard, labels = clips()
    mixed, both = spec_augment._mix(heard, labels, torch.Generator().manual_seed(0))
    chosen = both.sum(1) == 2
    assert 4 < int(chosen.sum()) < 25
    assert torch.equal(mixed[~chosen], heard[~chosen])
    assert torch.equal(both[~chosen], labels[~chosen])
    assert torch.equal(both[chosen], (labels + labels.roll(1, 0))[chosen])
    front, behind = (part.double() * LTU.scale for part in (heard, heard.roll(1, 0)))
    added = (mixed.double() * LTU.scale).exp() - front.exp()
    gain = (added / behind.exp())[chosen][:, :32].flatten(1)
    decibels = 10 * gain.log10()
    assert float(decibels.std(dim=1).max()) < 0.1, "one level for a whole clip"
    assert -15.1 < float(decibels.min()) < float(decibels.max()) < 0.1
    assert torch.allclose(mixed[:, 32:], torch.tensor(PADDING)), "padding of both"


def test_padding_under_sound_becomes_that_sound() -> None:
    heard, labels = clips(2)
    heard[0, 32:] = 0.5
    for seed in range(20):
        mixed, both = spec_augment._mix(heard, labels, torch.Generator().manual_seed(seed))
        if both[1].sum() == 2:
            drop = (0.5 - mixed[1, 32:]) * LTU.scale * 10 / math.log(10)
            assert 0 <= float(drop.min()) <= float(drop.max()) <= 15.1
            return
    pytest.fail("never mixed")


def test_level_and_tilt_leave_padding_alone() -> None:
    heard, _ = clips()
    found = spec_augment._filter(heard, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, 32:], heard[:, 32:])
    change = (found - heard)[:, :32] * LTU.scale * 10 / math.log(10)
    assert torch.allclose(change, change[:, :1].expand_as(change), atol=1e-3), "the same all along"
    assert -20.1 < float(change.min()) < -5
    assert 5 < float(change.max()) < 15.1


def test_patches_are_kept_in_order_and_each_once() -> None:
    kept = kept_patches(5, 32, 8, torch.Generator().manual_seed(0))
    assert kept.shape == (5, 8)
    assert bool((kept.diff(dim=1) > 0).all())
    assert len({tuple(row) for row in kept.tolist()}) == 5
    assert torch.equal(kept_patches(1, 4, 4, torch.Generator()), torch.arange(4)[None])
