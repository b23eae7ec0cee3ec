"""The quick recipe learns to hear within two minutes, and learns nothing from shuffled labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioprobe import LTU, LikelihoodClassifier, Synthetic
from audioprobe.datasets.synthetic.palettes import Procedural
from audioprobe.training.curriculum import Curriculum
from audioprobe.training.questions import LABELS
from audioprobe.training.recipe import read_recipe
from audioprobe.types import ComponentInfo, Float64Array

RECIPE = read_recipe("quick")
N_CLIPS = 40


class Shuffled:
    """A palette that makes any source, whichever is asked for."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._palette = Procedural(sources)
        self.concepts = self._palette.concepts

    @property
    def info(self) -> ComponentInfo:
        return ComponentInfo("palette", "shuffled", "1", {}, {"of": self._palette.info})

    def fill(self, concept: str, rng: np.random.Generator, n: int) -> Float64Array:
        return self._palette.fill(str(rng.choice(self.concepts)), rng, n)

    def alone(self, concept: str, rng: np.random.Generator) -> Float64Array:
        return self._palette.alone(str(rng.choice(self.concepts)), rng)


def auc_after(curriculum: Curriculum) -> float:
    """On scenes that are what they are said to be, and that were not trained on."""
    model = LTU.from_pretrained(curriculum.train())
    scenes = Synthetic(n_clips=N_CLIPS, most=1, palette=RECIPE.sounds.sources, seed=0)
    classifier = LikelihoodClassifier(model, question=LABELS, template="Labels: {}")
    value = classifier(scenes.clips("test"), scenes.labels).evaluate().auc.value
    assert value is not None
    return value


def test_a_quick_training_hears_what_it_learned(tmp_path: Path) -> None:
    assert auc_after(Curriculum(RECIPE, tmp_path)) > 0.75


def test_shuffled_labels_teach_nothing(tmp_path: Path) -> None:
    curriculum = Curriculum(RECIPE, tmp_path)
    curriculum.scenes = Synthetic(
        n_clips=RECIPE.sounds.n_train, most=1, palette=Shuffled(RECIPE.sounds.sources), seed=0
    )
    assert abs(auc_after(curriculum) - 0.5) < 0.15
