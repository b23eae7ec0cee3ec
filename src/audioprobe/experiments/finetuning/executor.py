"""One training of a study: fine-tuned, measured, and compared with the model before."""

import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from audioprobe.errors import AudioProbeError
from audioprobe.experiments.finetuning.build import (
    Materials,
    lessons_of,
    model_of,
    watched_by,
)
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.design import TrainingRun
from audioprobe.experiments.finetuning.evaluation import ModelEvaluator
from audioprobe.experiments.finetuning.run_result import BEFORE, ModelEvaluation, RunResult
from audioprobe.experiments.finetuning.storage import RunStore
from audioprobe.finetuning.evaluation import Float32Array, layer_similarity, weight_drift
from audioprobe.finetuning.strategy import EarlyStopping
from audioprobe.finetuning.trainer import finetune
from audioprobe.io.atomic import atomic_open
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.registry import load
from audioprobe.training.trainer import get_accelerator

TRAINING, SOUNDS, STATES = "training", "sounds", "before.npz"


@dataclass(frozen=True, eq=False)
class RunExecutor:
    """Where the trainings of a study happen.

    Several processes that were started together (by accelerate) train each model together; the
    first of them measures.

    Attributes:
        study: what is wanted.
        materials: what it draws from.
        folder: of the run.
        progress: called with the progress of each stage.
    """

    study: StudyConfig
    materials: Materials
    folder: Path
    progress: ProgressCallback = ignore_progress

    def before(self) -> RunResult:
        """The model as it is; measured once and kept, with the states that others compare with."""
        states = self.folder / STATES
        with get_accelerator().main_process_first():
            if not (states.is_file() and self.kept.has(BEFORE)):
                files, measurer = self._model(), self._measurer(BEFORE)
                _save_states(states, measurer.states(files))
                if not self.kept.has(BEFORE):
                    self.kept.write(_before(files, measurer))
            return self.kept.read(BEFORE)

    @property
    def kept(self) -> RunStore:
        """What was trained and measured."""
        return RunStore(self.folder)

    def __call__(self, cell: TrainingRun) -> RunResult:
        """What came of a cell; one that is kept is not trained again."""
        if self.kept.has(cell.name):
            return self.kept.read(cell.name)
        began = time.perf_counter()
        try:
            found = self._tuned(cell)
        except AudioProbeError as error:
            found = replace(_named(cell), failure=str(error))
        found = replace(found, seconds=round(time.perf_counter() - began, 1))
        if get_accelerator().is_main_process:
            self.kept.write(found)
            shutil.rmtree(self.folder / TRAINING / cell.name, ignore_errors=True)
        get_accelerator().wait_for_everyone()
        return found

    def _tuned(self, cell: TrainingRun) -> RunResult:
        files, measurer = self._model(), self._measurer(cell.name)
        progress = prefixed(self.progress, cell.name)
        stops = cell.strategy.get(EarlyStopping) is not None
        tuned = finetune(
            TrainableLTU(files.net),
            lessons_of(
                self.study,
                self.materials,
                self.folder / SOUNDS,
                files.tokenizer,
                transfer=cell.transfer,
            ),
            cell.strategy,
            self.folder / TRAINING / cell.name,
            validation_texts=watched_by(self.materials, files.tokenizer, self.study.cutoff)
            if stops
            else (),
            progress=progress,
        )
        if not get_accelerator().is_main_process:
            return _named(cell)
        drift = weight_drift(tuned.initial_weights, TrainableLTU(files.net))
        if cell.transfer:
            measured = ModelEvaluation(quiz=measurer.quizzed(files))
            alike: dict[str, tuple[float | None, ...]] = {}
        else:
            measured = measurer.whole(files)
            now = measurer.states(files)
            alike = {k: layer_similarity(self._states[k], now[k]) for k in now}
        return replace(
            _named(cell),
            measured=measured,
            losses=tuple(round(entry["loss"], 5) for entry in tuned.history),
            stopped=tuned.stopped_early,
            drift=drift,
            similarity=alike,
        )

    @cached_property
    def _states(self) -> dict[str, list[Float32Array]]:
        return _read_states(self.folder / STATES)

    def _model(self) -> LTUCheckpoint:
        files = model_of(self.study)
        files.net.to(get_accelerator().device, dtype_of(self.study.model.dtype))
        return files

    @cached_property
    def _scorer(self) -> Scorer:
        """Its embedder is loaded once, not with every training."""
        return load("scorer", self.study.scorer.name, **self.study.scorer.options)

    def _measurer(self, name: str) -> ModelEvaluator:
        progress = prefixed(self.progress, name)
        return ModelEvaluator(self.study, self.materials, self._scorer, progress)


def _before(files: LTUCheckpoint, measurer: ModelEvaluator) -> RunResult:
    began = time.perf_counter()
    whole = measurer.whole(files)
    measured = ModelEvaluation(whole.heard, whole.texts, whole.probe, measurer.quizzed(files))
    took = round(time.perf_counter() - began, 1)
    return RunResult(BEFORE, BEFORE, measured=measured, seconds=took)


def _named(cell: TrainingRun) -> RunResult:
    """What is known of a training before it began."""
    return RunResult(
        cell.name,
        cell.configuration,
        cell.trained,
        cell.holding,
        cell.alignment,
        cell.seed,
        cell.transfer,
    )


def _save_states(path: Path, found: dict[str, list[Float32Array]]) -> None:
    arrays = {name: np.stack(layers) for name, layers in found.items()}
    with atomic_open(path) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read_states(path: Path) -> dict[str, list[Float32Array]]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: list(arrays[name]) for name in arrays.files}
