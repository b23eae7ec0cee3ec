"""Train and evaluate the runs of a fine-tuning study."""

import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from audioprobe.errors import AudioProbeError
from audioprobe.experiments.finetuning.build import Materials, load_model, training_data
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.design import TrainingRun
from audioprobe.experiments.finetuning.evaluation import ModelEvaluator
from audioprobe.experiments.finetuning.storage import BEFORE, Measurement, RunResult, RunStore
from audioprobe.finetuning.evaluation import Float32Array, layer_similarity, weight_drift
from audioprobe.finetuning.strategy import EarlyStopping
from audioprobe.finetuning.text_corpora import encode_passages
from audioprobe.finetuning.trainer import finetune
from audioprobe.io.atomic import atomic_open
from audioprobe.models.causal_lm.loading import dtype_of
from audioprobe.models.ltu.checkpoint import LTUCheckpoint
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.progress import ProgressCallback, ignore_progress, prefixed
from audioprobe.protocols import Scorer
from audioprobe.registry import load
from audioprobe.training.trainer import get_accelerator

_TRAINING, _SPECTROGRAMS, _STATES = "training", "spectrograms", "before.npz"


@dataclass(frozen=True, eq=False)
class RunExecutor:
    """Executor that trains and evaluates the runs of a study.

    If accelerate started several processes, all of them train each model together, and the first
    process evaluates the model.

    Attributes:
        study: configuration of the study.
        materials: clips, questions and texts.
        folder: folder of the study.
        progress: called with the progress of each stage.
    """

    study: StudyConfig
    materials: Materials
    folder: Path
    progress: ProgressCallback = ignore_progress

    @property
    def store(self) -> RunStore:
        """Store of the results of finished runs."""
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
        """Return the result of a run; train and evaluate the run if no result is stored."""
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
        """Scorer of captions; it is loaded once for all runs."""
        return load("scorer", self.study.scorer.name, **self.study.scorer.options)

    def _model(self) -> LTUCheckpoint:
        model = load_model(self.study)
        model.net.to(get_accelerator().device, dtype_of(self.study.model.dtype))
        return model

    def _evaluator(self, name: str) -> ModelEvaluator:
        progress = prefixed(self.progress, name)
        return ModelEvaluator(self.study, self.materials, self._scorer, progress)
