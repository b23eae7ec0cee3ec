"""Put a training that has been examined into the library, as `LTU.from_pretrained("mini")`.

Usage: python scripts/ship_mini.py TRAINING
"""

import csv
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marks import filled

from audioprobe.datasets.synthetic import ProceduralPalette
from audioprobe.io.json_codec import from_json
from audioprobe.models.ltu.checkpoint import ADAPTER, MINI
from audioprobe.models.ltu.model_card import CARD
from audioprobe.reports.training_curves import read_log, save_curves
from audioprobe.small_ltu.curriculum import MODEL, RECIPE
from audioprobe.small_ltu.evaluation.evaluation import LABELS, PARTS
from audioprobe.small_ltu.evaluation.measures import EvaluationResult, table_of
from audioprobe.small_ltu.recipe import Recipe
from audioprobe.training.trainer import LOG
from audioprobe.training_data import TRAINING_DATA

ROOT = Path(__file__).parents[1]
EVERY = 10  # steps between the rows of the log in the docs


def ship(training: Path) -> None:
    """Copy the model with its findings, write its card, and draw its curves for the docs."""
    recipe = from_json(Recipe, (training / RECIPE).read_text(encoding="utf-8"))
    shutil.rmtree(MINI, ignore_errors=True)
    (MINI / "exam").mkdir(parents=True)
    for name in (ADAPTER, CARD, TRAINING_DATA):
        shutil.copyfile(training / MODEL / name, MINI / name)  # readable by everybody
    shutil.copy(training / RECIPE, MINI / RECIPE)
    shutil.copy(ROOT / "LICENSE", MINI / "LICENSE")
    found = []
    for part in PARTS:
        text = (training / "exam" / f"{part}.json").read_text(encoding="utf-8")
        (MINI / "exam" / f"{part}.json").write_text(text, encoding="utf-8")
        found.append(from_json(EvaluationResult, text))
    parts = [f"encoder-{n}" for n in range(1, len(recipe.lessons) + 1)]
    logs = {name: read_log(training / name / LOG) for name in parts}
    logs |= {stage.name: read_log(training / stage.name / LOG) for stage in recipe.stages}
    save_curves(logs, ROOT / "docs" / "images" / "mini-curves.png")
    write_log(logs, ROOT / "docs" / "mini-log.csv")
    table = table_of(found).to_markdown()
    page = ROOT / "docs" / "small-ltu.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), "exam", table, page), encoding="utf-8")
    card = (Path(__file__).parent / "mini_card.md").read_text(encoding="utf-8")
    labels = (training / "exam" / LABELS).read_text(encoding="utf-8").splitlines()
    (MINI / "README.md").write_text(
        card.format(
            n_concepts=len(labels),
            labels=", ".join(labels),
            n_sources=len(ProceduralPalette(recipe.sounds.sources or None).concepts),
            n_train=f"{recipe.sounds.n_train:,}",
            most=recipe.sounds.most,
            bare=f"{recipe.sounds.bare:.0%}",
            megabytes=(MINI / ADAPTER).stat().st_size / 1e6,
            seconds=timing(logs),
            table=table,
        ),
        encoding="utf-8",
    )


def write_log(logs: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Every tenth step of every part."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("part", "step", "loss", "rate", "norm", "seconds"))
        for part, log in logs.items():
            for entry in log[::EVERY]:
                numbers = (f"{entry[key]:.4g}" for key in ("loss", "rate", "norm", "seconds"))
                writer.writerow((part, int(entry["step"]), *numbers))


def timing(logs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """How long each part took, as a sentence."""
    minutes = {part: sum(e["seconds"] for e in log) / 60 for part, log in logs.items()}
    listed = ", ".join(f"{part} {spent:.0f}" for part, spent in minutes.items())
    return (
        f"The training took {sum(minutes.values()) / 60:.1f} hours on two cores of an Intel Xeon "
        "(Sapphire Rapids) without a GPU, after about 10 minutes for the scenes; in minutes: "
        f"{listed}."
    )


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
