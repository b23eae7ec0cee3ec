"""Recordings that a model was trained on, and notes about clips that were used for training."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from pydantic import StringConstraints, TypeAdapter, ValidationError

from audioprobe.errors import InvalidInputError
from audioprobe.io.config import error_message
from audioprobe.io.text_table import printable
from audioprobe.types import Float64Array

TRAINING_DATA = "training_data.csv"
"""File name of the table of training recordings in a model's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecording:
    """A recording that a model was trained on, with data by which copies of it are recognised.

    Attributes:
        recording: name of the recording.
        n_bytes: size of the file.
        sha256: SHA-256 of the file (64 hexadecimal digits).
        sample_rate: sample rate in Hz; 0 if it is not known.
        n_frames: number of samples per channel; 0 if it is not known.
        shape: loudness over time, as hexadecimal digits, to recognise copies in another audio
            format (see `audio.training_clips`); "" if it is not known.
    """

    recording: str
    n_bytes: int
    sha256: Annotated[str, StringConstraints(pattern="^[0-9A-Fa-f]{64}$", to_lower=True)]
    sample_rate: int = 0
    n_frames: int = 0
    shape: Annotated[str, StringConstraints(pattern="^([0-9A-Fa-f]{2})*$")] = ""

    @property
    def seconds(self) -> float:
        """Duration of the recording in seconds; 0 if it is not known."""
        return self.n_frames / self.sample_rate if self.sample_rate else 0.0


_RECORDING = TypeAdapter(TrainingRecording)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The recordings that a model was trained on.

    Attributes:
        model: name of the model.
        recordings: all training recordings.
    """

    model: str
    recordings: tuple[TrainingRecording, ...]

    @cached_property
    def sizes(self) -> frozenset[int]:
        """Set of the file sizes of the recordings, in bytes."""
        return frozenset(recording.n_bytes for recording in self.recordings)

    @cached_property
    def hashes(self) -> frozenset[str]:
        """Set of the SHA-256 digests of the recordings (64 hexadecimal digits each)."""
        return frozenset(recording.sha256 for recording in self.recordings)

    @cached_property
    def seconds(self) -> Float64Array:
        """Durations of the recordings in seconds, shape (n_recordings,)."""
        return np.array([recording.seconds for recording in self.recordings], dtype=np.float64)

    @classmethod
    def from_csv(cls, path: str | Path, model: str) -> "TrainingData":
        """Read a CSV table that `to_csv` wrote; the columns after `sha256` may be missing.

        Args:
            path: path of the table.
            model: name of the model.

        Raises:
            InvalidInputError: if the table cannot be read, or if a cell is invalid.
        """
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InvalidInputError(f"{path}: cannot be read as CSV ({error}).") from error
        recordings = []
        for line, row in enumerate(rows, 2):
            cells = {f.name: row[f.name] for f in fields(TrainingRecording) if row.get(f.name)}
            try:
                recordings.append(_RECORDING.validate_python(cells))
            except ValidationError as error:
                place = f"{path}, line {line}"
                message = error_message(error, TrainingRecording, cells, place)
                raise InvalidInputError(message) from error
        return cls(model, tuple(recordings))

    def to_csv(self, path: str | Path) -> None:
        """Write a table with one row per recording."""
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(field.name for field in fields(TrainingRecording))
            writer.writerows(astuple(recording) for recording in self.recordings)

    def joined(self, others: Iterable[TrainingRecording]) -> "TrainingData":
        """Return training data that also contain the recordings of a later fine-tuning.

        Of recordings with the same SHA-256, only one is listed.
        """
        by_hash = {recording.sha256: recording for recording in (*self.recordings, *others)}
        return TrainingData(self.model, tuple(by_hash.values()))


@runtime_checkable
class KnownTrainingData(Protocol):
    """Interface of models that know which recordings they were trained on."""

    @property
    def training_data(self) -> TrainingData | None:
        """The recordings that the model was trained on; None if unknown."""
        ...


def training_data_of(component: object) -> TrainingData | None:
    """Return the training data of a component, or None if they are unknown."""
    return component.training_data if isinstance(component, KnownTrainingData) else None


def training_notes(training_clips: Mapping[str, tuple[str, ...]], n_clips: int) -> list[str]:
    """Return, for each model trained on evaluated clips, a sentence with the number of these clips.

    Args:
        training_clips: ids of the clips that each model was trained on, by name of the model.
        n_clips: number of evaluated clips.
    """
    return [
        f"{len(clips)} of {n_clips} clips {'was' if len(clips) == 1 else 'were'} used to train "
        f"{printable(model)}"
        for model, clips in training_clips.items()
        if clips
    ]
