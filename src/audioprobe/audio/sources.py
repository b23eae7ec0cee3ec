"""Conversion of the audio that users pass (paths, arrays, data sets, ...) to clips."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from audioprobe.audio.files import READABLE_SUFFIXES, find_sounds, is_sound
from audioprobe.audio.hugging_face import (
    HFDataset,
    HFDecoder,
    clip_of_hf_sound,
    clips_of_hf_dataset,
    is_hf_sound,
)
from audioprobe.errors import InvalidInputError
from audioprobe.protocols import Dataset
from audioprobe.texts import path_on_disk
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
"""Audio that users may pass: an audio file, a folder of audio files, a clip, a waveform, a pair
(samples, sample rate in Hz), a data set with one split, a Hugging Face data set, or an audio value
of such a data set: a decoder, {"array", "sampling_rate"}, {"bytes"} or {"path"}.
"""


def clips_of(sources: Source | Iterable[Source]) -> tuple[Clip, ...]:
    """Return one clip per audio file or waveform, in order; folders are sorted by path.

    The id of a clip is its path. Audio without a path gets the id "waveform-N" or "sound-N", where
    N is the position in `sources`, from 1. Files are not opened here: a damaged file causes an
    error later, when it is read.

    Raises:
        InvalidInputError: if there is no source, if a folder contains no audio files, if a path
            does not exist and has no audio suffix, if a data set has several splits, or if two
            clips have the same id.
    """
    several = cast("Iterable[Source]", [sources] if _is_single(sources) else sources)
    clips = tuple(clip for n, source in enumerate(several, 1) for clip in _clips(source, n))
    if not clips:
        raise InvalidInputError(
            "Expected audio, got an empty list. Pass files, a folder, clips or waveforms."
        )
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise InvalidInputError(f"Two clips have the id {clip.id!r}. Pass each clip once.")
        seen.add(clip.id)
    return clips


def _is_single(source: object) -> bool:
    """Return True for one source (such as a path or an array), False for a list of sources."""
    single = str | os.PathLike | Clip | Waveform | np.ndarray  # type: ignore[type-arg]
    return (
        source is None
        or isinstance(source, single | Mapping | Dataset | HFDataset | HFDecoder)
        or _is_array_and_rate(source)
    )


def _is_array_and_rate(source: object) -> bool:
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray)


def _clips(source: Source, position: int) -> Iterator[Clip]:
    """Yield the clips of a source.

    `position` is the number of the source in the list of the user, from 1. It is used in ids and
    error messages.
    """
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
    elif isinstance(source, Mapping) and any(isinstance(v, HFDataset) for v in source.values()):
        raise InvalidInputError(
            f"Expected one split of the data set, got {', '.join(map(repr, source))}. Pass one: "
            f"dataset[{next(iter(source))!r}]."
        )
    elif _is_array_and_rate(source):
        samples, rate = cast("tuple[FloatArray, int]", source)
        yield Clip(id=f"waveform-{position}", waveform=Waveform(samples, rate))
    else:
        raise InvalidInputError(
            "Expected a path, a Clip, a Waveform, (samples, sample rate) or an audio value of "
            f"Hugging Face datasets, got {type(source).__name__} at position {position}. "
            "Pass an array with its sample rate: Waveform(samples, 16000)."
        )


def _clips_of_dataset(dataset: Dataset) -> Sequence[Clip]:
    if len(dataset.splits) != 1:
        raise InvalidInputError(
            f"Expected audio, got the data set {dataset.info.name} with the splits "
            f"{', '.join(dataset.splits)}. Pass one split: dataset.clips("
            f"{next(iter(dataset.splits), 'SPLIT')!r})."
        )
    return dataset.clips(dataset.splits[0])


def _clips_at(given: Path) -> Iterator[Clip]:
    """Yield the clips of an audio file or a folder."""
    path = path_on_disk(given)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # the name is too long, or access to a folder is denied
        raise InvalidInputError(f"{path!s:.200}: not a usable path ({error.strerror}).") from error
    if is_folder:
        files = find_sounds(path)
        if not files:
            raise InvalidInputError(
                f"{path}: expected audio files in this folder or its subfolders, got none. "
                f"Readable suffixes are {', '.join(sorted(READABLE_SUFFIXES))}."
            )
        yield from (Clip(id=file.as_posix(), path=file) for file in files)
    elif path.exists() or path.is_symlink() or is_sound(path):
        yield Clip(id=given.as_posix(), path=path)
    else:
        raise InvalidInputError(f"{path}: no such file or folder.")
