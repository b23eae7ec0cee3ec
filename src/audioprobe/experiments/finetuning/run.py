"""Run a fine-tuning study: train and evaluate every run, and store each result as one file.

Finished runs are not repeated, so an interrupted study can continue.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from audioprobe.errors import AudioProbeError, InvalidInputError
from audioprobe.experiments.finetuning.build import (
    Materials,
    build_materials,
    clips_with_features,
    load_model,
    training_data,
)
from audioprobe.experiments.finetuning.config import StudyConfig, parse_study
from audioprobe.experiments.finetuning.design import TrainingRun, incompatibility, training_runs
from audioprobe.experiments.finetuning.evaluation import (
    ModelEvaluator,
    similarities,
    weight_changes,
)
from audioprobe.experiments.finetuning.storage import (
    AUDIO_CONCEPTS,
    BEFORE,
    Measurement,
    RunResult,
    read_finished,
    read_result,
    result_path,
)
from audioprobe.experiments.job_pool import WorkerSetup, run_jobs
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.run_metadata import audio_digests, run_start
from audioprobe.finetuning.components import EarlyStopping
from audioprobe.finetuning.text_corpora import encode_passages
from audioprobe.finetuning.trainer import finetune
from audioprobe.io.atomic import atomic_open, atomic_write
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import open_run
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.ltu.audio_frontend import load_frontend
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.number_format import merge_float32_lora
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.registry import load
from audioprobe.texts import fingerprint
from audioprobe.training.trainer import get_accelerator

FORMAT = 2  # version of the stored results
_TRAINING, _FEATURES, _STATES = "training", "features", "before.npz"


class FinetuningRun:
    """A study that is ready to start: clips and texts are loaded, models are not.

    Args:
        config: configuration of the study.
        text: text of the configuration, which is stored in the folder of the study.

    Raises:
        InvalidInputError: if two strategies have the same name, or see `build_materials`.
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
        placement: Placement = HERE,
        max_runs: int = 0,
    ) -> list[RunResult]:
        """Train and evaluate all runs that are not finished.

        Args:
            folder: folder of the study; an interrupted study continues.
            progress: called with the progress of each stage.
            placement: where runs are trained and evaluated. On a cluster, all machines must share
                the folder, the audio files and the model under the same paths.
            max_runs: maximum number of training runs in this call; 0 means no limit.

        Returns:
            The result of the model before fine-tuning, then those of all finished runs, in the
            order of the design.

        Raises:
            InvalidInputError: if the folder is in use or contains a study that cannot be continued
                (see `incompatibility`), `max_runs` is out of range, or a machine of the cluster
                does not share the folder.
            AudioProbeError: if the model cannot be loaded or evaluated.
        """
        if max_runs < 0:
            raise InvalidInputError(f"Expected max_runs of at least 0, got {max_runs}.")
        folder, processes = Path(folder), get_accelerator()
        if processes.num_processes > 1 and not placement.is_here:
            raise InvalidInputError(
                f"Expected one worker because {processes.num_processes} processes train together, "
                f"got {placement}."
            )
        setup = WorkerSetup(_build_executor, (self._text, folder.absolute()), folder)
        with self._open(folder):
            # Before processes first meet: later, the first one may have stored new results.
            is_evaluated = _is_evaluated_before(folder)
            remaining = [r for r in self.runs if not result_path(folder, r.name).is_file()]
            with processes.main_process_first():
                frontend = load_frontend(load_model(self.config).net.config.audio)
                clips_with_features(self.materials, folder / _FEATURES, frontend, progress)
            remaining, stage = remaining[: max_runs or None], "training runs"
            with placement.jobs(partial(self._executor, folder, progress), setup) as pool:
                if not is_evaluated:
                    pool.submit(_evaluate_before, None).result()
                for done, name in enumerate(run_jobs(pool, _train, remaining), 1):
                    event = ProgressEvent(stage=stage, done=done, total=len(remaining), note=name)
                    progress(event)
            before = read_result(result_path(folder, BEFORE))
            return [before, *read_finished(folder, self.runs)]

    def _executor(self, folder: Path, progress: ProgressCallback) -> "RunExecutor":
        return RunExecutor(self.config, self.materials, folder, progress)

    def _open(self, folder: Path) -> AbstractContextManager[object]:
        """Return a context manager that locks the folder; raise if it has another study."""
        if not get_accelerator().is_main_process:
            return nullcontext()
        materials, novel = self.materials, self.materials.novel_probe
        pinned: dict[str, object] = {  # everything that results depend on, besides the config
            "format": FORMAT,
            "model": json.loads(to_json(load_model(self.config).info({}))),
            "data": {name: json.loads(to_json(i)) for name, i in materials.datasets.items()},
            "clips": {
                name: fingerprint(f"{clip.id}\t{clip.start}\t{clip.labels}" for clip in clips)
                for name, clips in materials.clips.items()
            },
            "texts": {name: texts.revision for name, texts in materials.text_sets.items()},
            "questions": materials.probe.digest(),
            "novel_class_questions": novel.digest() if novel else "",
            AUDIO_CONCEPTS: sorted(materials.audio_concepts),
        }
        digests = {name: audio_digests(clips) for name, clips in materials.clips.items()}
        return open_run(
            folder,
            self._text,
            pinned,
            run_start(),
            audio_digests=digests,
            allow_changed_audio=False,  # finished runs were trained on them
            incompatibility=self._incompatibility,
        )

    def _incompatibility(self, older: str) -> str | None:
        """Return why the study in the folder cannot be continued; None if it can."""
        try:
            study = parse_study(older, "the older study")
        except InvalidInputError as error:
            return str(error)
        return incompatibility(study, self.config)


