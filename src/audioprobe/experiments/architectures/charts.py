"""Charts of a study of architectures."""

from collections.abc import Mapping, Sequence
from typing import Literal

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.comparison import is_bound
from audioprobe.experiments.architectures.items import (
    CHANCE,
    PRIMARY,
    ROLES,
    SCENE_MEASURES,
    QuestionGroup,
)
from audioprobe.experiments.architectures.location import LOCATIONS
from audioprobe.experiments.architectures.questions import SceneTask
from audioprobe.experiments.architectures.run_tables import costs_of, floats_of, table_rows
from audioprobe.interpretability.locate import STAGES
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.charts import Chart
from audioprobe.reports.curve_charts import curves
from audioprobe.reports.estimate_charts import ScatterPoint, forest, scatter
from audioprobe.reports.heat_maps import matrix
from audioprobe.types import Estimate

_READ_STAGES = STAGES[:4]  # those of linear probes


def primary_chart(summary: ArchitecturesSummary) -> Chart:
    """Return the primary measure of each arm."""
    rows = [
        ForestRow(arm.name, summary.primary(arm.name).estimate, is_bound(arm))
        for arm in summary.arms
    ]
    caption = (
        "Primary measure: balanced accuracy of yes/no questions about clips, for relations that "
        "were not trained; mean over seeds. Diamonds are bounds: arms without audio or with random "
        "vectors, and one that receives the true labels. Intervals resample seeds and concepts. "
        "The dashed line is chance."
    )
    return forest(rows, PRIMARY.name, caption, reference=CHANCE)


def difference_chart(summary: ArchitecturesSummary) -> Chart:
    """Return the difference of each arm from the first one in the primary measure."""
    first = summary.record.config.arms[0].name
    rows = [
        ForestRow(each.first, each.mean.estimate, is_bound(summary.record.config.arm(each.first)))
        for each in summary.differences
    ]
    axis = f"difference from {first}"
    caption = (
        f"Primary measure minus that of {first}, on the same seeds and questions. Intervals are "
        "not corrected; the table has the corrected p-values."
    )
    return forest(rows, axis, caption)


def gap_chart(
    summary: ArchitecturesSummary, part: Literal["difference", "reasoning"] = "difference"
) -> Chart:
    """Return the gap between text and audio of each arm, or its part "reasoning"."""
    rows = [
        ForestRow(arm.name, summary.gaps[arm.name, "relations", part].estimate, is_bound(arm))
        for arm in summary.arms
    ]
    axis = f"part of text minus audio: {part}"
    caption = "Part of the gap from clips whose concept was recognised. Diamonds are bounds."
    if part == "difference":
        axis = "accuracy in text minus accuracy in audio"
        caption = (
            "Accuracy in text minus accuracy in audio on the same questions, relations of all "
            "roles; mean over seeds. Diamonds are bounds."
        )
    return forest(rows, axis, caption)


def role_chart(summary: ArchitecturesSummary) -> Chart:
    """Return the accuracy in audio by what was trained about the relation, for each arm."""
    rows = [
        ForestRow(f"{arm.name}: {name}", estimate, is_bound(arm))
        for arm in summary.arms
        for role, name in ROLES.items()
        if role != "relations"
        for estimate in [summary.accuracies[arm.name, QuestionGroup(role, "audio")].estimate]
    ]
    caption = (
        "Balanced accuracy of yes/no questions about clips, by what was trained about the "
        "relation, and of questions for the concept itself (recognition). The dashed line is "
        "chance."
    )
    return forest(rows, "accuracy in audio", caption, reference=CHANCE)


def scene_charts(summary: ArchitecturesSummary) -> list[Chart]:
    """Return a chart per task of questions about scenes."""
    charts = []
    for task in SCENE_MEASURES:
        rows = _scene_rows(summary, task)
        if rows:
            chance, constant = summary.chance[task], summary.constant[task]
            caption = (
                f"Accuracy of questions about scenes with several sources: {task}. Guesses have an "
                f"accuracy of {chance:.3f}, and the most frequent answer one of {constant:.3f}; "
                "the dashed line is the larger one. Intervals resample seeds and scenes."
            )
            axis = f"accuracy, {task}"
            charts.append(forest(rows, axis, caption, reference=max(chance, constant)))
    return charts


def cost_chart(summary: ArchitecturesSummary) -> Chart:
    """Return accuracy against the operations of a question."""
    points = [
        ScatterPoint(
            arm.name,
            costs_of(summary.record, arm.name).flops / 1e9,
            summary.primary(arm.name).estimate,
            "bound" if is_bound(arm) else "architecture",
        )
        for arm in summary.arms
    ]
    caption = (
        "Primary measure against the floating-point operations of a forward pass over a training "
        "question about audio, without the encoder, which is the same for all arms. The table of "
        "numbers has the names."
    )
    return scatter(points, "GFLOPs per question", PRIMARY.name, caption)


def location_chart(summary: ArchitecturesSummary) -> Chart:
    """Return how well the class of the concept can be read at each stage of each arm."""
    rows: dict[str, dict[str, Estimate]] = {}
    for arm, tables in summary.record.locations.items():
        for row in table_rows(tables[LOCATIONS]):
            if row["answers"] == "all" and row["stage"] in _READ_STAGES:
                cells = rows.setdefault(f"{arm}, {row['group']}", {})
                cells[str(row["stage"])] = _difference(row)
    caption = (
        "Accuracy of linear probes that read the class of the concept, minus that of their "
        "control, for all questions, with the first seed: in the encoder, after the connector, and "
        "in the layer with the largest difference at the positions of the audio and at the last "
        "position. Intervals are bands over all places of a stage."
    )
    estimates = [[row.get(stage) for stage in _READ_STAGES] for row in rows.values()]
    return matrix(list(rows), _READ_STAGES, estimates, "difference from the control", caption)


def _difference(row: Mapping[str, object]) -> Estimate:
    """Return the difference of a stage from its control."""
    value, low, high = floats_of(row, ("difference", "low", "high"))
    n_concepts = row["n_concepts"]
    assert isinstance(n_concepts, int)  # noqa: S101 - a column of integers
    return Estimate(
        value=value, n=n_concepts, low=low, high=high, method="simultaneous band", unit="concepts"
    )


def loss_chart(summary: ArchitecturesSummary) -> Chart:
    """Return the training losses of each arm."""
    series: dict[str, Sequence[Sequence[float | None]]] = {
        arm.name: [result.losses for result in summary.record.of(arm.name).values()]
        for arm in summary.arms
    }
    caption = (
        "Training loss of the stages with audio by step. Thin lines: seeds; thick line: their "
        "mean. Losses of arms with other inputs are of other texts, so only arms with audio tokens "
        "are comparable."
    )
    return curves(series, "step", "loss, nats per token", caption, first=1)


def _scene_rows(summary: ArchitecturesSummary, task: SceneTask) -> list[ForestRow]:
    return [
        ForestRow(arm.name, mean.estimate, is_bound(arm))
        for arm in summary.arms
        for mean in [summary.scenes[arm.name, task]]
        if mean.n_items
    ]
