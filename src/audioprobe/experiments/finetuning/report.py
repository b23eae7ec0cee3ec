"""Report page of a fine-tuning study."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from audioprobe.experiments.finetuning.analysis import CONTROL, NOVEL, StudySummary
from audioprobe.experiments.finetuning.comparison import MEASURES, PairedDifference
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.design import strategy_name
from audioprobe.experiments.finetuning.findings import (
    study_facts,
    study_findings,
    study_provenance,
)
from audioprobe.experiments.finetuning.samples import study_browser
from audioprobe.experiments.finetuning.storage import (
    IN_AUDIO,
    NOT_IN_AUDIO,
)
from audioprobe.experiments.finetuning.tables import (
    ablated,
    all_tables,
    before_table,
    condition,
    drift_table,
    seeds_table,
)
from audioprobe.experiments.finetuning.training_charts import similarity_charts, training_charts
from audioprobe.io.text_table import Table
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.scores import without_counts
from audioprobe.reports.charts import Chart
from audioprobe.reports.estimate_charts import TradeoffPoint, forest, tradeoff
from audioprobe.reports.heat_maps import matrix
from audioprobe.reports.html import DataGrid, Item, Page, Section
from audioprobe.reports.provenance import command_text, provenance_section
from audioprobe.types import Estimate


def build_report(summary: StudySummary, name: str, files: Sequence[str]) -> Page:
    """Return the page with all sections that have content.

    Args:
        summary: all results of a study.
        name: part of the title.
        files: names of files with results in the folder of the page, the one with all data first.
    """
    tables = all_tables(summary)
    all_data = files[0] if files else "the folder of the study"
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
        Section("Gain and forgetting", _strategies(summary, tables["Strategies"]), _GAIN),
        Section("Samples", [study_browser(summary.record, all_data)], _SAMPLES),
        Section("Changes by measure", _changes(summary), _GAIN),
        Section("Ablations", _ablations(summary) + ablations, _ABLATIONS),
        Section("Factor effects", _effects(summary, tables["Effects"]), _EFFECTS),
        Section(
            "Concept generalization", _generalization(summary) + generalization, _GENERALIZATION
        ),
        Section("Transfer", _transfer(summary, tables["Transfer"]), _TRANSFER),
        Section("Training", training_charts(summary), _TRAINING),
        Section("Weights and representations", similarity_charts(summary) + drift, _DRIFT),
        Section("Failed runs", _grids(("Causes", tables["Failures"])), _FAILURES),
        provenance_section(
            {}, command=command_text(), files=files, more=list(study_provenance(summary))
        ),
    ]
    return Page(
        title=f"Fine-tuning: {name}",
        facts=study_facts(summary),
        findings=study_findings(summary),
        chart=_gain(summary),
        sections=[section for section in sections if section.items],
    )


def _grids(*named: tuple[str, Table]) -> list[Item]:
    """Return each table, given with its title, as an item of a page; skip empty tables."""
    return [DataGrid(name, table) for name, table in named if table.rows]


def _forest(
    rows: Sequence[tuple[str, Estimate]], axis: str, caption: str, *, open_: bool = True
) -> list[Item]:
    """Return one chart of named estimates with intervals; [] if `rows` is empty."""
    if not rows:
        return []
    chart = forest([ForestRow(*row) for row in rows], axis, caption)
    return [replace(chart, open=open_)]


def _forests(
    rows: Iterable[tuple[str, str, Estimate]], axis: str, caption: Callable[[str], str]
) -> list[Item]:
    """Return one chart per measure, the first one open; each row is (measure, name, estimate)."""
    rows = list(rows)
    items: list[Item] = []
    for measure in MEASURES:
        of_measure = [row[1:] for row in rows if row[0] == measure]
        items += _forest(of_measure, f"{axis} {measure}", caption(measure), open_=not items)
    return items


def _gain(summary: StudySummary) -> Chart | None:
    points = [
        TradeoffPoint(
            strategy_name(strategy),
            _estimate(changes.get("in-domain AUC")),
            _estimate(changes.get("text loss")),
            strategy[0],
            strategy in summary.front,
        )
        for strategy, changes in summary.changes.items()
    ]
    if not points:
        return None
    caption = (
        "Change of in-domain AUC (further right is better) and of text loss (further down is "
        "better) by strategy; the table of numbers has their names. Colours and shapes are the "
        "trainable modules; a ring and the line mark the Pareto front."
    )
    return tradeoff(
        points, "change of in-domain AUC, macro", "change of text loss, nats per token", caption
    )


def _strategies(summary: StudySummary, table: Table) -> list[Item]:
    if not summary.changes:
        return []
    return [
        DataGrid("All strategies", table, filter=True),
        DataGrid("All runs", seeds_table(summary), filter=True, open=False),
    ]


def _changes(summary: StudySummary) -> list[Item]:
    rows = [
        (measure, f"{n}: {strategy_name(strategy)}", _estimate(changes.get(measure)))
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


def _matrix(differences: Sequence[PairedDifference], caption: str) -> Chart:
    arms = list(dict.fromkeys(difference["arm"] for difference in differences))
    cells = {(d["arm"], d["measure"], d["subset"]): d.estimate for d in differences}
    across = [(measure, subset) for measure in NOVEL for subset in (IN_AUDIO, NOT_IN_AUDIO)]
    return matrix(
        [f"trained in {arm}" if arm != CONTROL else f"control: {arm}" for arm in arms],
        [f"asked in {measure.split()[1]}; {subset}" for measure, subset in across],
        [[cells.get((arm, *column)) for column in across] for arm in arms],
        "difference of accuracy",
        caption,
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
_SAMPLES = (
    "Captions and answers before and after fine-tuning. Choose a second run to see two answers "
    "side by side. Names of questions are concept, relation, class and number."
)
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
