"""Create the HTML report of a probing run.

The report compares all cells (results of one model on one evaluation set each) and links to a page
for each cell.
"""

from collections.abc import Sequence

from audioprobe.experiments.probing.analysis import (
    CellComparison,
    familiarity_drops,
    model_differences,
)
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.experiments.probing.tables import comparisons_table, summary
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.io.text_table import Table
from audioprobe.plots.figures import forest, to_svg
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.plotting import plot_audio_use
from audioprobe.probing.trial import CONTROLS
from audioprobe.reports.html import DataGrid, Drawing, Item, Links, Page, Section
from audioprobe.reports.probe_items import forest_row


def build_report(run: ProbeRun, cells: Sequence[ProbeCell], name: str) -> Page:
    """Return the report of a run; sections without content are omitted.

    Args:
        run: the run.
        cells: results of the run, one for each model and evaluation set.
        name: name in the title.
    """
    outcomes = [cell.outcome for cell in cells]
    n_trials = sum(len(outcome.trials) for outcome in outcomes)
    n_calls = sum(sum(outcome.n_calls.values()) for outcome in outcomes)
    lead = (
        f"{len(run.config.models)} models, {n_trials} questions, {n_calls} prompts. "
        f"audioprobe {outcomes[0].provenance.versions.get('audioprobe', '?')}, "
        f"seed {run.config.seed}."
    )
    notes = [f"{cell.name}: {note}." for cell in cells for note in cell.outcome.notes()]
    bootstrap = run.config.bootstrap
    links = Links("Details", tuple((c.name, f"{RESULTS}/{c.name}.html") for c in cells))
    sections = [
        Section("Models", [DataGrid("By model and evaluation set", summary(cells)), links], _BASIS),
        Section("Conditions", _conditions(cells)),
        Section("Modality gap", _gaps(cells), _GAP),
        Section("Audio use, consistency and stability", _measures(cells), _MEASURES),
        Section(
            "Familiar and unfamiliar audio",
            _comparisons(familiarity_drops(cells, bootstrap)),
            _DROPS,
        ),
        Section("Models compared", _comparisons(model_differences(cells, bootstrap)), _PAIRED),
        Section("Set-up", [DataGrid("Models and evaluation sets", _setup(run, cells))]),
    ]
    return Page(
        f"Concept probes: {name}",
        " ".join([lead, *notes]),
        [section for section in sections if section.items],
    )


def _conditions(cells: Sequence[ProbeCell]) -> list[Item]:
    """Return a forest plot of all accuracies for each relation, such as "hypernym"."""
    relations = dict.fromkeys(t.question.pair.relation for c in cells for t in c.outcome.trials)
    items: list[Item] = []
    for relation in relations:
        rows = [
            forest_row(f"{cell.name}: {condition}", s.accuracy, condition)
            for cell in cells
            for (condition,), s in cell.outcome.by(
                "condition", relation=relation, form="yes-no"
            ).items()
        ]
        if rows:
            caption = f"Accuracy, {relation}, yes/no; the line is chance, diamonds are controls."
            items.append(Drawing(to_svg(forest(rows, "accuracy", 0.5), caption), caption))
    return items


def _gaps(cells: Sequence[ProbeCell]) -> list[Item]:
    rows = []
    for cell in cells:
        gap = cell.outcome.modality_gap()
        if gap.mcnemar is not None:
            rows.append(ForestRow(cell.name, gap.difference))
            rows.append(ForestRow(f"{cell.name}: due to perception", gap.perception))
            rows.append(ForestRow(f"{cell.name}: due to reasoning", gap.reasoning))
    if not rows:
        return []
    caption = "Text accuracy minus audio accuracy on the same questions."
    return [Drawing(to_svg(forest(rows, "difference of accuracy"), caption), caption)]


def _measures(cells: Sequence[ProbeCell]) -> list[Item]:
    """Return a plot of text prior and audio reliance, and a table of all measures per cell."""
    uses = {cell.name: cell.outcome.audio_use() for cell in cells}
    items: list[Item] = []
    if any(None not in (u.text_prior.value, u.audio_reliance.value) for u in uses.values()):
        caption = "Text prior and audio reliance; the dashed lines are chance and no effect."
        items.append(Drawing(to_svg(plot_audio_use(uses), caption), caption))
    tables = {cell.name: cell.outcome.measures() for cell in cells}
    items += [DataGrid(name, table, True, False) for name, table in tables.items() if table.rows]
    return items


def _comparisons(comparisons: Sequence[CellComparison]) -> list[Item]:
    if not comparisons:
        return []
    rows = [
        ForestRow(
            f"{c.first} minus {c.second}: {c.relation}, {c.condition}",
            c.difference,
            c.condition in CONTROLS,
        )
        for c in comparisons
    ]
    caption = "Differences of accuracy; diamonds are controls."
    drawing = Drawing(to_svg(forest(rows, "difference of accuracy"), caption), caption)
    return [drawing, DataGrid("Values", comparisons_table(comparisons))]


def _setup(run: ProbeRun, cells: Sequence[ProbeCell]) -> Table:
    rows = []
    for cell in cells:
        info = cell.outcome.provenance.components["language_model"]
        rows.append((cell.model, f"{info.name} {info.revision}".strip()))
    for plan in run.planned:
        if plan.clips:
            info, n_clips = plan.clips.info, len(plan.clips.clips)
            rows.append((plan.clips.name, f"{info.name} {info.revision}".strip()))
            n_used = n_clips - len(plan.questions.unused_clips())
            rows.append((f"{plan.clips.name}: clips", f"{n_clips}, {n_used} of them in questions"))
    rows += [(name, str(value)) for name, value in cells[0].outcome.provenance.options.items()]
    return Table(("option", "value"), tuple(dict.fromkeys(rows)))


_BASIS = (
    "Every true pair of concept and class has a false pair with the same class. Answering always "
    "yes, or guessing by base rates, therefore gives an accuracy of one half. Intervals resample "
    "concepts. Invalid answers and failures are counted in the last columns."
)
_GAP = (
    "The part of the gap on clips whose concept was not recognised is due to perception; the part "
    "on recognised clips is due to reasoning."
)
_MEASURES = (
    "Text prior is the accuracy without the clip minus chance; audio reliance is the accuracy with "
    "the right clip minus that with a wrong clip. Chance is a uniform guess. Intervals resample "
    "concepts."
)
_DROPS = (
    "Unfamiliar minus familiar audio. The concepts may differ between the sets: a difference "
    "contains the effects of audio and concepts."
)
_PAIRED = "Each other model minus the first model, on the same questions about the same clips."
