"""Training of the arms: shared stages, choice of the connector's learning rate, and all stages."""

import json
import math
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from audioprobe.errors import TrainingError
from audioprobe.experiments.architectures.config import (
    TEXT_INPUTS,
    ArchitecturesConfig,
    Arm,
    Budget,
    shared_stages,
)
from audioprobe.experiments.architectures.cost import arm_cost
from audioprobe.experiments.architectures.inputs import rewrite_of
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.io.atomic import atomic_write, staged_directory
from audioprobe.models.ltu.trainable import LTUPrompts, TrainableLTU
from audioprobe.parsing import parse_json
from audioprobe.progress import prefixed
from audioprobe.small_ltu.building import MODEL, TRAIN
from audioprobe.small_ltu.curriculum import Curriculum, step_records
from audioprobe.small_ltu.recipe import Recipe, RecipeStage
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import encode_record
from audioprobe.training.trainer import training_lock

TRAINING, SHARED, TRIALS, RATES = "training", "shared", "rate-trials", "rates"
RATE_SEED = 0
"""Seed with which the learning rate is chosen, for all seeds."""
_LOSS_BATCH = 16  # validation questions per forward pass
_MAX_ADDED = 400  # largest number of tokens that a caption or the result of a tool adds


@dataclass(frozen=True, eq=False)
class ArmTrainer:
    """Training of an arm with a seed, in folders of a study.

    Attributes:
        materials: data of the study.
        arm: the architecture.
        seed: seed of initial weights, questions and held-out relations.
    """

    materials: ArmMaterials
    arm: Arm
    seed: int

    @property
    def name(self) -> str:
        """Name of arm and seed, for files."""
        return f"{self.arm.name}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Folder of the training."""
        return self.materials.folder / TRAINING / self.name

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of this arm and seed, with the chosen learning rate."""
        ratio = self._step_ratio(self.arm.budget)
        return arm_recipe(self.materials.recipe, self.arm, self.seed, self.rate, ratio)

    @property
    def model_folder(self) -> Path:
        """Folder of the trained model."""
        return self.folder / MODEL

    def train(self) -> Path:
        """Train the arm, or resume its training; return the folder of the model.

        Raises:
            TrainingError: if the training diverges, or another process trains in the folder.
        """
        if not self.model_folder.is_dir():
            self._copy_shared(self.folder)
            self._curriculum(self.recipe, self.folder).train()
        return self.model_folder

    def n_questions(self) -> int:
        """Return the number of questions of the stages with audio, with repetitions.

        A question that becomes several questions in text counts once.
        """
        n_scenes = len(self.materials.training_features)
        sampler = self._curriculum(self.recipe, self.folder).qa_sampler(TRAIN, n_scenes)
        return sum(
            len(step_records(sampler, stage, number))
            for stage in self.recipe.stages[len(shared_stages(self.recipe)) :]
            for number in range(stage.arguments.steps)
        )

    @cached_property
    def rate(self) -> float:
        """Factor of the connector's learning rate: that with the lowest validation loss.

        It is chosen once for each arm, with the first seed; 1 for arms without a connector. A trial
        that diverges has no loss. Arms that differ in their budget alone share the choice.
        """
        tried = self.rate_losses()
        if not tried:
            return 1.0
        losses = {factor: loss for factor, loss in tried.items() if loss is not None}
        if not losses:
            raise TrainingError(
                f"Arm {self.arm.name!r}: the training diverged at all learning rates. Lower those "
                "of the recipe, or add smaller factors."
            )
        return min(losses, key=lambda factor: (losses[factor], factor))

    def rate_losses(self) -> dict[float, float | None]:
        """Return the validation loss for each factor of the learning rate, from stored trials.

        It is empty for arms without a connector.
        """
        arm = trial_arm(self.materials.config, self.arm)
        if arm is None:
            return {}
        trials = replace(self, arm=arm, seed=RATE_SEED)
        path = self.materials.folder / RATES / f"{arm.name}.json"
        stored = parse_json(path.read_text(encoding="utf-8")) if path.is_file() else {}
        losses: dict[float, float | None] = {float(key): value for key, value in stored.items()}
        for factor in self.materials.config.rates.factors:
            if factor not in losses:
                losses[factor] = trials.validation_loss(factor)
                path.parent.mkdir(exist_ok=True)
                atomic_write(path, json.dumps({str(key): loss for key, loss in losses.items()}))
        return losses

    def validation_loss(self, factor: float) -> float | None:
        """Return the validation loss after a short training; None if it diverged."""
        steps = self.materials.config.rates.steps
        recipe = arm_recipe(self.materials.recipe, self.arm, self.seed, factor)
        n_shared = len(shared_stages(recipe))
        stage = recipe.stages[n_shared]
        short = replace(stage, arguments=replace(stage.arguments, steps=steps))
        recipe = replace(recipe, stages=(*recipe.stages[:n_shared], short))
        folder = self.materials.folder / TRIALS / f"{self.name}-{factor:g}"
        folder.mkdir(parents=True, exist_ok=True)
        self._copy_shared(folder)
        loss = math.nan
        # The lock is outside of `suppress`, because a folder in use does not mean divergence.
        with training_lock(folder), suppress(TrainingError):
            loss = self._loss(self._curriculum(recipe, folder), short)
        shutil.rmtree(folder)
        return loss if math.isfinite(loss) else None

    def _loss(self, curriculum: Curriculum, stage: RecipeStage) -> float:
        """Return the validation loss of a model after the stages of a curriculum."""
        checkpoint = curriculum.train_stages()
        cache = self.materials.validation_features
        sampler = curriculum.qa_sampler("validation", len(cache))
        number = replace(stage, scenes=len(cache), single_source_clips=0, text_pairs=0)
        records = sampler.records(number, 0)
        prompts, loss = LTUPrompts(checkpoint.tokenizer), AnswerLoss(TrainableLTU(checkpoint.net))
        examples = [encode_record(r, prompts, max_tokens=stage.max_tokens) for r in records]
        total = 0.0
        for start in range(0, len(examples), _LOSS_BATCH):
            batch = examples[start : start + _LOSS_BATCH]
            ids = sorted({example.audio_id for example in batch if example.audio_id})
            rows = torch.tensor([int(audio_id) for audio_id in ids], dtype=torch.long)
            audio = dict(zip(ids, cache.features(rows), strict=True))
            packed = collate(batch, audio, targets="answer", pad_id=prompts.eos_token_id)
            with torch.no_grad(), stage.arguments.autocast("cpu"):
                total += float(loss.eval()(packed)) * len(batch)
        return total / len(examples)

    def train_shared(self) -> None:
        """Train the stages that all arms of this seed share, unless they are finished."""
        recipe = self._shared_recipe
        if recipe is not None and not (self._shared_folder / MODEL).is_dir():
            Curriculum(
                recipe,
                self._shared_folder,
                recordings=self.materials.config.recordings or None,
                features=self.materials.feature_folder,
                progress=prefixed(self.materials.progress, f"shared stages, seed {self.seed}"),
            ).train()

    def _copy_shared(self, folder: Path) -> None:
        """Copy the shared stages of this seed to a folder."""
        recipe = self._shared_recipe
        if recipe is None:
            return
        self.train_shared()
        for stage in recipe.stages:
            if not (folder / stage.name).is_dir():
                with staged_directory(folder / stage.name) as copy:
                    shutil.copytree(self._shared_folder / stage.name, copy, dirs_exist_ok=True)

    @property
    def _shared_folder(self) -> Path:
        return self.materials.folder / TRAINING / f"{SHARED}-{self.seed}"

    @property
    def _shared_recipe(self) -> Recipe | None:
        """Recipe of the stages that all arms share; None if there are none."""
        stages = shared_stages(self.materials.recipe)
        if not stages:
            return None
        recipe = arm_recipe(self.materials.recipe, Arm(name=SHARED), self.seed, 1.0)
        return replace(recipe, alignment=None, stages=recipe.stages[: len(stages)])

    def _curriculum(self, recipe: Recipe, folder: Path) -> Curriculum:
        return Curriculum(
            recipe,
            folder,
            recordings=self.materials.config.recordings or None,
            features=self.materials.feature_folder,
            rewrite=rewrite_of(self.arm, self.materials),
            progress=prefixed(self.materials.progress, self.name),
        )

    def _step_ratio(self, budget: Budget) -> float:
        """Return the number of steps relative to the recipe."""
        if budget == "examples":
            return 1.0
        reference = self.materials.config.arms[0]
        return arm_cost(self.materials, reference).flops / arm_cost(self.materials, self.arm).flops


def arm_recipe(recipe: Recipe, arm: Arm, seed: int, rate: float, ratio: float = 1.0) -> Recipe:
    """Return the recipe of an arm.

    Args:
        recipe: recipe of the study.
        arm: the architecture.
        seed: seed of initial weights, questions and held-out relations.
        rate: factor of the learning rate of alignment and connector.
        ratio: factor of the number of steps of the stages with audio.
    """
    alignment = recipe.alignment if arm.input == "tokens" else None
    if alignment is not None:
        faster = alignment.arguments.learning_rate * rate
        arguments = replace(alignment.arguments, learning_rate=faster, seed=seed)
        alignment = replace(alignment, arguments=arguments)
    n_shared = len(shared_stages(recipe))
    # A longer question must not truncate the answer.
    added = _MAX_ADDED if arm.input in TEXT_INPUTS else 0
    stages = [
        replace(
            stage,
            train=stage.train if n < n_shared else arm.modules,
            connector_rate=1.0 if n < n_shared else rate / arm.language_rate,
            max_tokens=stage.max_tokens + (0 if n < n_shared else added),
            arguments=replace(
                stage.arguments,
                seed=seed,
                learning_rate=stage.arguments.learning_rate
                * (1.0 if n < n_shared else arm.language_rate),
                steps=round(stage.arguments.steps * (1.0 if n < n_shared else ratio)),
            ),
        )
        for n, stage in enumerate(recipe.stages)
    ]
    return replace(
        recipe, seed=seed, connector=arm.connector, alignment=alignment, stages=tuple(stages)
    )


def trial_arm(config: ArchitecturesConfig, arm: Arm) -> Arm | None:
    """Return the arm whose trials choose the learning rate of an arm; None without a connector.

    It is another arm if the two differ in their budget alone.
    """
    if arm.input != "tokens":
        return None
    return next(other for other in config.arms if _network(other) == _network(arm))


def _network(arm: Arm) -> tuple[object, ...]:
    """Return what the best learning rate depends on."""
    return arm.connector, arm.train, arm.input, arm.language_rate
