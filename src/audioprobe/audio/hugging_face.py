"""Conversion of Hugging Face data sets and their audio values to clips.

The package `datasets` is not imported; its objects are recognised by their methods.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np

from audioprobe.audio.windowing import read_waveform
from audioprobe.errors import AudioReadError, InvalidInputError
from audioprobe.types import Clip, Waveform

_AUDIO_KEYS = ("array", "raw", "bytes", "path", "audio")
_LABEL_COLUMNS = ("labels", "label")
_ADVICE = "Repair the row, or leave it out with dataset.select(...)."


@runtime_checkable
class HFDecoder(Protocol):
    """Interface of torchcodec's decoder, the type of audio in recent versions of `datasets`."""

    def get_all_samples(self) -> Any:  # noqa: ANN401 - a class of torchcodec
        """Return `data`, shape (n_channels, n_samples), and `sample_rate` in Hz."""
        ...


@runtime_checkable
class HFDataset(Protocol):
    """Interface of `datasets.Dataset` and `datasets.IterableDataset`."""

    features: Mapping[str, Any] | None

    def cast_column(self, column: str, feature: object, /) -> Self:
        """Return the data set with a column converted to another type."""
        ...

    def select_columns(self, column_names: list[str], /) -> Self:
        """Return the data set with only the given columns."""
        ...

    def with_format(self, name: None, /) -> Self:
        """Return the data set with rows of Python objects, the default format."""
        ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Iterate over the rows."""
        ...


def is_hf_sound(source: object) -> TypeGuard[Mapping[str, object] | HFDecoder]:
    """Return whether an object is a Hugging Face audio value (a dictionary or a decoder)."""
    if isinstance(source, Mapping):
        return any(key in source for key in _AUDIO_KEYS)
    return isinstance(source, HFDecoder)


def clip_of_hf_sound(sound: object, place: str, labels: tuple[str, ...] | None = None) -> Clip:
    """Convert a Hugging Face audio value to a clip.

    Args:
        sound: {"array", "sampling_rate"} or {"raw", "sampling_rate"} with float samples of shape
            (n_samples,), {"bytes", "path"}, {"path"}, a row {"audio": one of these}, or a decoder
            with `get_all_samples()`, whose channels are averaged.
        place: name of the value in messages; also the id of the clip if the value has no path.
        labels: labels of the clip; None if it was not annotated.

    Raises:
        InvalidInputError: if the value contains no audio, or audio that cannot be decoded.
    """
    if isinstance(sound, Mapping) and "audio" in sound:
        sound = sound["audio"]
    if isinstance(sound, HFDecoder) and not isinstance(sound, Mapping):
        return Clip(id=place, waveform=_decoded(sound, place), labels=labels)
    if not isinstance(sound, Mapping):
        raise InvalidInputError(f"{place}: expected audio, got {type(sound).__name__}. {_ADVICE}")
    path = sound.get("path")
    clip_id = str(path) if path else place
    for key in ("array", "raw"):
        if sound.get(key) is not None:
            waveform = _waveform(sound[key], sound.get("sampling_rate"), place)
            return Clip(id=clip_id, waveform=waveform, labels=labels)
    if sound.get("bytes") is not None:
        waveform = _read_bytes(sound["bytes"], Path(path or "").suffix, place)
        return Clip(id=clip_id, waveform=waveform, labels=labels)
    if not path:
        raise InvalidInputError(
            f"{place}: expected audio as {{'array', 'sampling_rate'}}, {{'bytes'}} or {{'path'}}, "
            f"got a dictionary with {sorted(map(str, sound))}. {_ADVICE}"
        )
    return Clip(id=clip_id, path=Path(path), labels=labels)


def clips_of_hf_dataset(dataset: HFDataset) -> Iterator[Clip]:
    """Yield the clips of a data set that has one `Audio` column, in order.

    Audio stored as bytes is decoded immediately; audio stored as paths is read when it is needed.
    The id of a clip is the value of the column `id`. If there is no such column, it is the path; if
    the path is missing or not unique, it is "row-" and the row number, counted from 1. Labels are
    read from the column `labels` or `label`, as strings or as indices of a `ClassLabel`; -1 means
    that the labels are unknown.

    Raises:
        InvalidInputError: if there is not exactly one `Audio` column, or if a row has no audio or
            audio that cannot be decoded.
    """
    features = dataset.features or {}
    column = _audio_column(features)
    label = next((name for name in _LABEL_COLUMNS if name in features), "")
    columns = [column, *filter(None, (label, "id" if "id" in features else ""))]
    undecoded = dataset.select_columns(columns).with_format(None)
    if features[column].decode:  # decoding would need torchcodec
        feature = replace(features[column], decode=False)
        undecoded = undecoded.cast_column(column, feature)
    clips = []
    for number, row in enumerate(undecoded, 1):
        labels = _labels(row[label], features[label], number) if label else None
        clip = clip_of_hf_sound(row[column], f"row-{number}", labels)
        if row.get("id") is not None:
            clip = replace(clip, id=str(row["id"]))
        clips.append(clip)
    n_with_id = Counter(clip.id for clip in clips)
    for number, clip in enumerate(clips, 1):
        unique = "id" in features or n_with_id[clip.id] == 1
        yield clip if unique else replace(clip, id=f"row-{number}")


def _audio_column(features: Mapping[str, object]) -> str:
    """Return the name of the only `Audio` column; raise if there are none or several."""
    columns = [name for name, feature in features.items() if type(feature).__name__ == "Audio"]
    if len(columns) != 1:
        advice = (
            "Remove the other Audio columns: dataset.remove_columns(...)."
            if columns
            else 'Mark the audio column: dataset.cast_column("audio", datasets.Audio()).'
        )
        raise InvalidInputError(
            f"Expected a data set with one Audio column, got {columns or 'none'} among the columns "
            f"{list(features)}. {advice}"
        )
    return columns[0]


def _labels(value: object, feature: object, number: int) -> tuple[str, ...] | None:
    """Convert a cell of a label column to labels; return None if the labels are unknown.

    Args:
        value: the cell: None, a string, an index of a `ClassLabel`, or a list of them.
        feature: type of the column in `datasets`; it contains the names of a `ClassLabel`.
        number: row number, for the error message.
    """
    if value is None:
        return None
    values = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    labels = []
    for item in values:
        if isinstance(item, str):
            labels.append(item)
        elif names is None or not isinstance(item, int):
            raise InvalidInputError(
                f"row-{number}: expected labels as strings or ClassLabel, got {item!r:.60}. "
                "Cast the column to ClassLabel(names=[...]), or remove it."
            )
        elif item < 0:
            return None
        else:
            labels.append(names[item])
    return tuple(labels)


def _decoded(decoder: HFDecoder, place: str) -> Waveform:
    """Decode audio, and return the mean of its channels."""
    try:
        samples = decoder.get_all_samples()
    except RuntimeError as error:
        raise InvalidInputError(
            f"{place}: cannot be decoded ({error!s:.200}). {_ADVICE}"
        ) from error
    channels = np.asarray(samples.data)
    mono = channels if channels.ndim == 1 else channels.mean(axis=0)
    return _waveform(mono, samples.sample_rate, place)


def _waveform(samples: np.typing.ArrayLike, rate: object, place: str) -> Waveform:
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or rate != int(rate):
        raise InvalidInputError(
            f"{place}: expected 'sampling_rate' as an integer in Hz, got {rate!r:.60}."
        )
    try:
        return Waveform(np.asarray(samples), int(rate))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error


def _read_bytes(content: bytes, suffix: str, place: str) -> Waveform:
    """Decode the content of an audio file; damaged content is an error, as in `read_waveform`."""
    with TemporaryDirectory(prefix="audioprobe-") as folder:
        path = Path(folder) / f"sound{suffix}"
        path.write_bytes(content)
        try:
            return read_waveform(Clip(id=place, path=path))
        except AudioReadError as error:
            cause = str(error).removeprefix(f"{path}: ")
            raise InvalidInputError(f"{place}: {cause} {_ADVICE}") from error
