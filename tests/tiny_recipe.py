"""A recipe that trains in seconds, on a tiny LLaMA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.small_ltu.encoder_training import EncoderStage
from audioprobe.small_ltu.recipe import PretrainedEncoder, Recipe, RecipeStage, SceneConfig
from audioprobe.training.trainer import TrainingArguments

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
