"""A study of fine-tuning: every training is kept as it ends, and a run that was stopped goes on."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path

import torch

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.finetuning.build import (
    Materials,
    materials_of,
    model_of,
    sounds_in,
)
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, incompatibility, training_runs
from audioprobe.experiments.finetuning.executor import SOUNDS, RunExecutor
from audioprobe.experiments.finetuning.run_result import RunResult
from audioprobe.experiments.finetuning.storage import IN_SOUND
from audioprobe.experiments.run_metadata import digest_of, sound_digests, started
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import open_run
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.trainer import get_accelerator

FORMAT = 1


class FinetuningRun:
    """A run, prepared: every training is known before any begins.

    Args:
        config: what is wanted.
        text: the configuration as it was written, which goes into the folder.

    Attributes:
        cells: all trainings, in order.
        materials: what they draw from.

    Raises:
        InvalidInputError: as `design.cells_of` and `materials.materials_of`.
    """

    def __init__(self, config: StudyConfig, text: str) -> None:
        self.config = config
        self._text = text
        self.cells: Sequence[TrainingRun] = training_runs(config)
        self.materials: Materials = materials_of(config)

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        n_workers: int = 1,
        most: int = 0,
    ) -> list[RunResult]:
        """Train and measure whatever was not yet.

        Args:
            folder: of this run; one that was stopped goes on.
            progress: called with the progress of each stage.
            n_workers: trainings at once, each in a process of its own; they share the cores.
            most: trainings to add in this call; 0 adds all that are left.

        Returns:
            The model before, then all trainings that there are, in the order of the design.

        Raises:
            InvalidInputError: if the folder holds another run (one that this study adds seeds or
                strategies to is the same), or another process works in it; or
                for fewer than one worker.
            AudioProbeError: if the model cannot be loaded, or be measured as it is.
        """
        if n_workers < 1 or most < 0:
            raise InvalidInputError(f"Expected workers of at least 1, got {n_workers}.")
        folder, processes = Path(folder), get_accelerator()
        if processes.num_processes > 1 and n_workers > 1:
            raise InvalidInputError(
                f"{processes.num_processes} processes train together: give one worker."
            )
        holding: AbstractContextManager[object] = nullcontext()
        if processes.is_main_process:
            holding = open_run(
                folder,
                self._text,
                self._pinned(),
                started(),
                audio_digests={
                    name: sound_digests(clips) for name, clips in self.materials.clips.items()
                },
                allow_changed_audio=False,  # what was trained on them cannot be kept
                incompatibility=self._refused,
            )
        with holding:
            with processes.main_process_first():
                for name in ("taught", "rehearsed"):
                    if name in self.materials.clips:
                        sounds_in(self.materials, name, folder / SOUNDS, progress)
            lab = RunExecutor(self.config, self.materials, folder, progress)
            found = [lab.before()]
            left = [number for number, cell in enumerate(self.cells) if not lab.kept.has(cell.name)]
            left = left[: most or len(left)]
            for done, name in enumerate(self._trained(lab, left, n_workers), 1):
                progress(
                    ProgressEvent(stage="training runs", done=done, total=len(left), note=name)
                )
            return [*found, *lab.kept.among(self.cells)]

    def _trained(self, lab: RunExecutor, left: Sequence[int], n_workers: int) -> Iterator[str]:
        """Names of trainings, as they end."""
        if n_workers == 1:
            for number in left:
                yield lab(self.cells[number]).name
            return
        threads = max(1, (os.cpu_count() or 1) // n_workers)
        with ProcessPoolExecutor(
            n_workers,
            get_context("spawn"),
            initializer=_begin,
            initargs=(self._text, lab.folder, threads),
        ) as pool:
            for task in as_completed([pool.submit(_train, number) for number in left]):
                yield task.result()

    def _refused(self, older: str) -> str | None:
        """Why a study by an older text cannot go on by this one; None where it only grows."""
        try:
            was = parse_study(older, "the older study")
        except InvalidInputError as error:
            return str(error)
        return incompatibility(was, self.config)

    def _pinned(self) -> dict[str, object]:
        """What, besides the configuration's text, a result depends on."""
        made = self.materials
        return {
            "format": FORMAT,
            "model": json.loads(to_json(model_of(self.config).info({}))),
            "data": {name: json.loads(to_json(info)) for name, info in made.infos.items()},
            "clips": {name: digest_of(clips) for name, clips in made.clips.items()},
            "texts": {name: texts.revision for name, texts in made.texts.items()},
            "questions": made.probe.digest(),
            "quiz": made.quiz.digest() if made.quiz else "",
            IN_SOUND: sorted(made.halves),
        }


_LABS: list[
    tuple[RunExecutor, Sequence[TrainingRun]]
] = []  # of a worker: built once, not with every training


def _begin(text: str, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    study = parse_study(text, "the study")
    _LABS.append((RunExecutor(study, materials_of(study), folder), training_runs(study)))


def _train(number: int) -> str:
    ((lab, cells),) = _LABS
    return lab(cells[number]).name
