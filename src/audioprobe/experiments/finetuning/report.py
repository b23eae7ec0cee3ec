"""Report of a fine-tuning study as one HTML page."""

from collections.abc import Sequence

import numpy as np

from audioprobe.experiments.finetuning.analysis import CONTROL, NOVEL, StudySummary
from audioprobe.experiments.finetuning.comparison import (
    DESCRIPTIONS,
    FACTORS,
    MEASURES,
    PairedDifference,
)
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.config import CLIP_SETS, ClipSubset
from audioprobe.experiments.finetuning.storage import IN_AUDIO, NOT_IN_AUDIO, group, select
from audioprobe.experiments.finetuning.tables import (
    ablated,
    ablations_table,
    before_table,
    condition,
    correlations_table,
    drift_table,
    effects_table,
    failures_table,
    generalization_table,
    seeds_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.text_table import Table
from audioprobe.probing.scores import without_counts
from audioprobe.reports.figures import ForestRow, forest, to_svg
from audioprobe.reports.html import DataGrid, Drawing, Item, Page, Section
from audioprobe.reports.tradeoff_plots import Point, lines, matrix, plane
from audioprobe.types import Estimate


def study_page(summary: StudySummary, name: str) -> Page:
    """Return the page with all sections that have content; `name` is part of its title."""
    sections = [
        Section("Conclusions", _conclusions(summary), _CONCLUSIONS),
        Section("Before fine-tuning", _grids(("All measures", before_table(summary))), _BEFORE),
        Section("Gain and forgetting", _gain(summary), _GAIN),
        Section("Changes by measure", _changes(summary), _GAIN),
        Section("Ablations", _ablations(summary), _ABLATIONS),
        Section("Factor effects", _effects(summary), _EFFECTS),
        Section("Concept generalization", _generalization(summary), _GENERALIZATION),
        Section("Transfer", _transfer(summary), _TRANSFER),
        Section("Training", _training(summary), "Losses include regularizers and alignment losses, "
                "so they are comparable within a strategy only."),
        Section("Weights and representations", _drift(summary), _DRIFT),
        Section("Failed runs", _grids(("Causes", failures_table(summary))),
                "Failed runs have no values; they are not counted as a change of 0."),
        Section("Settings", [DataGrid("Model, data and runs", settings_table(summary))]),
    ]  # fmt: skip
    return Page(f"Fine-tuning: {name}", progress_text(summary), [s for s in sections if s.items])


def progress_text(summary: StudySummary) -> str:
    """Return a sentence with the number of runs that have finished and that failed."""
    n, planned, n_failed = len(summary.record.runs), summary.n_planned, len(summary.failures)
    failed = f", {n_failed} of them failed" if n_failed else ""
    incomplete = "; all results are preliminary" if n < planned else ""
    return f"{n} of {planned} training runs have finished{failed}{incomplete}."


def settings_table(summary: StudySummary) -> Table:
    """Return a table of the settings that results depend on, and of the duration of the study."""
    study, runs = summary.record.study, summary.record.runs
    model, bootstrap = study.model, study.bootstrap
    subsets: dict[str, ClipSubset | None] = {name: getattr(study, name) for name in CLIP_SETS}
    seconds = summary.record.before.seconds + sum(run.seconds for run in runs)
    rows = [("model", f"{model.name}, base {model.base}" if model.base else model.name)]
    rows += [(f"clips: {name}", _subset(subset)) for name, subset in subsets.items() if subset]
    rows += [
        ("rehearsal texts", study.rehearsal_texts),
        ("evaluation texts", study.evaluation_texts),
        ("design", study.design),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("steps per run", str(study.training_arguments.steps)),
        ("clips per step", str(study.clips_per_step)),
        *((f"learning rate: {x.label}", f"{x.learning_rate:g}") for x in study.levels),
    ]
    if study.transfer:
        rows.append(("steps per run with novel classes", str(study.transfer.steps)))
    rows += [
        ("finished runs", f"{len(runs)} of {summary.n_planned}"),
        ("failed runs", str(len(summary.failures))),
        ("hours, if runs were sequential", f"{seconds / 3600:.2f}"),
        ("resamples of intervals", f"{bootstrap.n_resamples}, seed {bootstrap.seed}"),
        ("level of intervals", f"{bootstrap.level:.0%}"),
    ]
    return Table(("setting", "value"), tuple(rows))


def _subset(subset: ClipSubset) -> str:
    options = ", ".join(f"{key} {value}" for key, value in subset.dataset.options.items())
    half = "" if subset.half == "all" else f", {subset.half} half"
    mapping = f", labels mapped by {subset.mapping}" if subset.mapping else ""
    options = f" ({options})" if options else ""
    return f"{subset.dataset.name}{options}, split {subset.split}{half}{mapping}"


def _grids(*named: tuple[str, Table]) -> list[Item]:
    """Return the tables that have rows as items of the page."""
    return [DataGrid(name, table) for name, table in named if table.rows]


def _forest(rows: Sequence[tuple[str, Estimate]], axis: str, caption: str) -> list[Item]:
    if not rows:
        return []
    figure = forest([ForestRow(*row) for row in rows], axis)
    return [Drawing(to_svg(figure, caption), caption)]


def _conclusions(summary: StudySummary) -> list[Item]:
    return _grids(
        ("Questions and answers", conclusions_table(summary)),
        ("Significant effects", significance_table(summary)),
    )


def _gain(summary: StudySummary) -> list[Item]:
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
        DataGrid("All strategies", strategies_table(summary), filter=True),
        DataGrid("All runs", seeds_table(summary), filter=True, open=False),
    ]


