"""A recipe that trains in seconds, on a tiny LLaMA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.progress import ProgressEvent
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.encoder_training import EncoderStage
from audioprobe.small_ltu.recipe import PretrainedEncoder, Recipe, RecipeStage, SceneConfig
from audioprobe.training.arguments import TrainingArguments

ARGUMENTS = TrainingArguments(steps=3, learning_rate=1e-3, warmup_steps=1, save_every=1)
SOURCES = ("crow", "siren", "cricket", "bell", "rain")


def recipe(base: Path) -> Recipe:
    """Five synthesised sources, one encoder stage and two stages of three steps."""
    counts: dict[str, Any] = {"scenes": 2, "questions_per_scene": 2, "max_tokens": 200}
    return Recipe(
        base=str(base),
        scenes=SceneConfig(
            n_train=12, max_sources=2, sources=SOURCES, recordings=False, n_validation=2
        ),
        encoder_stages=(EncoderStage(arguments=ARGUMENTS, batch_size=4, visible_share=0.5),),
        stages=(
            RecipeStage(name="projector", train="projector", arguments=ARGUMENTS, **counts),
            RecipeStage(
                name="closed",
                train="encoder+projector+lora",
                arguments=ARGUMENTS,
                audio_pairs=1,
                single_source_clips=1,
                **counts,
            ),
        ),
        encoder=CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24),
    )


def on_yamnet(trained: Recipe) -> Recipe:
    """The same recipe on frozen features of YAMNet."""
    stages = tuple(
        replace(stage, train=stage.train.replace("encoder+", "")) for stage in trained.stages
    )
    return replace(trained, encoder=PretrainedEncoder("yamnet"), encoder_stages=(), stages=stages)


class StopError(Exception):
    """Ends a training run."""


def adapters_with_and_without_interruption(
    wanted: Recipe, folder: Path, stage: str, done: int
) -> tuple[Path, dict[str, Tensor], dict[str, Tensor]]:
    """Train a recipe twice, once interrupted at a step of a stage and resumed.

    Return the folder of the model of the uninterrupted training, the weights of the resumed
    training, and those of the uninterrupted training.
    """

    def stop(event: ProgressEvent) -> None:
        if (event.stage, event.done) == (stage, done):
            raise StopError

    with pytest.raises(StopError):
        Curriculum(wanted, folder / "interrupted", progress=stop).train()
    resumed = Curriculum(wanted, folder / "interrupted").train()
    complete = Curriculum(wanted, folder / "complete").train()
    first, second = (load_file(model / "adapter.safetensors") for model in (resumed, complete))
    return complete, first, second
