"""Report page of a fine-tuning study."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from audioprobe.experiments.finetuning.analysis import CONTROL, NOVEL, StudySummary
from audioprobe.experiments.finetuning.comparison import FACTORS, MEASURES, PairedDifference
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.storage import (
    IN_AUDIO,
    NOT_IN_AUDIO,
    StudyTable,
    group,
    select,
)
from audioprobe.experiments.finetuning.tables import (
    ablated,
    all_tables,
    before_table,
    condition,
    drift_table,
    progress_text,
    seeds_table,
    settings_table,
)
from audioprobe.io.text_table import Table
from audioprobe.plots.figures import forest, to_svg
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.scores import without_counts
from audioprobe.reports.html import DataGrid, Drawing, Item, Page, Section
from audioprobe.reports.tradeoff_plots import Point, lines, matrix, plane
from audioprobe.types import Estimate


def build_report(summary: StudySummary, name: str) -> Page:
    """Return the page with all sections that have content; `name` is part of its title."""
    tables = all_tables(summary)
    conclusions = _grids(
        ("Questions and answers", conclusions_table(summary)),
        ("Significant effects", significance_table(summary)),
    )
    ablations = _grids(("All ablations", tables["Ablations"]))
    generalization = _grids(("All differences", tables["Generalization"]))
    drift = _grids(
        ("All strategies", drift_table(summary)),
        ("Correlations with the measures", tables["Correlations"]),
    )
    sections = [
        Section("Conclusions", conclusions, _CONCLUSIONS),
        Section("Before fine-tuning", _grids(("All measures", before_table(summary))), _BEFORE),
        Section("Gain and forgetting", _gain(summary, tables["Strategies"]), _GAIN),
        Section("Changes by measure", _changes(summary), _GAIN),
        Section("Ablations", _ablations(summary) + ablations, _ABLATIONS),
        Section("Factor effects", _effects(summary, tables["Effects"]), _EFFECTS),
        Section(
            "Concept generalization", _generalization(summary) + generalization, _GENERALIZATION
        ),
        Section("Transfer", _transfer(summary, tables["Transfer"]), _TRANSFER),
        Section("Training", _training(summary), _TRAINING),
        Section("Weights and representations", _similarity(summary) + drift, _DRIFT),
        Section("Failed runs", _grids(("Causes", tables["Failures"])), _FAILURES),
        Section("Settings", [DataGrid("Model, data and runs", settings_table(summary))]),
    ]
    return Page(f"Fine-tuning: {name}", progress_text(summary), [s for s in sections if s.items])


def _grids(*named: tuple[str, Table]) -> list[Item]:
    """Return each table, given with its title, as an item of a page; skip empty tables."""
    return [DataGrid(name, table) for name, table in named if table.rows]


def _forest(rows: Sequence[tuple[str, Estimate]], axis: str, caption: str) -> list[Item]:
    """Return one figure of named estimates with intervals; [] if `rows` is empty."""
    if not rows:
        return []
    return [Drawing(to_svg(forest([ForestRow(*row) for row in rows], axis), caption), caption)]


def _forests(
    rows: Iterable[tuple[str, str, Estimate]], axis: str, caption: Callable[[str], str]
) -> list[Item]:
    """Return one figure per measure; each row is (measure, name, estimate)."""
    rows = list(rows)
    return [
        item
        for measure in MEASURES
        for item in _forest(
            [row[1:] for row in rows if row[0] == measure], f"{axis} {measure}", caption(measure)
        )
    ]


def _gain(summary: StudySummary, table: Table) -> list[Item]:
    points = [
        Point(
            ", ".join(strategy),
            _estimate(changes.get("in-domain AUC")),
            _estimate(changes.get("text loss")),
            strategy[0],
            strategy in summary.front,
        )
        for strategy, changes in summary.changes.items()
    ]
    if not points:
        return []
    caption = (
        "Change of in-domain AUC (higher is better) and of text loss (lower is better). Colours "
        "and shapes are trainable modules; a dark rim marks the Pareto front."
    )
    figure = plane(points, "change of in-domain AUC, macro", "change of text loss, nats per token")
    return [
        Drawing(to_svg(figure, caption), caption),
        DataGrid("All strategies", table, filter=True),
        DataGrid("All runs", seeds_table(summary), filter=True, open=False),
    ]


def _changes(summary: StudySummary) -> list[Item]:
    rows = [
        (measure, f"{n}: {', '.join(strategy)}", _estimate(changes.get(measure)))
        for n, (strategy, changes) in enumerate(summary.changes.items(), 1)
        for measure in MEASURES
    ]
    return _forests(rows, "change of", lambda m: f"Change of {m}: {MEASURES[m]}.")


def _ablations(summary: StudySummary) -> list[Item]:
    rows = []
    for difference in summary.ablations:
        _, level, baseline, others = ablated(difference)
        name = f"{level}, not {baseline} ({others})"
        rows.append((difference["measure"], name, difference.estimate))
    return _forests(
        rows, "difference of", lambda m: f"Difference of {m} in ablations: {MEASURES[m]}."
    )


def _effects(summary: StudySummary, table: Table) -> list[Item]:
    rows, baselines = [], dict[str, dict[str, None]]()
    for effect in summary.effects:
        measure, (factor, level, baseline, _) = effect["measure"], ablated(effect)
        rows.append((measure, f"{factor}: {level}", without_counts(effect.estimate)))
        baselines.setdefault(measure, {})[f"{factor}: {baseline}"] = None

    def caption(measure: str) -> str:
        compared = ", ".join(baselines.get(measure, ()))
        return f"Effect on the change of {measure}. Compared with {compared}."

    items = _forests(rows, "effect on", caption)
    return [*items, DataGrid("All effects", table, filter=True)] if items else []


def _generalization(summary: StudySummary) -> list[Item]:
    rows = [
        (
            f"{change['alignment']}, {condition(change)}: {change['subset']}",
            (control or change).estimate,
        )
        for change, control in summary.generalization
    ]
    caption = (
        "Difference of accuracy from the strategy without alignment, or from the model before if "
        "the study has no such strategy."
    )
    return _forest(rows, "difference of accuracy", caption)


def _transfer(summary: StudySummary, table: Table) -> list[Item]:
    if not summary.transfer:
        return []
    caption = "Change of accuracy on novel classes, by training arm (rows) and question (columns)."
    items: list[Item] = [_matrix([change for change, _ in summary.transfer], caption)]
    controls = [control for _, control in summary.transfer if control is not None]
    if controls:
        items.append(_matrix(controls, f"Difference from the control ({CONTROL} answers)."))
    return [*items, DataGrid("All differences", table)]


def _matrix(differences: Sequence[PairedDifference], caption: str) -> Drawing:
    arms = list(dict.fromkeys(difference["arm"] for difference in differences))
    cells = {(d["arm"], d["measure"], d["subset"]): d.estimate for d in differences}
    across = [(measure, subset) for measure in NOVEL for subset in (IN_AUDIO, NOT_IN_AUDIO)]
    figure = matrix(
        [f"trained in {arm}" if arm != CONTROL else f"control: {arm}" for arm in arms],
        [f"asked in {measure.split()[1]}; {subset}" for measure, subset in across],
        [[cells.get((arm, *column)) for column in across] for arm in arms],
        "difference of accuracy",
    )
    return Drawing(to_svg(figure, caption), caption)


def _training(summary: StudySummary) -> list[Item]:
    losses = select(summary.table, measure="training loss", arm="")
    if not losses:
        return []
    caption = "Loss of every step, by trainable modules. Thin lines: runs; thick line: their mean."
    figure = lines(_curves(losses, ("run",)), "step", "loss, nats", first=1)
    return [Drawing(to_svg(figure, caption), caption)]


def _similarity(summary: StudySummary) -> list[Item]:
    items: list[Item] = []
    rows = [r for r in select(summary.table, arm="") if r.measure.startswith("similarity")]
    for (measure,), of_measure in group(rows, ("measure",)).items():
        inputs = str(measure).split()[1]
        caption = (
            f"Similarity of the hidden states ({inputs} inputs) with those before fine-tuning, by "
            "layer and trainable modules. Thin lines: strategies; thick line: their mean. 1 means "
            "unchanged; layer 0 is the embedding layer."
        )
        figure = lines(_curves(of_measure, FACTORS), "layer", f"CKA with before, {inputs}")
        items.append(Drawing(to_svg(figure, caption), caption))
    return items


def _curves(table: StudyTable, by: Sequence[str]) -> dict[str, list[list[float | None]]]:
    """Return a curve (mean value at each item) per group of runs, keyed by trainable level."""
    curves: dict[str, list[list[float | None]]] = {}
    for (level, *_), rows in group(table, ("trainable", *by)).items():
        values = [np.mean([r.value for r in item]) for item in group(rows, ("item",)).values()]
        curves.setdefault(str(level), []).append([float(value) for value in values])
    return curves


def _estimate(difference: PairedDifference | None) -> Estimate:
    undefined = Estimate(value=None, n=0, method="no run succeeded")
    return undefined if difference is None else difference.estimate


_CONCLUSIONS = (
    "A change is consistent if its confidence interval and all seeds are on one side of 0. It is "
    "significant if, in addition, its p-value is below .05 after Holm's correction over all "
    "comparisons of the measure. Arrows give the direction of significant differences from the "
    "baseline: in ablations (pairs of strategies that differ in one level), and on average."
)
_BEFORE = "Intervals resample clips, passages, or concepts with all their questions."
_GAIN = (
    "After minus before fine-tuning, on the same items, mean over seeds; lines mark no change. "
    "Intervals resample items, not seeds or models. p-values are not corrected for multiple tests."
)
_ABLATIONS = (
    "Strategies that differ in one factor, on the same items and seeds; the line marks no "
    "difference. p-values are corrected over all pairs of a measure (Holm)."
)
_EFFECTS = (
    "Difference from the first level, averaged over the other factors by least squares. Text "
    "measures exclude strategies that cannot change them. Error variance is the interaction "
    "between factors; the strategy, not the seed, is the unit of replication. p-values are "
    "corrected over all levels of a measure (Holm)."
)
_GENERALIZATION = (
    "Strategies with paired questions: accuracy on the concepts of the pairs, on other concepts of "
    "the same kinds, and on concepts of other kinds. Intervals resample concepts. p-values are "
    "corrected (Holm) for the difference from the strategy without alignment, if there is one."
)
_TRANSFER = (
    "Classes with invented names, trained in text, audio (of half of the concepts) or both, and "
    "evaluated in both. Intervals resample concepts; p-values are not corrected."
)
_TRAINING = (
    "Losses include regularizers and alignment losses, so they are comparable within a strategy "
    "only."
)
_FAILURES = "Failed runs have no values; they are not counted as a change of 0."
_DRIFT = (
    "Change of weights relative to their norm, and linear CKA (a similarity from 0 to 1) of hidden "
    "states with those before. Intervals of the rank correlations over runs resample strategies."
)
