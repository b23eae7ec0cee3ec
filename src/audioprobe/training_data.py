"""Recordings that a model was trained on, and clips that are among them."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import printable
from audioprobe.types import Float64Array

TRAINING_DATA = "training_data.csv"
"""Name of the table in the folder of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecording:
    """A recording that a model was trained on, by what finds it again under any name.

    Attributes:
        recording: its name, for people.
        n_bytes: size of the file.
        sha256: of the bytes of the file (64 hexadecimal digits).
        sample_rate: Hz; 0 where only the file is known.
        n_frames: samples per channel.
        shape: loudness over time, see `audio.training_clips.loudness_shape`: finds a copy in
            another format; "" where only the file is known.
    """

    recording: str
    n_bytes: int
    sha256: str
    sample_rate: int = 0
    n_frames: int = 0
    shape: str = ""

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.n_frames / self.sample_rate if self.sample_rate else 0.0


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The recordings that a model was trained on.

    Attributes:
        model: name of the model.
        recordings: all of them.
    """

    model: str
    recordings: tuple[TrainingRecording, ...]

    @cached_property
    def sizes(self) -> frozenset[int]:
        """Sizes of the files: a file of another size need not be hashed."""
        return frozenset(one.n_bytes for one in self.recordings)

    @cached_property
    def hashes(self) -> frozenset[str]:
        """SHA-256 of the files."""
        return frozenset(one.sha256 for one in self.recordings)

    @cached_property
    def seconds(self) -> Float64Array:
        """Lengths of the recordings."""
        return np.array([one.seconds for one in self.recordings], dtype=np.float64)

    @classmethod
    def from_csv(cls, path: str | Path, model: str) -> "TrainingData":
        """Read the table that `to_csv` wrote; the columns behind `sha256` may be left out.

        Args:
            path: of the table.
            model: name of the model.

        Raises:
            InvalidInputError: if it cannot be read, or a cell is not what it should be; names the
                line.
        """
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InvalidInputError(f"{path}: not a readable table ({error}).") from error
        return cls(model, tuple(_recording(row, f"{path}, line {n}") for n, row in _lines(rows)))

    def to_csv(self, path: str | Path) -> None:
        """Write the table, a row for each recording."""
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(field.name for field in fields(TrainingRecording))
            writer.writerows(astuple(recording) for recording in self.recordings)

    def joined(self, others: Iterable[TrainingRecording]) -> "TrainingData":
        """The same with more recordings, each once: what a fine-tuned model has learned from."""
        every = {one.sha256: one for one in (*self.recordings, *others)}
        return TrainingData(self.model, tuple(every.values()))


def training_notes(found: Mapping[str, tuple[str, ...]], n_clips: int) -> list[str]:
    """A sentence for each model that was trained on some of the clips: how many these are.

    Args:
        found: ids of clips by model, as `Provenance.training_clips`.
        n_clips: clips in all.
    """
    return [
        f"{len(clips)} of {n_clips} clips {'was' if len(clips) == 1 else 'were'} used to train "
        f"{printable(model)}"
        for model, clips in found.items()
        if clips
    ]


def _lines(rows: list[dict[str, str]]) -> Iterable[tuple[int, dict[str, str]]]:
    return enumerate(rows, 2)  # line 1 is the header


def _recording(row: Mapping[str, str], where: str) -> TrainingRecording:
    try:
        found = TrainingRecording(
            recording=row["recording"],
            n_bytes=int(row["n_bytes"]),
            sha256=row["sha256"].lower(),
            sample_rate=int(row.get("sample_rate") or 0),
            n_frames=int(row.get("n_frames") or 0),
            shape=row.get("shape") or "",
        )
        is_hash = len(bytes.fromhex(found.sha256)) == 32
        bytes.fromhex(found.shape)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            f"{where}: expected the columns recording, n_bytes and sha256, and numbers in them "
            f"({type(error).__name__}: {error})."
        ) from error
    if not is_hash:
        raise InvalidInputError(
            f"{where}: expected a SHA-256 of 64 hexadecimal digits, got {found.sha256!r:.80}."
        )
    return found
