"""Whatever a user passes as sound, as clips with unique ids."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from audioprobe.audio.hugging_face import (
    HFDataset,
    HFDecoder,
    clip_of_hf_sound,
    clips_of_hf_dataset,
    is_hf_sound,
)
from audioprobe.audio.search import READABLE_SUFFIXES, find_sounds, is_sound
from audioprobe.errors import InvalidInputError
from audioprobe.normalization import path_on_disk
from audioprobe.protocols import Dataset
from audioprobe.types import Clip, FloatArray, Waveform

Source: TypeAlias = (
    str
    | os.PathLike[str]
    | Clip
    | Waveform
    | tuple[FloatArray, int]
    | Dataset
    | HFDataset
    | HFDecoder
    | Mapping[str, Any]
)
"""A sound file, a folder of them, a clip, a waveform, (samples, sample rate in Hz), a data set with
one split, a data set of Hugging Face, or one of its sounds: a decoder, {"array", "sampling_rate"},
{"bytes"} or {"path"}.
"""


def clips_of(sources: Source | Iterable[Source]) -> tuple[Clip, ...]:
    """One clip per sound, in the order given; folders are searched through, sorted by path.

    A `datasets.Dataset` of Hugging Face with one `Audio` column is taken too, and its sounds:
    dictionaries and decoders.

    A clip's id is its path as given (folder and name), or its position for sounds without one.
    Files are not opened here: one that cannot be read is that clip's failure, not the run's. So are
    links to files that are gone, and sounds that must be converted first (.m4a, .wma, ...).

    Raises:
        InvalidInputError: if nothing is given, a folder holds no sound, a path does not exist and
            does not look like a sound file, a data set has several splits, or two clips have one
            id.
    """
    given = cast("Iterable[Source]", [sources] if _is_one(sources) else sources)
    clips = tuple(clip for n, source in enumerate(given, 1) for clip in _clips(source, n))
    if not clips:
        raise InvalidInputError("No sounds were given: pass files, a folder, clips or waveforms.")
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise InvalidInputError(f"Two clips have the id {clip.id!r}: pass each sound once.")
        seen.add(clip.id)
    return clips


def _is_one(source: object) -> bool:
    single = str | os.PathLike | Clip | Waveform | np.ndarray  # type: ignore[type-arg]
    return (
        source is None
        or isinstance(source, single | Mapping | Dataset | HFDataset | HFDecoder)
        or _is_array_and_rate(source)
    )


def _is_array_and_rate(source: object) -> bool:
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray)


def _clips(source: Source, position: int) -> Iterator[Clip]:
    if isinstance(source, Clip):
        yield source
    elif isinstance(source, Waveform):
        yield Clip(id=f"waveform-{position}", waveform=source)
    elif isinstance(source, str | os.PathLike):
        yield from _clips_at(Path(source))
    elif isinstance(source, Dataset):
        yield from _clips_of_dataset(source)
    elif isinstance(source, HFDataset):
        yield from clips_of_hf_dataset(source)
    elif is_hf_sound(source):
        yield clip_of_hf_sound(source, f"sound-{position}")
    elif isinstance(source, Mapping) and any(
        isinstance(value, HFDataset) for value in source.values()
    ):
        raise InvalidInputError(
            f"Expected one split of the data set, got {', '.join(map(repr, source))}. Pass one: "
            f"dataset[{next(iter(source))!r}]."
        )
    elif _is_array_and_rate(source):
        yield Clip(
            id=f"waveform-{position}", waveform=Waveform(*cast("tuple[FloatArray, int]", source))
        )
    else:
        raise InvalidInputError(
            "A sound is a path, a Clip, a Waveform, (samples, sample rate) or a dictionary of "
            f"Hugging Face datasets, got {type(source).__name__} at position {position}. "
            "For an array, say its rate: Waveform(samples, 16000)."
        )


def _clips_of_dataset(dataset: Dataset) -> Iterator[Clip]:
    if len(dataset.splits) != 1:
        raise InvalidInputError(
            f"Expected sounds, got the data set {dataset.info.name} with the splits "
            f"{', '.join(dataset.splits)}. Pass the clips of one: dataset.clips("
            f"{next(iter(dataset.splits), 'SPLIT')!r})."
        )
    yield from dataset.clips(dataset.splits[0])


def _clips_at(given: Path) -> Iterator[Clip]:
    path = path_on_disk(given)
    if _is_folder(path):
        files = find_sounds(path)
        if not files:
            raise InvalidInputError(
                f"{path}: a folder without sound files. Looked for "
                f"{', '.join(sorted(READABLE_SUFFIXES))}, also in folders below."
            )
        yield from (Clip(id=file.as_posix(), path=file) for file in files)
    elif path.exists() or path.is_symlink() or is_sound(path):
        yield Clip(id=given.as_posix(), path=path)
    else:
        raise InvalidInputError(f"{path}: no such file or folder.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise InvalidInputError(f"{path!s:.200}: not a usable path ({error.strerror}).") from error