@dataclass(frozen=True, eq=False)
class RunExecutor:
    """Train and evaluate single runs of a study; store the results in the study's folder.

    If accelerate started several processes, all of them train each model together, and the first
    process evaluates the model.
    """

    study: StudyConfig
    materials: Materials
    folder: Path
    progress: ProgressCallback = ignore_progress

    def before(self) -> RunResult:
        """Return the stored result of the model before fine-tuning; evaluate it if missing."""
        path = self.folder / _STATES
        stored = result_path(self.folder, BEFORE)
        with get_accelerator().main_process_first():
            if not _is_evaluated_before(self.folder):
                started_at = time.perf_counter()
                model, evaluator = self._prepare(BEFORE)
                merge_float32_lora(model.net)
                with atomic_open(path) as stream:
                    layers = {k: np.stack(v) for k, v in evaluator.hidden_states(model).items()}
                    np.savez(stream, **layers)  # type: ignore[arg-type]
                if not stored.is_file():
                    measurements = evaluator.evaluate_all(model)
                    measurements += evaluator.evaluate_novel_classes(model)
                    result = RunResult(
                        name=BEFORE, labels=evaluator.labels(), measurements=tuple(measurements)
                    )
                    self._store(result, started_at)
            return read_result(stored)

    def __call__(self, run: TrainingRun) -> RunResult:
        """Return the stored result of a run; train and evaluate the run if it is missing."""
        path, processes = result_path(self.folder, run.name), get_accelerator()
        if path.is_file() and processes.num_processes == 1:  # several must all do the same
            return read_result(path)
        started_at = time.perf_counter()
        result = RunResult.of(run)
        try:
            result = self._train(run, result)
        except AudioProbeError as error:
            result = replace(result, failure=str(error))
        if processes.is_main_process:
            result = self._store(result, started_at)
            shutil.rmtree(self.folder / _TRAINING / run.name, ignore_errors=True)
        processes.wait_for_everyone()
        return result

    def _train(self, run: TrainingRun, result: RunResult) -> RunResult:
        model, evaluator = self._prepare(run.name)
        network, prompts = TrainableLTU(model.net), LTUPrompts(model.tokenizer)
        cache, stops_early = self.folder / _FEATURES, run.strategy.get(EarlyStopping)
        texts = self.materials.validation_texts if stops_early else ()
        tuned = finetune(
            network,
            training_data(self.study, self.materials, cache, model, novel=bool(run.arm)),
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
        measurements += weight_changes(tuned.initial_weights, network)
        merge_float32_lora(model.net)  # the trained weights are not needed any more
        if run.arm:
            measurements += evaluator.evaluate_novel_classes(model)
        else:
            measurements += evaluator.evaluate_all(model)
            with np.load(self.folder / _STATES, allow_pickle=False) as before:
                measurements += similarities(before, evaluator.hidden_states(model))
        return replace(
            result,
            labels={} if run.arm else evaluator.labels(),
            measurements=tuple(measurements),
            stopped_early=tuned.stopped_early,
        )

    @cached_property
    def _scorer(self) -> Scorer:
        """Scorer of captions; it is loaded once for all runs."""
        return load("scorer", self.study.scorer.name, **self.study.scorer.options)

    def _prepare(self, name: str) -> tuple[LTUCheckpoint, ModelEvaluator]:
        """Return a new copy of the initial model, and an evaluator for the run `name`."""
        model = load_model(self.study)
        model.net.to(get_accelerator().device, dtype_of(self.study.model.dtype))
        progress = prefixed(self.progress, name)
        return model, ModelEvaluator(self.study, self.materials, self._scorer, progress)

    def _store(self, result: RunResult, started_at: float) -> RunResult:
        """Add the duration to a result, store the result, and return it."""
        result = replace(result, seconds=round(time.perf_counter() - started_at, 1))
        path = result_path(self.folder, result.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, to_json(result, indent=None) + "\n")
        return result


def _build_executor(text: str, folder: Path) -> RunExecutor:
    study = parse_study(text, "the study")
    return RunExecutor(study, build_materials(study), folder)


def _is_evaluated_before(folder: Path) -> bool:
    """Return whether a folder has the result and states of the model before fine-tuning."""
    return (folder / _STATES).is_file() and result_path(folder, BEFORE).is_file()


def _evaluate_before(executor: RunExecutor, _: None) -> None:
    executor.before()


def _train(executor: RunExecutor, run: TrainingRun) -> str:
    return executor(run).name
