"""Inputs of the audio encoder for training clips, computed once and stored on disk."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.parsing import parse_json
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Clip, Option, Waveform

_SAVE_EVERY = 64
_CARD = "features.json"

_Item: TypeAlias = tuple[tuple[str, ...], npt.NDArray[np.float16]]


class FeatureExtractor(Protocol):
    """Converter from audio to the input of a model's audio encoder; processes can pickle it.

    The audio front ends of LTU (`models.ltu.audio_frontend`) implement this protocol.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one clip, such as (1024 frames, 128 mels)."""
        ...

    @property
    def options(self) -> Mapping[str, Option]:
        """Settings that determine the features, such as the revision of a frozen encoder."""
        ...

    def __call__(self, waveform: Waveform) -> Tensor:
        """Return the features of a waveform, shape (1, *shape)."""
        ...


class FeatureCache:
    """Features of clips, stored on disk in float16.

    A spectrogram of LTU uses 256 kB, the features of YAMNet at LTU's token rate 61 kB.

    Args:
        clips: clips with labels.
        labels: all labels that the clips may have.
        folder: folder that only this cache uses. Features that an interrupted run stored there are
            reused, also if the number of clips is another one now.
        extractor: converter from audio to features.
        source: JSON data that identify the clips, such as the name of the dataset.
        workers: number of processes that compute features; 1 uses the calling process.
        progress: called after every clip.

    Attributes:
        labels: 1 where a clip has a label, otherwise 0, shape (n_clips, n_labels).

    Raises:
        InvalidInputError: if the folder contains features of another source or extractor, or if a
            clip has no labels (`Clip.labels` is None).
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        folder: str | Path,
        extractor: FeatureExtractor,
        *,
        source: Mapping[str, object],
        workers: int = 1,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._card = json.loads(
            json.dumps({"source": source, "shape": extractor.shape, **extractor.options})
        )
        n_done = self._n_done()
        columns = {label: n for n, label in enumerate(labels)}
        self._features = self._array("features", np.float16, (len(clips), *extractor.shape))
        rows = self._array("labels", np.uint8, (len(clips), len(columns)))
        missing = range(n_done, len(clips))
        items = zip(missing, _compute(clips, missing, extractor, workers), strict=True)
        for number, (clip_labels, features) in items:
            self._features[number] = features
            rows[number, [columns[label] for label in clip_labels]] = 1
            if (number + 1) % _SAVE_EVERY == 0 or number + 1 == len(clips):
                self._save(number + 1, rows)
            progress(ProgressEvent(stage="features", done=number + 1, total=len(clips)))
        self.labels = torch.from_numpy(np.array(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def features(self, rows: Tensor) -> Tensor:
        """Return the features of the clips with the indices `rows`.

        The result is float32 with the shape (n_rows, *shape of one clip's features).
        """
        return torch.from_numpy(self._features[rows.numpy()].astype(np.float32))

    def _array(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        """Open the memory-mapped array in the file `name`.npy, and create the file if missing.

        An array of an earlier run may have more rows, which are not used, or fewer, which are
        copied.
        """
        path = self._folder / f"{name}.npy"
        open_memmap: Any = np.lib.format.open_memmap  # has no types in older numpy
        if not path.is_file():
            return open_memmap(path, "w+", dtype, shape)
        stored = open_memmap(path, "r+")
        if len(stored) < shape[0]:
            longer = self._folder / f"{name}.longer.npy"
            array = open_memmap(longer, "w+", dtype, shape)
            array[: len(stored)] = stored
            array.flush()
            longer.replace(path)
            return array
        return stored[: shape[0]]

    def _n_done(self) -> int:
        """Return the number of clips whose features an interrupted run has already stored.

        If there is no record of an earlier run, incomplete array files are deleted.
        """
        path = self._folder / _CARD
        if not path.is_file():
            # Only this file states which features of an earlier run are complete.
            for name in ("features.npy", "labels.npy"):
                (self._folder / name).unlink(missing_ok=True)
            return 0
        try:
            card = dict(parse_json(path.read_text(encoding="utf-8")))
            done = int(card.pop("done"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"{path}: expected the record of stored features, got a damaged file ({error!r}). "
                "Delete this file to compute the features again."
            ) from error
        if card != self._card:
            raise InvalidInputError(
                f"{self._folder} contains features of other clips, or of another audio encoder. "
                "Choose another folder."
            )
        return done

    def _save(self, n_done: int, rows: Any) -> None:  # noqa: ANN401
        """Write the arrays, then the JSON file that states how many clips are complete."""
        self._features.flush()
        rows.flush()
        atomic_write(self._folder / _CARD, json.dumps({**self._card, "done": n_done}))


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


def _compute(
    clips: Sequence[Clip], numbers: range, extractor: FeatureExtractor, workers: int
) -> Iterator[_Item]:
    """Yield the labels and the features of the clips with these indices, in order."""
    if workers == 1:
        yield from (_compute_one(clips[number], extractor) for number in numbers)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_initialize, initargs=(clips, extractor)
    ) as pool:
        yield from pool.map(_compute_number, numbers, chunksize=8)


def _compute_one(clip: Clip, extractor: FeatureExtractor) -> _Item:
    if clip.labels is None:
        raise InvalidInputError(
            f"Expected clips with labels, but clip {clip.id!r} has none. Remove it, or label it."
        )
    return clip.labels, extractor(read_waveform(clip))[0].cpu().numpy().astype(np.float16)


_WORK: list[tuple[Sequence[Clip], FeatureExtractor]] = []  # sent to each process once


def _initialize(clips: Sequence[Clip], extractor: FeatureExtractor) -> None:
    torch.set_num_threads(1)
    _WORK.append((clips, extractor))


def _compute_number(number: int) -> _Item:
    clips, extractor = _WORK[0]
    return _compute_one(clips[number], extractor)
