"""Run a study of architectures: train and evaluate every arm with every seed.

Each result is one file. Finished runs are not repeated, so an interrupted study can continue.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from audioprobe.errors import AudioProbeError, InvalidInputError
from audioprobe.experiments.architectures.codebook import codebook_measures
from audioprobe.experiments.architectures.config import (
    TEXT_INPUTS,
    ArchitecturesConfig,
    Arm,
    parse_architectures,
    recipe_of,
    shared_stages,
)
from audioprobe.experiments.architectures.cost import arm_cost
from audioprobe.experiments.architectures.evaluation import ArmEvaluator
from audioprobe.experiments.architectures.inputs import answering_model
from audioprobe.experiments.architectures.location import arms_to_locate, locate_in_arm
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import evaluation_questions
from audioprobe.experiments.architectures.storage import (
    ArchitecturesRecord,
    ArmResult,
    planned_runs,
    read_record,
    result_name,
    store_result,
)
from audioprobe.experiments.architectures.training import RATE_SEED, ArmTrainer, trial_arm
from audioprobe.experiments.job_pool import JobPool, WorkerSetup, run_jobs
from audioprobe.experiments.placement import HERE, Placement
from audioprobe.experiments.run_metadata import RESULTS, config_difference, run_start
from audioprobe.io.json_codec import to_json
from audioprobe.io.run_folder import open_run
from audioprobe.models.ltu.checkpoint import load_ltu
from audioprobe.models.tool_agent.agent import ToolAgent
from audioprobe.plots.training_curves import read_log
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress, prefixed
from audioprobe.training.trainer import LOG

FORMAT = 1  # version of the stored results


class ArchitecturesRun:
    """A study that is ready to start: recipe and arms are checked, nothing is loaded.

    Args:
        config: configuration of the study.
        text: text of the configuration, which is stored in the folder of the study.

    Attributes:
        runs: all runs as (arm, seed), in the order in which they start.

    Raises:
        InvalidInputError: see `recipe_of`.
    """

    def __init__(self, config: ArchitecturesConfig, text: str) -> None:
        self.config = config
        self.recipe = recipe_of(config)
        self.runs = planned_runs(config)
        self._text = text

    def __call__(
        self,
        folder: str | Path,
        progress: ProgressCallback = ignore_progress,
        *,
        placement: Placement = HERE,
        max_runs: int = 0,
    ) -> ArchitecturesRecord:
        """Train and evaluate all runs that have no result in the folder.

        Args:
            folder: folder of the study; an interrupted study continues, and arms can be added.
            progress: called with the progress of each stage.
            placement: where arms are trained and evaluated. On a cluster, all machines must share
                the folder and the recordings under the same paths.
            max_runs: maximum number of runs in this call; 0 means no limit.

        Raises:
            InvalidInputError: if the folder is in use or contains another study, `max_runs` is out
                of range, recordings are missing, or a machine does not share the folder.
            TrainingError: if the training of an arm diverges. Like all errors of single runs, it is
                raised after the other runs.
            WeightsError: if the base model or the encoder is missing.
        """
        if max_runs < 0:
            raise InvalidInputError(f"Expected max_runs of at least 0, got {max_runs}.")
        path = Path(folder)
        n_processes = min(placement.n_workers, os.cpu_count() or 1)
        materials = ArmMaterials(self.config, path, progress, n_processes)
        setup = WorkerSetup(_build_materials, (self._text, path.absolute()), path)
        pinned = {
            "format": FORMAT,
            "recipe": json.loads(to_json(self.recipe)),
            "data": {name: json.loads(to_json(i)) for name, i in materials.datasets.items()},
            "encoder": json.loads(to_json(materials.audio)),
        }
        with open_run(path, self._text, pinned, run_start(), incompatibility=self._incompatibility):
            prepare(materials)
            remaining, stage = self.remaining(path)[: max_runs or None], "runs"
            failures: list[AudioProbeError] = []
            with placement.jobs(lambda: materials, setup) as pool:
                names = self._train(pool, remaining, failures)
                for done, name in enumerate(names, 1):
                    event = ProgressEvent(stage=stage, done=done, total=len(remaining), note=name)
                    progress(event)
                arms = arms_to_locate(materials)
                list(run_jobs(pool, locate_in_arm, arms, failures))
        if failures:
            raise failures[0]
        return read_record(path)

    def remaining(self, folder: Path) -> list[tuple[str, int]]:
        """Return the runs that have no result in a folder."""
        results = folder / RESULTS
        return [run for run in self.runs if not (results / result_name(*run)).is_file()]

    def _train(
        self,
        pool: JobPool[ArmMaterials],
        remaining: Sequence[tuple[str, int]],
        failures: list[AudioProbeError],
    ) -> Iterator[str]:
        """Train and evaluate runs, and yield the name of each when it finishes.

        A run that fails does not stop the others; its error is appended to `failures`.
        """
        # What several runs share must exist before they start.
        arms = (trial_arm(self.config, self.config.arm(arm)) for arm, _ in remaining)
        names = dict.fromkeys(arm.name for arm in arms if arm is not None)
        seeds = {seed for _, seed in remaining} | ({RATE_SEED} if names else set())
        list(run_jobs(pool, _train_shared, sorted(seeds)))
        list(run_jobs(pool, _choose_rate, names, failures))
        yield from run_jobs(pool, _run, remaining, failures)

    def _incompatibility(self, older: str) -> str | None:
        """Return why the study in the folder cannot be continued; None if it can.

        Arms and seeds can be added; an arm that exists cannot change.
        """
        try:
            before = parse_architectures(older, "the older configuration")
        except InvalidInputError as error:
            return str(error)
        now = {arm.name: _without_seeds(arm) for arm in self.config.arms}
        earlier = [_without_seeds(arm) for arm in before.arms]
        changed = [arm.name for arm in earlier if now.get(arm.name, arm) != arm]
        if changed:
            return f"the arm {changed[0]!r} has another definition"
        if earlier[0].name != self.config.arms[0].name:
            return "the first arm, the reference, is another one"
        same = self.config.with_arms(before.arms, before.seeds)
        return config_difference(older, same)


def prepare(materials: ArmMaterials) -> None:
    """Compute everything that all runs share, or read it from the folder of the study."""
    arms = materials.config.arms
    _ = materials.training_features, materials.validation_features
    if any(arm.input in TEXT_INPUTS for arm in arms):
        _ = materials.tagger, materials.out_of_fold_logits


def run_arm(materials: ArmMaterials, arm: Arm, seed: int) -> str:
    """Train and evaluate an arm with a seed, store the result, and return the name of the run."""
    trainer = ArmTrainer(materials, arm, seed)
    folder = trainer.train()
    questions = evaluation_questions(materials, seed)
    progress = prefixed(materials.progress, trainer.name)
    evaluator = ArmEvaluator(materials, questions, progress)
    truth = evaluator.truth() if arm.input == "true tags" else {}
    model = answering_model(arm, folder, materials, truth)
    agent = model if isinstance(model, ToolAgent) else None
    logs = [
        entry
        for stage in materials.recipe.stages[len(shared_stages(materials.recipe)) :]
        for entry in read_log(trainer.folder / stage.name / LOG)
    ]
    result = ArmResult(
        arm=arm.name,
        seed=seed,
        trials=evaluator.trials(model),
        scenes=evaluator.scene_trials(model),
        responses=() if agent is None else evaluator.agent_responses(agent),
        roles=questions.roles,
        sets=questions.sets,
        cost=arm_cost(materials, arm),
        n_steps=len(logs),
        n_questions=trainer.n_questions(),
        seconds_per_step=float(np.median([entry["seconds"] for entry in logs])),
        rate=trainer.rate,
        rate_losses={str(factor): loss for factor, loss in trainer.rate_losses().items()},
        codebook=_codebook(materials, arm, folder),
        losses=tuple(entry["loss"] for entry in logs),
        start=run_start(),
    )
    store_result(materials.folder, result)
    return trainer.name


def _codebook(materials: ArmMaterials, arm: Arm, folder: Path) -> dict[str, float | None]:
    """Return the use of the codes of a trained arm; {} without a codebook."""
    if arm.connector.kind not in ("codes", "quantized"):
        return {}
    net = load_ltu(folder, materials.recipe.base).net
    return codebook_measures(net, materials.training_features)


def _without_seeds(arm: Arm) -> Arm:
    """Return an arm without its number of seeds, which can change in a study that has started."""
    return replace(arm, seeds=0)


def _build_materials(text: str, folder: Path) -> ArmMaterials:
    config = parse_architectures(text, "the configuration of the study")
    return ArmMaterials(config, folder, ignore_progress)


def _train_shared(materials: ArmMaterials, seed: int) -> None:
    ArmTrainer(materials, materials.config.arms[0], seed).train_shared()


def _choose_rate(materials: ArmMaterials, arm: str) -> None:
    _ = ArmTrainer(materials, materials.config.arm(arm), RATE_SEED).rate


def _run(materials: ArmMaterials, run: tuple[str, int]) -> str:
    arm, seed = run
    return run_arm(materials, materials.config.arm(arm), seed)
