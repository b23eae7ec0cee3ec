"""Charts of training losses, and of the similarity of hidden states, in the report of a study."""

from collections.abc import Sequence

import numpy as np

from audioprobe.experiments.finetuning.analysis import StudySummary
from audioprobe.experiments.finetuning.comparison import FACTORS
from audioprobe.experiments.finetuning.storage import StudyTable, group, select
from audioprobe.reports.curve_charts import curves
from audioprobe.reports.html import Item


def training_charts(summary: StudySummary) -> list[Item]:
    """Return a chart of the training losses; [] if there are none."""
    losses = select(summary.table, measure="training loss", arm="")
    if not losses:
        return []
    caption = "Loss by step and trainable modules. Thin lines: runs; thick line: their mean."
    return [curves(_curves(losses, ("run",)), "step", "loss, nats", caption, first=1)]


def similarity_charts(summary: StudySummary) -> list[Item]:
    """Return a chart per condition of the similarity of hidden states with those before."""
    items: list[Item] = []
    rows = [r for r in select(summary.table, arm="") if r.measure.startswith("similarity")]
    for (measure,), of_measure in group(rows, ("measure",)).items():
        inputs = str(measure).split()[1]
        caption = (
            f"Similarity of the hidden states ({inputs} inputs) with those before fine-tuning, by "
            "layer and trainable modules. Thin lines: strategies; thick line: their mean. 1 means "
            "unchanged; layer 0 is the embedding layer."
        )
        by_level = _curves(of_measure, FACTORS)
        items.append(curves(by_level, "layer", f"CKA with before, {inputs}", caption))
    return items


def _curves(table: StudyTable, by: Sequence[str]) -> dict[str, list[list[float | None]]]:
    """Return a curve (mean value at each item) per group of runs, keyed by trainable level."""
    by_level: dict[str, list[list[float | None]]] = {}
    for (level, *_), rows in group(table, ("trainable", *by)).items():
        values = [np.mean([r.value for r in item]) for item in group(rows, ("item",)).values()]
        by_level.setdefault(str(level), []).append([float(value) for value in values])
    return by_level
