"""Spectrograms are computed once, and batches go through all rows before any is repeated."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe import Synthetic
from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_frontend import SpectrogramFrontend
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.feature_cache import FeatureCache, epoch_rows


def cached(
    folder: Path, n_clips: int, progress: ProgressCallback = ignore_progress
) -> FeatureCache:
    scenes = Synthetic(n_clips=n_clips, max_sources=1, palette=("owl", "clock"), seconds=1.0)
    source = {"n_clips": n_clips}
    return FeatureCache(
        scenes.clips("test"),
        scenes.labels,
        folder,
        SpectrogramFrontend(),
        source=source,
        progress=progress,
    )


def test_interrupted_cache_is_resumed(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(event: ProgressEvent) -> None:
        if event.done == 67:
            raise StopError

    with pytest.raises(StopError):
        cached(tmp_path / "resumed", 70, stop)
    done: list[int] = []
    resumed = cached(tmp_path / "resumed", 70, lambda event: done.append(event.done))
    assert done == list(range(65, 71)), "stored features are not computed again"
    complete, rows = cached(tmp_path / "complete", 70), torch.arange(70)
    assert torch.equal(resumed.features(rows), complete.features(rows))
    assert torch.equal(resumed.labels, complete.labels)
    assert complete.labels.sum(1).tolist() == [1] * 70
    with pytest.raises(InvalidInputError, match="of other clips"):
        cached(tmp_path / "complete", 71)


def test_another_number_of_the_same_clips_reuses_stored_features(tmp_path: Path) -> None:
    scenes = Synthetic(n_clips=8, max_sources=1, palette=("owl", "clock"), seconds=1.0)

    def of_first(n: int, folder: str) -> tuple[FeatureCache, list[int]]:
        done: list[int] = []
        clips = [scenes.clips("test")[k] for k in range(n)]
        cache = FeatureCache(
            clips,
            scenes.labels,
            tmp_path / folder,
            SpectrogramFrontend(),
            source={},
            progress=lambda event: done.append(event.done),
        )
        return cache, done

    complete, _ = of_first(8, "complete")
    for n, computed in ((3, [1, 2, 3]), (8, [4, 5, 6, 7, 8]), (2, []), (8, [])):
        cache, done = of_first(n, "shared")
        assert (len(cache), done) == (n, computed)
        rows = torch.arange(n)
        assert torch.equal(cache.features(rows), complete.features(rows))
        assert torch.equal(cache.labels, complete.labels[:n])


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 5))
def test_every_epoch_has_every_row_once(n_rows: int, size: int, seed: int) -> None:
    n_batches = -(-3 * n_rows // size)
    rows = torch.cat([epoch_rows(n_rows, size, step, seed) for step in range(n_batches)])
    for k in range(3):
        assert sorted(rows[k * n_rows : (k + 1) * n_rows].tolist()) == list(range(n_rows))
