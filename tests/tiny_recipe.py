"""A curriculum of seconds, on a tiny LLaMA."""

from pathlib import Path

from audioprobe.nets.cavmae import CavMaeConfig
from audioprobe.training.encoder import Lesson
from audioprobe.training.loop import Plan
from audioprobe.training.recipe import Recipe, Sounds, Stage

PLAN = Plan(steps=3, learning_rate=1e-3, warmup=1, save_every=1)
SOURCES = ("crow", "siren", "cricket", "bell", "rain")


def recipe(base: Path) -> Recipe:
    """Five synthesised sources, a lesson and two stages of three steps."""
    stage = Stage("closed", ("encoder", "projector", "lora"), PLAN, 2, 2, (), 1, 1, cutoff=200)
    return Recipe(
        base=str(base),
        sounds=Sounds(n_train=12, most=2, sources=SOURCES, recordings=False, n_validation=2),
        lessons=(Lesson(PLAN, batch_size=4, seen=0.5),),
        stages=(Stage("projector", ("projector",), PLAN, 2, 2, cutoff=200), stage),
        encoder=CavMaeConfig(width=24, n_heads=2, n_blocks=1, mlp_width=24),
    )
