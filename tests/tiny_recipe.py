"""A curriculum of seconds, on a tiny LLaMA."""

from pathlib import Path

from audioprobe.models.ltu.audio_encoder import CavMaeConfig
from audioprobe.small_ltu.encoder_training import Lesson
from audioprobe.small_ltu.recipe import Recipe, RecipeAudio, RecipeStage
from audioprobe.training.trainer import TrainingArguments

PLAN = TrainingArguments(steps=3, learning_rate=1e-3, warmup_steps=1, save_every=1)
SOURCES = ("crow", "siren", "cricket", "bell", "rain")


def recipe(base: Path) -> Recipe:
    """Five synthesised sources, a lesson and two stages of three steps."""
    stage = RecipeStage(
        "closed", ("encoder", "projector", "lora"), PLAN, 2, 2, (), 1, 1, cutoff=200
    )
    return Recipe(
        base=str(base),
        sounds=RecipeAudio(n_train=12, most=2, sources=SOURCES, recordings=False, n_validation=2),
        lessons=(Lesson(PLAN, batch_size=4, seen=0.5),),
        stages=(RecipeStage("projector", ("projector",), PLAN, 2, 2, cutoff=200), stage),
        encoder=CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24),
    )
