"""Install an evaluated training of the recipe "mini" as `LTU.from_pretrained("mini")`.

Usage: python scripts/ship_mini.py TRAINING
"""

import csv
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marks import replace_section

from audioprobe.datasets.synthetic import ProceduralPalette
from audioprobe.io.json_codec import from_json
from audioprobe.models.ltu.checkpoint import ADAPTER, CARD, load_ltu
from audioprobe.models.ltu.shipped import MINI
from audioprobe.plots.training_curves import read_log, save_curves
from audioprobe.small_ltu.building import MODEL, RECIPE
from audioprobe.small_ltu.curriculum import ALIGNMENT
from audioprobe.small_ltu.evaluation import LABELS, PARTS
from audioprobe.small_ltu.measures import EvaluationResult, results_table
from audioprobe.small_ltu.recipe import Recipe
from audioprobe.training.trainer import LOG
from audioprobe.training_data import TRAINING_DATA, TrainingData

ROOT = Path(__file__).parents[1]
EVALUATION, RESULTS = "evaluation", "evaluation-test"
EVERY = 10  # steps between the rows of the log in the documentation


def ship(training: Path) -> None:
    """Copy model and results, write the model card, and plot the loss for the documentation."""
    recipe = from_json(Recipe, (training / RECIPE).read_text(encoding="utf-8"))
    shutil.rmtree(MINI, ignore_errors=True)
    (MINI / EVALUATION).mkdir(parents=True)
    for name in (ADAPTER, CARD, TRAINING_DATA):
        shutil.copyfile(training / MODEL / name, MINI / name)  # without the permissions of the file
    shutil.copy(training / RECIPE, MINI / RECIPE)
    shutil.copy(ROOT / "LICENSE", MINI / "LICENSE")
    results = []
    measured = [part for part in PARTS if (training / RESULTS / f"{part}.json").is_file()]
    for part in measured:
        text = (training / RESULTS / f"{part}.json").read_text(encoding="utf-8")
        (MINI / EVALUATION / f"{part}.json").write_text(text, encoding="utf-8")
        results.append(from_json(EvaluationResult, text))
    stages = [ALIGNMENT, *(stage.name for stage in recipe.stages)]
    logs = {name: read_log(training / name / LOG) for name in stages}
    save_curves(logs, ROOT / "docs" / "images" / "mini-curves.png")
    write_log(logs, ROOT / "docs" / "mini-log.csv")
    table = results_table(results).to_markdown()
    page = ROOT / "docs" / "small-ltu.md"
    text = replace_section(page.read_text(encoding="utf-8"), EVALUATION, table, page)
    page.write_text(text, encoding="utf-8")
    labels = (training / RESULTS / LABELS).read_text(encoding="utf-8").splitlines()
    scenes, training_data = recipe.scenes, TrainingData.from_csv(MINI / TRAINING_DATA, MINI.name)
    card = (Path(__file__).parent / "mini_card.md").read_text(encoding="utf-8")
    (MINI / "README.md").write_text(
        card.format(
            n_concepts=len(labels),
            labels=", ".join(labels),
            n_sources=len(ProceduralPalette(scenes.sources or None).concepts),
            n_train=f"{scenes.n_train:,}",
            max_sources=scenes.max_sources,
            bare_share=f"{scenes.bare_share:.0%}",
            recorded_share=f"{1 - scenes.synthesised_share:.0%}",
            n_recordings=f"{len(training_data.recordings):,}",
            n_tokens=load_ltu(MINI).net.config.audio.n_steps,
            megabytes=(MINI / ADAPTER).stat().st_size / 1e6,
            seconds=duration_text(logs),
            table=table,
        ),
        encoding="utf-8",
    )


def write_log(logs: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Write every tenth step of every stage as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("part", "step", "loss", "rate", "norm", "seconds"))
        for stage, log in logs.items():
            for entry in log[::EVERY]:
                numbers = (f"{entry[key]:.4g}" for key in ("loss", "rate", "norm", "seconds"))
                writer.writerow((stage, int(entry["step"]), *numbers))


def duration_text(logs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Return a sentence with the duration of each stage."""
    minutes = {stage: sum(e["seconds"] for e in log) / 60 for stage, log in logs.items()}
    listed = ", ".join(f"{stage} {spent:.0f}" for stage, spent in minutes.items())
    return (
        f"The training took {sum(minutes.values()) / 60:.1f} hours on two cores of an Intel Xeon "
        "(Sapphire Rapids) without a GPU, in two processes, after about 10 minutes for the "
        f"features of the scenes; in minutes: {listed}."
    )


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
