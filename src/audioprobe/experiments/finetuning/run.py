"""Runs a fine-tuning study; finished runs are stored, and an interrupted study continues."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from audioprobe.errors import AudioProbeError, InvalidInputError
from audioprobe.experiments.finetuning.build import (
    Materials,
    build_materials,
    clips_with_spectrograms,
    load_model,
    training_data,
)
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, incompatibility, training_runs
from audioprobe.experiments.finetuning.evaluation import ModelEvaluator
from audioprobe.experiments.finetuning.storage import (
    AUDIO_CONCEPTS,
    BEFORE,
    Measurement,
    RunResult,
    RunStore,
)
from audioprobe.experiments.run_metadata import audio_digests, clips_digest, run_start
from audioprobe.finetuning.evaluation import Float32Array, layer_similarity, weight_drift
from audioprobe.finetuning.strategy import EarlyStopping
from audioprobe.finetuning.text_corpora import encode_passages
from audioprobe.finetuning.trainer import finetune
from audioprobe.io.atomic import atomic_open
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import open_run
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.registry import load
from audioprobe.training.trainer import get_accelerator

FORMAT = 2
"""Version of the stored results."""

_TRAINING, _SPECTROGRAMS, _STATES = "training", "spectrograms", "before.npz"


@dataclass(frozen=True, eq=False)
class RunExecutor:
    """Trains and evaluates the runs of a study.

    Processes that accelerate started together train each model together; the first one evaluates.

    Attributes:
        study: the configuration.
        materials: clips, questions and texts.
        folder: of the study.
        progress: called with the progress of each stage.
    """

    study: StudyConfig
    materials: Materials
    folder: Path
    progress: ProgressCallback = ignore_progress

    @property
    def store(self) -> RunStore:
        """Results of the finished runs."""
        return RunStore(self.folder)

    @property
    def spectrograms(self) -> Path:
        """Folder of the spectrograms of training clips."""
        return self.folder / _SPECTROGRAMS

    def before(self) -> RunResult:
        """Evaluate the model before fine-tuning once, and store its hidden states."""
        path = self.folder / _STATES
        with get_accelerator().main_process_first():
            if not (path.is_file() and self.store.has(BEFORE)):
                started_at = time.perf_counter()
                model, evaluator = self._model(), self._evaluator(BEFORE)
                with atomic_open(path) as stream:
                    layers = {k: np.stack(v) for k, v in evaluator.hidden_states(model).items()}
                    np.savez(stream, **layers)  # type: ignore[arg-type]
                if not self.store.has(BEFORE):
                    measurements = evaluator.evaluate_all(model)
                    measurements += evaluator.evaluate_novel_classes(model)
                    self.store.write(
                        RunResult(
                            name=BEFORE,
                            labels=evaluator.labels(),
                            measurements=tuple(measurements),
                            seconds=round(time.perf_counter() - started_at, 1),
                        )
                    )
            return self.store.read(BEFORE)

    def __call__(self, run: TrainingRun) -> RunResult:
        """Return the stored result of a run, or train and evaluate it."""
        if self.store.has(run.name):
            return self.store.read(run.name)
        started_at = time.perf_counter()
        result = RunResult(
            name=run.name,
            trainable=run.trainable,
            regularization=run.regularization,
            alignment=run.alignment,
            arm=run.arm,
            seed=run.seed,
        )
        try:
            result = self._train(run, result)
        except AudioProbeError as error:
            result = replace(result, failure=str(error))
        result = replace(result, seconds=round(time.perf_counter() - started_at, 1))
        if get_accelerator().is_main_process:
            self.store.write(result)
            shutil.rmtree(self.folder / _TRAINING / run.name, ignore_errors=True)
        get_accelerator().wait_for_everyone()
        return result

    def _train(self, run: TrainingRun, result: RunResult) -> RunResult:
        model, evaluator = self._model(), self._evaluator(run.name)
        texts: tuple[str, ...] = ()
        if run.strategy.get(EarlyStopping) is not None:
            texts = self.materials.validation_texts
        network, prompts = TrainableLTU(model.net), LTUPrompts(model.tokenizer)
        data = training_data(
            self.study, self.materials, self.spectrograms, prompts, novel=bool(run.arm)
        )
        tuned = finetune(
            network,
            data,
            run.strategy,
            self.folder / _TRAINING / run.name,
            validation_texts=encode_passages(texts, prompts, max_tokens=self.study.max_tokens),
            progress=prefixed(self.progress, run.name),
        )
        if not get_accelerator().is_main_process:
            return result
        measurements = [
            Measurement(measure="training loss", item=str(n), value=round(entry["loss"], 5))
            for n, entry in enumerate(tuned.history, 1)
        ]
        measurements += [
            Measurement(
                measure=f"weight change: {drift.group}",
                value=drift.relative,
                reference=drift.absolute,
            )
            for drift in weight_drift(tuned.initial_weights, network)
        ]
        if run.arm:
            measurements += evaluator.evaluate_novel_classes(model)
        else:
            measurements += evaluator.evaluate_all(model)
            for name, layers in evaluator.hidden_states(model).items():
                similarity = layer_similarity(self._states_before[name], layers)
                measurements += [
                    Measurement(measure=f"similarity: {name}", item=str(n), value=value)
                    for n, value in enumerate(similarity)
                ]
        return replace(
            result,
            labels={} if run.arm else evaluator.labels(),
            measurements=tuple(measurements),
            stopped_early=tuned.stopped_early,
        )

    @cached_property
    def _states_before(self) -> dict[str, list[Float32Array]]:
        with np.load(self.folder / _STATES, allow_pickle=False) as arrays:
            return {name: list(arrays[name]) for name in arrays.files}

    @cached_property
    def _scorer(self) -> Scorer:
        """The scorer; its embedder is loaded once for all runs."""
        return load("scorer", self.study.scorer.name, **self.study.scorer.options)

    def _model(self) -> LTUCheckpoint:
        model = load_model(self.study)
        model.net.to(get_accelerator().device, dtype_of(self.study.model.dtype))
        return model

    def _evaluator(self, name: str) -> ModelEvaluator:
        progress = prefixed(self.progress, name)
        return ModelEvaluator(self.study, self.materials, self._scorer, progress)


class FinetuningRun:
    """A study that is ready to run.

    Args:
        config: the study.
        text: text of the configuration, which is stored in the folder.

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
            folder: of the study; an interrupted study continues.
            progress: called with the progress of each stage.
            n_workers: parallel training runs, one process each; they share the cores.
            max_runs: maximum number of runs in this call; 0 is no limit.

        Returns:
            The model before fine-tuning, then all finished runs, in the order of the design.

        Raises:
            InvalidInputError: if the folder contains an incompatible study or is in use by another
                process, or `n_workers` is below 1. A study with additional seeds or strategies is
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
        opened: AbstractContextManager[object] = nullcontext()
        if processes.is_main_process:
            opened = open_run(
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
        with opened:
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
        """Yield the names of the runs as they finish."""
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

    def _refused(self, older: str) -> str | None:
        """Return why a study with an older configuration cannot be continued, or None."""
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
