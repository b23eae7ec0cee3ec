"""What a study keeps in its folder: a file for every training that ended."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, training_runs
from audioprobe.experiments.finetuning.run_result import BEFORE, RunResult
from audioprobe.io.atomic import atomic_write
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.run_folder import CONFIG, MANIFEST

CELLS = "cells"
IN_SOUND = "taught in sound"
"""Key of the manifest: ids of the concepts of which invented classes are taught in sound."""


@dataclass(frozen=True, slots=True)
class RunStore:
    """Findings in a folder, by the name of the training.

    Attributes:
        folder: of the run.
    """

    folder: Path

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return self._path(name).is_file()

    def read(self, name: str) -> RunResult:
        """The findings of a training that ended.

        Raises:
            InvalidInputError: if the file holds something else.
        """
        path = self._path(name)
        try:
            return from_json(RunResult, path.read_text(encoding="utf-8"))
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{path}: not the findings of a training ({error}). Remove the file, and the same "
                "command trains it again."
            ) from error

    def write(self, findings: RunResult) -> None:
        """Keep them, complete or not at all."""
        path = self._path(findings.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, to_json(findings, indent=None) + "\n")

    def among(self, cells: Sequence[TrainingRun]) -> Iterator[RunResult]:
        """Of those trainings that ended, in order."""
        return (self.read(cell.name) for cell in cells if self.has(cell.name))

    def _path(self, name: str) -> Path:
        return self.folder / CELLS / f"{name}.json"


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study with all that its report is computed from.

    Attributes:
        study: what was wanted.
        findings: the model before, then all trainings that ended, in the order of the design.
        in_sound: ids of the concepts of which invented classes are taught in sound.
    """

    study: StudyConfig
    findings: tuple[RunResult, ...]
    in_sound: frozenset[str]


def read_record(folder: str | Path) -> StudyRecord:
    """A study from its folder alone: neither sounds nor a model are needed.

    Args:
        folder: of a run of a study; one that is not at its end is told as far as it is.

    Raises:
        InvalidInputError: if the folder holds none, or the model was not measured yet.
    """
    folder = Path(folder)
    try:
        config = (folder / CONFIG).read_text(encoding="utf-8")
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        in_sound = frozenset[str](manifest["pinned"][IN_SOUND])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{folder}: not the folder of a study of fine-tuning ({error}). Name the folder that "
            "`audioprobe run` was given by --out."
        ) from error
    study, kept = parse_study(config, str(folder / CONFIG)), RunStore(folder)
    if not kept.has(BEFORE):
        raise InvalidInputError(f"{folder}: nothing was measured yet. Go on with `audioprobe run`.")
    return StudyRecord(study, (kept.read(BEFORE), *kept.among(training_runs(study))), in_sound)
