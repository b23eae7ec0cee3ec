"""An encoder learns to tell synthetic sources apart; with shuffled labels it does not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioprobe import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.metrics import macro, per_label, roc_auc
from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.encoder_training import (
    Lesson,
    new_classifier,
    rows_at,
    scores,
    train_encoder,
)
from audioprobe.training.objectives import LabelLoss
from audioprobe.training.spec_augment import masked
from audioprobe.training.spectrogram_cache import SpectrogramCache
from audioprobe.training.trainer import TrainingArguments

SOURCES = ("owl", "siren", "cricket", "rain")
SMALL = CavMaeConfig(width=32, n_heads=2, n_blocks=1, mlp_width=64)
PLAN = TrainingArguments(steps=60, learning_rate=1e-2, warmup_steps=10, save_every=30)
QUICK = Lesson(PLAN, loss="softmax", single=True, views=False, batch_size=16)


def data(n_clips: int) -> Synthetic:
    return Synthetic(n_clips=n_clips, most=1, palette=SOURCES, seconds=8.0, snr_db=(20.0, 40.0))


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpectrogramCache, SpectrogramCache]:
    folder = tmp_path_factory.mktemp("pools")
    return SpectrogramCache(data(64), "train", folder / "train"), SpectrogramCache(
        data(32), "test", folder / "test"
    )


def taught(pool: SpectrogramCache, folder: Path) -> LabelLoss:
    objective = new_classifier(SMALL, pool.labels.shape[1], seed=0)
    train_encoder(objective, pool, QUICK, folder)
    return objective


def auc(objective: object, pool: SpectrogramCache) -> float:
    found = scores(objective, pool)  # type: ignore[arg-type]
    value = macro(per_label(roc_auc, pool.labels.numpy(), found.double().numpy())).value
    assert value is not None
    return value


def test_it_learns_and_shuffled_labels_teach_nothing(
    pools: tuple[SpectrogramCache, SpectrogramCache], tmp_path: Path
) -> None:
    train, test = pools
    assert auc(taught(train, tmp_path / "true"), test) > 0.8
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    true, train.labels = train.labels, train.labels[order]
    try:
        fooled = taught(train, tmp_path / "shuffled")
    finally:
        train.labels = true
    assert auc(fooled, test) < 0.7


def brief(n_clips: int) -> Synthetic:
    return Synthetic(n_clips=n_clips, most=1, palette=("owl", "clock"), seconds=1.0)


def test_a_pool_is_filled_once_and_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    seen: list[int] = []
    whole = SpectrogramCache(brief(70), "test", tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(event: ProgressEvent) -> None:
        if event.done == 67:
            raise StopError

    with pytest.raises(StopError):
        SpectrogramCache(brief(70), "test", tmp_path / "broken", progress=stop)
    again = SpectrogramCache(
        brief(70), "test", tmp_path / "broken", progress=lambda event: seen.append(event.done)
    )
    assert seen == list(range(65, 71)), "what was saved is not computed again"
    rows = torch.arange(70)
    assert torch.equal(again.spectrograms(rows), whole.spectrograms(rows))
    assert torch.equal(again.labels, whole.labels)
    assert whole.labels.sum(1).tolist() == [1] * 70
    with pytest.raises(InvalidInputError, match="another data set"):
        SpectrogramCache(brief(71), "test", tmp_path / "whole")


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 5))
def test_every_row_comes_once_before_any_comes_again(n_rows: int, size: int, seed: int) -> None:
    n_batches = -(-3 * n_rows // size)
    rows = torch.cat([rows_at(n_rows, size, number, seed) for number in range(n_batches)])
    for k in range(3):
        assert sorted(rows[k * n_rows : (k + 1) * n_rows].tolist()) == list(range(n_rows))


def test_masks_hide_one_stretch_and_one_band_and_nothing_else() -> None:
    given_clips = torch.ones(50, 1024, 128)
    found = masked(given_clips, torch.Generator().manual_seed(0))
    assert bool(((found == 0) | (found == 1)).all())
    hidden = found == 0
    frames, mels = hidden.all(2), hidden.all(1)
    assert torch.equal(hidden, frames[:, :, None] | mels[:, None, :])
    assert int(frames.sum(1).max()) <= 193
    assert int(mels.sum(1).max()) <= 33
    starts = np.diff(frames.int().numpy(), axis=1) == 1
    assert (starts.sum(1) <= 1).all(), "in one piece"
    assert torch.equal(masked(given_clips, torch.Generator().manual_seed(0)), found)
