"""Run a fine-tuning study; finished runs are stored, so an interrupted study can continue."""

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
    build_materials,
    clips_with_spectrograms,
    load_model,
)
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, incompatibility, training_runs
from audioprobe.experiments.finetuning.executor import RunExecutor
from audioprobe.experiments.finetuning.storage import (
    AUDIO_CONCEPTS,
    RunResult,
)
from audioprobe.experiments.run_metadata import audio_digests, clips_digest, run_start
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import open_run
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.training.trainer import get_accelerator

FORMAT = 2
"""Version of the stored results."""


class FinetuningRun:
    """A study that is ready to start: clips and texts are loaded, models are not.

    Args:
        config: configuration of the study.
        text: text of the configuration, which is stored in the folder of the study.

    Attributes:
        runs: all training runs, in order.
        materials: clips, questions and texts.

    Raises:
        InvalidInputError: see `training_runs` and `build_materials`.
    """

    def __init__(self, config: StudyConfig, text: str) -> None:
        self.config = config
        self._text = text
        self.runs: Sequence[TrainingRun] = training_runs(config)
        self.materials: Materials = build_materials(config)

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        n_workers: int = 1,
        max_runs: int = 0,
    ) -> list[RunResult]:
        """Train and evaluate all runs that are not finished.

        Args:
            folder: folder of the study; an interrupted study continues.
            progress: called with the progress of each stage.
            n_workers: number of parallel training runs, each in its own process; they share the CPU
                cores.
            max_runs: maximum number of training runs in this call; 0 means no limit.

        Returns:
            The result of the model before fine-tuning, then those of all finished runs, in the
            order of the design.

        Raises:
            InvalidInputError: if the folder contains an incompatible study or is in use by another
                process, or `n_workers` is below 1. A study that only adds seeds or strategies is
                compatible.
            AudioProbeError: if the model cannot be loaded or evaluated.
        """
        if n_workers < 1 or max_runs < 0:
            raise InvalidInputError(
                f"Expected n_workers of at least 1 and max_runs of at least 0, got {n_workers} and "
                f"{max_runs}."
            )
        folder, processes = Path(folder), get_accelerator()
        if processes.num_processes > 1 and n_workers > 1:
            raise InvalidInputError(
                f"Expected one worker because {processes.num_processes} processes train together, "
                f"got {n_workers}."
            )
        with self._open(folder):
            executor = RunExecutor(self.config, self.materials, folder, progress)
            with processes.main_process_first():
                for name in {"train", "rehearsal"} & self.materials.clips.keys():
                    clips_with_spectrograms(self.materials, name, executor.spectrograms, progress)
            before = executor.before()
            remaining = [n for n, run in enumerate(self.runs) if not executor.store.has(run.name)]
            remaining = remaining[: max_runs or None]
            for done, name in enumerate(self._train(executor, remaining, n_workers), 1):
                progress(
                    ProgressEvent(stage="training runs", done=done, total=len(remaining), note=name)
                )
            return [before, *executor.store.finished(self.runs)]

    def _train(
        self, executor: RunExecutor, remaining: Sequence[int], n_workers: int
    ) -> Iterator[str]:
        """Train the remaining runs, and yield the name of each run when it finishes."""
        if n_workers == 1:
            for number in remaining:
                yield executor(self.runs[number]).name
            return
        threads = max(1, (os.cpu_count() or 1) // n_workers)
        with ProcessPoolExecutor(
            n_workers,
            get_context("spawn"),
            initializer=_start_worker,
            initargs=(self._text, executor.folder, threads),
        ) as pool:
            for task in as_completed([pool.submit(_train_in_worker, n) for n in remaining]):
                yield task.result()

    def _open(self, folder: Path) -> AbstractContextManager[object]:
        """Lock the folder (main process only), and check that it belongs to this study."""
        if not get_accelerator().is_main_process:
            return nullcontext()
        return open_run(
            folder,
            self._text,
            self._pinned(),
            run_start(),
            audio_digests={
                name: audio_digests(clips) for name, clips in self.materials.clips.items()
            },
            allow_changed_audio=False,  # finished runs were trained on them
            incompatibility=self._refused,
        )

    def _refused(self, older: str) -> str | None:
        """Return why a study with an older configuration cannot be continued; None if it can."""
        try:
            study = parse_study(older, "the older study")
        except InvalidInputError as error:
            return str(error)
        return incompatibility(study, self.config)

    def _pinned(self) -> dict[str, object]:
        """Return everything that results depend on, except the configuration."""
        materials = self.materials
        novel = materials.novel_probe
        return {
            "format": FORMAT,
            "model": json.loads(to_json(load_model(self.config).info({}))),
            "data": {name: json.loads(to_json(i)) for name, i in materials.datasets.items()},
            "clips": {name: clips_digest(clips) for name, clips in materials.clips.items()},
            "texts": {name: texts.revision for name, texts in materials.text_sets.items()},
            "questions": materials.probe.digest(),
            "novel_class_questions": novel.digest() if novel else "",
            AUDIO_CONCEPTS: sorted(materials.audio_concepts),
        }


_WORKER: list[tuple[RunExecutor, Sequence[TrainingRun]]] = []  # built once per worker process


def _start_worker(text: str, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    study = parse_study(text, "the study")
    executor = RunExecutor(study, build_materials(study), folder)
    _WORKER.append((executor, training_runs(study)))


def _train_in_worker(number: int) -> str:
    ((executor, runs),) = _WORKER
    return executor(runs[number]).name
