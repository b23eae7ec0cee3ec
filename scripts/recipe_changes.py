"""Effect of single changes to the recipe `mini-yamnet`, measured on the validation packages.

Usage: python scripts/recipe_changes.py FOLDER RECORDINGS [CHANGE ...]

Every variant is a short training of the stage "recognition" (150 steps) that differs in one
setting. The folder keeps features, trainings and results, so an interrupted comparison continues;
variants with the same scenes and encoder share the features. The test packages are not used.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from audioprobe.cli.progress import progress_bars
from audioprobe.io.json_codec import to_json
from audioprobe.io.text_table import Table
from audioprobe.scorers.embedding import EmbeddingScorer
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.evaluation import SmallLTUEvaluation
from audioprobe.small_ltu.recipe import PretrainedEncoder, Recipe, RecipeLora, read_recipe

STEPS = 150
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def short_recipe() -> Recipe:
    """Return the recipe with its first stage only, and fewer steps."""
    recipe = read_recipe("mini-yamnet")
    first = recipe.stages[0]
    stage = replace(first, arguments=replace(first.arguments, steps=STEPS))
    return replace(recipe, stages=(stage,))


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "none": lambda recipe: recipe,
    "no alignment with words": lambda recipe: replace(recipe, alignment=None),
    "LoRA of rank 16 in all layers": lambda recipe: replace(
        recipe, lora=RecipeLora(rank=16, alpha=32, targets=ALL_LINEAR)
    ),
    "tokens every 0.32 s": lambda recipe: replace(
        recipe, encoder=PretrainedEncoder("yamnet", {"hop": 0.32})
    ),
    "half of the sources synthesised": lambda recipe: replace(
        recipe, scenes=replace(recipe.scenes, synthesised_share=0.5)
    ),
    "caption wordings from the start": lambda recipe: replace(
        recipe, stages=(replace(recipe.stages[0], tasks=("caption", "labels", "open")),)
    ),
    "encoder trained": lambda recipe: replace(
        recipe,
        encoder=PretrainedEncoder("yamnet", {"hop": 0.48}, trainable=True),
        stages=(replace(recipe.stages[0], train="encoder+projector+lora"),),
    ),
}


def share_features(recipe: Recipe, home: Path) -> None:
    """Link the features of a variant to a folder of all variants with these scenes and encoder."""
    settings = to_json((recipe.scenes, recipe.encoder)).encode()
    shared = home.parent / f"features-{hashlib.sha256(settings).hexdigest()[:8]}"
    shared.mkdir(parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    if not (home / "scenes").exists():
        (home / "scenes").symlink_to(shared.resolve())


def measured(name: str, folder: Path, recordings: Path) -> tuple[str, ...]:
    """Train and evaluate a variant; return its name and the values of its measures."""
    recipe = CHANGES[name](short_recipe())
    home = folder / name.replace(" ", "-")
    share_features(recipe, home)
    with progress_bars() as progress:
        Curriculum(recipe, home, recordings=recordings, workers=2, progress=progress).train()
        results = SmallLTUEvaluation(
            home,
            home / "evaluation-validation",
            EmbeddingScorer.local(),
            split="validation",
            parts=("recordings",),
            recordings=recordings,
            progress=progress,
        )()
    return (name, *(str(m.estimate) for result in results for m in result.measures))


def main() -> None:
    """Compare the changes that are named as arguments, or all."""
    folder, recordings, *names = sys.argv[1:]
    rows = [measured(name, Path(folder), Path(recordings)) for name in names or CHANGES]
    header = ("change", "all labels, AUC", "training labels, AUC", "captions, AUC", "source named")
    sys.stdout.write(Table(header, tuple(rows)).to_markdown() + "\n")


if __name__ == "__main__":
    main()
