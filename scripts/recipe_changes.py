"""Effect of single changes to the recipe `mini`, measured on the validation packages.

Usage: python scripts/recipe_changes.py FOLDER RECORDINGS [CHANGE ...]

Every variant is a short training of the stage "recognition" (60 steps) that differs in one
setting. The folder keeps features, trainings and results, so an interrupted comparison continues;
variants with the same scenes and encoder share the features. The test packages are not used.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from audioprobe.io.json_codec import to_json
from audioprobe.io.text_table import Table
from audioprobe.plots.training_curves import read_log
from audioprobe.progress_bars import progress_bars
from audioprobe.scorers.embedding import EmbeddingScorer
from audioprobe.small_ltu.curriculum import Curriculum
from audioprobe.small_ltu.evaluation import SmallLTUEvaluation
from audioprobe.small_ltu.recipe import PretrainedEncoder, Recipe, RecipeLora, read_recipe
from audioprobe.training.trainer import LOG

STEPS = 60
LAST = 20  # steps of which the loss is averaged


def short_recipe() -> Recipe:
    """Return the recipe with its first stage only, fewer steps, and captions among its tasks."""
    recipe = read_recipe("mini")
    arguments = replace(recipe.stages[0].arguments, steps=STEPS)
    tasks = ("caption", "labels", "open")
    return with_stage(recipe, arguments=arguments, tasks=tasks, plain_captions=True)


def with_stage(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe whose only stage is the first one with other values of its fields."""
    return replace(recipe, stages=(replace(recipe.stages[0], **changes),))


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "none": lambda recipe: recipe,
    "no alignment with words": lambda recipe: replace(recipe, alignment=None),
    "LoRA in queries and values only": lambda recipe: replace(recipe, lora=RecipeLora()),
    "LoRA of rank 16": lambda recipe: replace(recipe, lora=replace(recipe.lora, rank=16, alpha=32)),
    "tokens every 0.32 s": lambda recipe: replace(
        recipe, encoder=PretrainedEncoder("yamnet", {"hop": 0.32})
    ),
    "half of the sources synthesised": lambda recipe: replace(
        recipe, scenes=replace(recipe.scenes, synthesised_share=0.5)
    ),
    "captions in varied wordings": lambda recipe: with_stage(recipe, plain_captions=False),
    "encoder trained": lambda recipe: with_stage(
        replace(recipe, encoder=PretrainedEncoder("yamnet", {"hop": 0.48}, trainable=True)),
        train="encoder+projector+lora",
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
    losses = [entry["loss"] for entry in read_log(home / recipe.stages[0].name / LOG)]
    final = sum(losses[-LAST:]) / LAST
    return (name, f"{final:.2f}", *(str(m.estimate) for part in results for m in part.measures))


def main() -> None:
    """Compare the changes that are named as arguments, or all."""
    folder, recordings, *names = sys.argv[1:]
    rows = [measured(name, Path(folder), Path(recordings)) for name in names or CHANGES]
    header = (
        *("change", f"training loss, last {LAST} steps", "all labels, AUC"),
        *("training labels, AUC", "captions, AUC", "source named"),
    )
    sys.stdout.write(Table(header, tuple(rows)).to_markdown() + "\n")


if __name__ == "__main__":
    main()