def _changes(summary: StudySummary) -> list[Item]:
    items: list[Item] = []
    strategies = list(enumerate(summary.changes.items(), 1))
    for measure in MEASURES:
        rows = [(f"{n}: {', '.join(s)}", _estimate(d.get(measure))) for n, (s, d) in strategies]
        caption = f"Change of {measure}: {DESCRIPTIONS[measure]}."
        items += _forest(rows, f"change of {measure}", caption)
    return items


def _ablations(summary: StudySummary) -> list[Item]:
    items: list[Item] = []
    for measure in MEASURES:
        rows = []
        for difference in summary.ablations:
            if difference["measure"] == measure:
                _, level, baseline, others = ablated(difference)
                rows.append((f"{level}, not {baseline} ({others})", difference.estimate))
        caption = f"Difference of {measure} in ablations: {DESCRIPTIONS[measure]}."
        items += _forest(rows, f"difference of {measure}", caption)
    return items + _grids(("All ablations", ablations_table(summary)))


def _effects(summary: StudySummary) -> list[Item]:
    items: list[Item] = []
    for measure in MEASURES:
        effects = [effect for effect in summary.effects if effect.measure == measure]
        effects.sort(key=lambda effect: FACTORS.index(effect.effect.factor))
        rows = [
            (f"{e.effect.factor}: {e.effect.level}", without_counts(e.effect.estimate))
            for e in effects
        ]
        baselines = ", ".join(dict.fromkeys(f"{e.effect.factor}: {e.baseline}" for e in effects))
        caption = f"Effect on the change of {measure}. Compared with {baselines}."
        items += _forest(rows, f"effect on {measure}", caption)
    if not items:
        return []
    return [*items, DataGrid("All effects", effects_table(summary), filter=True)]


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
    drawings = _forest(rows, "difference of accuracy", caption)
    return drawings + _grids(("All differences", generalization_table(summary)))


def _transfer(summary: StudySummary) -> list[Item]:
    if not summary.transfer:
        return []
    caption = "Change of accuracy on novel classes, by training arm (rows) and question (columns)."
    items: list[Item] = [_matrix([change for change, _ in summary.transfer], caption)]
    controls = [control for _, control in summary.transfer if control is not None]
    if controls:
        items.append(_matrix(controls, f"Difference from the control ({CONTROL} answers)."))
    return [*items, DataGrid("All differences", transfer_table(summary))]


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
    curves: dict[str, list[list[float | None]]] = {}
    losses = select(summary.table, measure="training loss", arm="")
    for (level, _), rows in group(losses, ("trainable", "run")).items():
        curves.setdefault(str(level), []).append([float(np.mean(row.value)) for row in rows])
    if not curves:
        return []
    caption = "Loss of every step, by trainable modules. Thin lines: runs; thick line: their mean."
    return [Drawing(to_svg(lines(curves, "step", "loss, nats", first=1), caption), caption)]


def _drift(summary: StudySummary) -> list[Item]:
    items: list[Item] = []
    table = select(summary.table, arm="")
    for measure in dict.fromkeys(r.measure for r in table if r.measure.startswith("similarity")):
        curves: dict[str, list[list[float | None]]] = {}
        for strategy, rows in group(select(table, measure=measure), FACTORS).items():
            layers = group(rows, ("item",))
            values = [np.mean([row.value for row in layer]) for layer in layers.values()]
            curves.setdefault(str(strategy[0]), []).append([float(value) for value in values])
        caption = (
            f"Similarity of the hidden states ({measure.split()[1]} inputs) with those before "
            "fine-tuning, by layer and trainable modules. Thin lines: strategies; thick line: "
            "their mean. 1 means unchanged; layer 0 is the embedding layer."
        )
        figure = lines(curves, "layer", f"CKA with before, {measure.split()[1]}")
        items.append(Drawing(to_svg(figure, caption), caption))
    return items + _grids(
        ("All strategies", drift_table(summary)),
        ("Correlations with the measures", correlations_table(summary)),
    )


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
_DRIFT = (
    "Change of weights relative to their norm, and linear CKA (a similarity from 0 to 1) of hidden "
    "states with those before. Intervals of the rank correlations over runs resample strategies."
)
