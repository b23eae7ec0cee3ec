"""Spectrograms of a data set on disk, computed once and read in any order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.audio.filterbank import LTU
from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import InvalidInputError
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import to_json
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.protocols import Dataset
from audioprobe.types import Clip

_SHAPE = (1024, 128)  # frames and mels: what LTU's encoder hears
_SAVE_EVERY = 64


class SpectrogramCache:
    """LTU's spectrograms of the clips of a split, in float16: 256 kB each.

    Args:
        dataset: where the clips come from; clips without labels are refused.
        split: of the data set.
        folder: of this pool alone. What an interrupted run has computed is kept.
        workers: processes that read clips and compute spectrograms; 1 is this one alone.
        progress: called after every clip, while the cache is filled.

    Attributes:
        labels: shape (n_clips, n_labels), 1 where a label is in a clip.

    Raises:
        InvalidInputError: if the folder holds another data set, or a clip has no labels.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        folder: str | Path,
        *,
        workers: int = 1,
        progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        clips = dataset.clips(split)
        card = {"dataset": json.loads(to_json(dataset.info)), "split": split, "done": 0}
        done = self._resume(card)
        names = {label: n for n, label in enumerate(dataset.labels)}
        self._spectrograms = self._array("spectrograms", np.float16, (len(clips), *_SHAPE))
        rows = self._array("labels", np.uint8, (len(clips), len(names)))
        missing = range(done, len(clips))
        heard = zip(missing, _heard(clips, missing, workers), strict=True)
        for number, (labels, spectrogram) in heard:
            self._spectrograms[number] = spectrogram
            rows[number, [names[label] for label in labels]] = 1
            if (number + 1) % _SAVE_EVERY == 0 or number + 1 == len(clips):
                self._save(card | {"done": number + 1}, rows)
            progress(ProgressEvent(stage="spectrograms", done=number + 1, total=len(clips)))
        self.labels = torch.from_numpy(np.array(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def spectrograms(self, which: Tensor) -> Tensor:
        """Of these clips, float32, shape (n, 1024, 128)."""
        return torch.from_numpy(self._spectrograms[which.numpy()].astype(np.float32))

    def _array(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        """An array that lies on disk; what is there stays."""
        path = self._folder / f"{name}.npy"
        open_memmap: Any = np.lib.format.open_memmap  # has no types in older numpy
        return open_memmap(path, "r+" if path.is_file() else "w+", dtype, shape)

    def _resume(self, card: dict[str, object]) -> int:
        path = self._folder / "pool.json"
        if not path.is_file():
            # Without a card, arrays are those of a run that saved nothing.
            for name in ("spectrograms.npy", "labels.npy"):
                (self._folder / name).unlink(missing_ok=True)
            return 0
        found = json.loads(path.read_text(encoding="utf-8"))
        done = int(found["done"])
        if found | {"done": 0} != card:
            raise InvalidInputError(
                f"{self._folder}: holds the spectrograms of another data set. Name another folder."
            )
        return done

    def _save(self, card: Mapping[str, object], rows: Any) -> None:  # noqa: ANN401
        """The card last: it says what of the arrays is whole."""
        self._spectrograms.flush()
        rows.flush()
        atomic_write(self._folder / "pool.json", json.dumps(card))


_Heard = tuple[tuple[str, ...], npt.NDArray[np.float16]]


def _heard(clips: Sequence[Clip], numbers: range, workers: int) -> Iterator[_Heard]:
    """Labels and spectrogram of each clip, in order."""
    if workers == 1:
        yield from (_hear(clips[number]) for number in numbers)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_begin, initargs=(clips,)
    ) as pool:
        yield from pool.map(_hear_number, numbers, chunksize=8)


def _hear(clip: Clip) -> _Heard:
    if clip.labels is None:
        raise InvalidInputError(f"Clip {clip.id!r} has no labels to learn from.")
    return clip.labels, LTU.of(read_waveform(clip)).numpy().astype(np.float16)


_CLIPS: list[Sequence[Clip]] = []  # of a worker: sent once, not with every number


def _begin(clips: Sequence[Clip]) -> None:
    torch.set_num_threads(1)
    _CLIPS.append(clips)


def _hear_number(number: int) -> _Heard:
    return _hear(_CLIPS[0][number])
