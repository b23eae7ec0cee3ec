"""A trained model recognises held-out scenes; after training on shuffled labels it does not.

The LLaMA is tiny and random; `benchmarks/quick.py` does the same with the recipe `quick` and its
language model.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_ltu import write_base

from audioprobe import LTU, LikelihoodClassifier, Synthetic
from audioprobe.datasets.synthetic import ProceduralPalette
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.recipe import Recipe, RecipeLora, RecipeStage, SceneConfig, read_recipe
from audioprobe.training.arguments import TrainingArguments
from audioprobe.training.examples import LABELS_QUESTION
from audioprobe.types import ComponentInfo, Float64Array

pytestmark = pytest.mark.slow  # trains two models until they recognise sources

N_CLIPS = 40
SOURCES = ("crow", "siren", "cricket", "bell")
ADAPTERS = RecipeLora(
    rank=32,
    alpha=64,
    targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    dropout=0.0,
)


def recipe(base: Path) -> Recipe:
    """The encoder of `quick`, and LoRA of a rank that lets random weights learn four labels."""
    encoder_stage = read_recipe("quick").encoder_stages[0]
    stage = RecipeStage(
        name="all",
        train="all",
        arguments=TrainingArguments(steps=80, learning_rate=5e-3, warmup_steps=10),
        scenes=8,
        questions_per_scene=1,
        tasks=("labels",),
        max_tokens=200,
    )
    return Recipe(
        base=str(base),
        scenes=SceneConfig(
            n_train=128,
            n_validation=3,
            max_sources=1,
            bare_share=0.0,
            sources=SOURCES,
            recordings=False,
        ),
        encoder_stages=(
            replace(
                encoder_stage,
                arguments=replace(encoder_stage.arguments, steps=160, precision="float32"),
            ),
        ),
        stages=(stage,),
        encoder=read_recipe("quick").encoder,
        lora=ADAPTERS,
    )


class Shuffled:
    """A palette that synthesises a random source instead of the requested one."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._palette = ProceduralPalette(sources)
        self.concepts = self._palette.concepts

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("palette", "shuffled", "1", {}, {"of": self._palette.info})

    def render(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        return self._palette.render(str(rng.choice(self.concepts)), rng, n)

    def render_isolated(self, concept: str, rng: np.random.Generator) -> Float64Array:
        return self._palette.render_isolated(str(rng.choice(self.concepts)), rng)


@pytest.fixture
def curriculum(tmp_path: Path) -> Curriculum:
    (tmp_path / "base").mkdir()
    write_base(tmp_path / "base", with_sound=False)
    return Curriculum(recipe(tmp_path / "base"), tmp_path / "training")


def auc_after(curriculum: Curriculum) -> float:
    """Macro AUC on held-out scenes with correct labels, after training."""
    model = LTU.from_pretrained(curriculum.train(), base=curriculum.recipe.base)
    scenes = Synthetic(n_clips=N_CLIPS, max_sources=1, palette=SOURCES, seed=0)
    classifier = LikelihoodClassifier(model, question=LABELS_QUESTION, template="Labels: {}")
    value = classifier(scenes.clips("test"), scenes.labels).evaluate().auc.value
    assert value is not None
    return value


def test_trained_model_recognises_held_out_scenes(curriculum: Curriculum) -> None:
    assert auc_after(curriculum) > 0.75


def test_shuffled_labels_leave_the_model_at_chance(curriculum: Curriculum) -> None:
    n_clips = curriculum.recipe.scenes.n_train
    curriculum.scenes = Synthetic(n_clips=n_clips, max_sources=1, palette=Shuffled(SOURCES), seed=0)
    assert abs(auc_after(curriculum) - 0.5) < 0.15
