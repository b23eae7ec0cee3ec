"""Spectrograms of training clips, computed once and stored on disk."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Clip

_SHAPE = (1024, 128)  # frames and mel bands of LTU's encoder
_SAVE_EVERY = 64
_CARD = "spectrograms.json"

_Item: TypeAlias = tuple[tuple[str, ...], npt.NDArray[np.float16]]


class SpectrogramCache:
    """Spectrograms of clips for LTU's encoder, stored on disk in float16 (256 kB per clip).

    Args:
        clips: clips with labels.
        labels: all labels that the clips may have.
        folder: folder that only this cache uses. Spectrograms that an interrupted run stored there
            are reused.
        source: JSON data that identify the clips, such as the name of the dataset.
        workers: number of processes that compute spectrograms; 1 uses the calling process.
        progress: called after every clip.

    Attributes:
        labels: 1 where a clip has a label, otherwise 0, shape (n_clips, n_labels).

    Raises:
        InvalidInputError: if the folder contains spectrograms of another source, or if a clip has
            no labels (`Clip.labels` is None).
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        folder: str | Path,
        *,
        source: Mapping[str, object],
        workers: int = 1,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        n_done = self._n_done(source)
        columns = {label: n for n, label in enumerate(labels)}
        self._spectrograms = self._array("spectrograms", np.float16, (len(clips), *_SHAPE))
        rows = self._array("labels", np.uint8, (len(clips), len(columns)))
        missing = range(n_done, len(clips))
        items = zip(missing, _compute(clips, missing, workers), strict=True)
        for number, (clip_labels, spectrogram) in items:
            self._spectrograms[number] = spectrogram
            rows[number, [columns[label] for label in clip_labels]] = 1
            if (number + 1) % _SAVE_EVERY == 0 or number + 1 == len(clips):
                self._save(source, number + 1, rows)
            progress(ProgressEvent(stage="spectrograms", done=number + 1, total=len(clips)))
        self.labels = torch.from_numpy(np.array(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def spectrograms(self, rows: Tensor) -> Tensor:
        """Return the spectrograms of the clips with the indices `rows`.

        The result is float32 with the shape (n_rows, 1024 frames, 128 mels).
        """
        return torch.from_numpy(self._spectrograms[rows.numpy()].astype(np.float32))

    def _array(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        """Open the memory-mapped array in the file `name`.npy, and create the file if missing."""
        path = self._folder / f"{name}.npy"
        open_memmap: Any = np.lib.format.open_memmap  # has no types in older numpy
        return open_memmap(path, "r+" if path.is_file() else "w+", dtype, shape)

    def _n_done(self, source: Mapping[str, object]) -> int:
        """Return the number of spectrograms that an interrupted run has already stored.

        If there is no record of an earlier run, incomplete array files are deleted.
        """
        path = self._folder / _CARD
        if not path.is_file():
            # Only this file states which spectrograms of an earlier run are complete.
            for name in ("spectrograms.npy", "labels.npy"):
                (self._folder / name).unlink(missing_ok=True)
            return 0
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["source"] != json.loads(json.dumps(source)):
            raise InvalidInputError(
                f"{self._folder} contains spectrograms of other clips. Choose another folder."
            )
        return int(card["done"])

    def _save(self, source: Mapping[str, object], n_done: int, rows: Any) -> None:  # noqa: ANN401
        """Write the arrays, then the JSON file that states how many clips are complete."""
        self._spectrograms.flush()
        rows.flush()
        atomic_write(self._folder / _CARD, json.dumps({"source": source, "done": n_done}))


def epoch_rows(n_rows: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Return the indices of the training items in a batch; the order is shuffled in each epoch.

    Args:
        n_rows: number of items; each of them occurs once per epoch.
        batch_size: number of indices to return.
        step: index of the batch, from 0.
        seed: random seed of the orders.
    """
    places = range(step * batch_size, (step + 1) * batch_size)
    orders = {
        epoch: torch.randperm(
            n_rows, generator=torch.Generator().manual_seed(seed * 104_729 + epoch)
        )
        for epoch in {place // n_rows for place in places}
    }
    rows = [int(orders[place // n_rows][place % n_rows]) for place in places]
    return torch.tensor(rows, dtype=torch.long)


def _compute(clips: Sequence[Clip], numbers: range, workers: int) -> Iterator[_Item]:
    """Yield the labels and the spectrogram of the clips with these indices, in order."""
    if workers == 1:
        yield from (_compute_one(clips[number]) for number in numbers)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_initialize, initargs=(clips,)
    ) as pool:
        yield from pool.map(_compute_number, numbers, chunksize=8)


def _compute_one(clip: Clip) -> _Item:
    if clip.labels is None:
        raise InvalidInputError(
            f"Expected clips with labels, but clip {clip.id!r} has none. Remove it, or label it."
        )
    return clip.labels, LTU.of(read_waveform(clip)).numpy().astype(np.float16)


_CLIPS: list[Sequence[Clip]] = []  # sent to each worker process once, not with every index


def _initialize(clips: Sequence[Clip]) -> None:
    torch.set_num_threads(1)
    _CLIPS.append(clips)


def _compute_number(number: int) -> _Item:
    return _compute_one(_CLIPS[0][number])
