"""What the recipe `quick` hears after its training: minutes, and AUC on scenes it never heard."""

import sys
import tempfile
import time

from audioprobe import LTU, LikelihoodClassifier, Synthetic
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.recipe import read_recipe
from audioprobe.training.examples import LABELS_QUESTION
from side_by_side import finish

BAR = 0.75


def main() -> None:
    """Train, and ask which of its four sources is heard."""
    recipe = read_recipe("quick")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model = LTU.from_pretrained(Curriculum(recipe, folder).train())
    minutes = (time.perf_counter() - began) / 60
    scenes = Synthetic(n_clips=40, max_sources=1, palette=recipe.scenes.sources, seed=0)
    classifier = LikelihoodClassifier(model, question=LABELS_QUESTION, template="Labels: {}")
    auc = classifier(scenes.clips("test"), scenes.labels).evaluate().auc
    sys.stdout.write(f"quick: {minutes:.1f} minutes, macro AUC {auc} (bar {BAR})\n")
    finish(auc.value is not None and auc.value >= BAR)


if __name__ == "__main__":
    main()
