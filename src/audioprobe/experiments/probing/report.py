"""The report of a run of concept probes: all cells side by side, with a page for each."""

from collections.abc import Sequence

from audioprobe.experiments.probing.analysis import Contrast, against_first, drops
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.experiments.probing.tables import contrasts_table, summary
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.io.text_table import Table
from audioprobe.probing.scores import without_counts
from audioprobe.reports.figures import ForestRow, forest, to_svg
from audioprobe.reports.html import DataGrid, Drawing, Item, Links, Page, Section
from audioprobe.reports.probe_items import CONTROLS


def report_of(run: ProbeRun, cells: Sequence[ProbeCell], name: str) -> Page:
    """All sections; those without anything to show are left out.

    Args:
        run: as it was prepared.
        cells: what it gave.
        name: in the title.
    """
    outcomes = [cell.outcome for cell in cells]
    n_trials = sum(len(outcome.trials) for outcome in outcomes)
    n_calls = sum(sum(outcome.n_calls.values()) for outcome in outcomes)
    lead = (
        f"{len(run.config.listeners)} listeners, {n_trials} questions, {n_calls} prompts. "
        f"audioprobe {outcomes[0].provenance.versions.get('audioprobe', '?')}, "
        f"seed {run.config.seed}."
    )
    notes = [
        f"{c.name}: {note}." for c, o in zip(cells, outcomes, strict=True) for note in o.notes()
    ]
    lead = " ".join([lead, *notes])
    bootstrap = run.config.bootstrap
    links = Links("In full", tuple((c.name, f"{RESULTS}/{c.name}.html") for c in cells))
    sections = [
        Section("Listeners", [DataGrid("Every cell", summary(cells)), links], _BASIS),
        Section("Conditions", _conditions(cells)),
        Section("Words against sound", _gaps(cells), _GAP),
        Section("Familiar and unfamiliar sound", _contrasts(drops(cells, bootstrap)), _DROPS),
        Section("Listeners compared", _contrasts(against_first(cells, bootstrap)), _PAIRED),
        Section("How it was made", [DataGrid("Models and sounds", _made(run, cells))]),
    ]
    return Page(f"Concept probes: {name}", lead, [one for one in sections if one.items])


def _conditions(cells: Sequence[ProbeCell]) -> list[Item]:
    """A forest for each relation, all cells below each other."""
    relations = dict.fromkeys(t.question.pair.relation for c in cells for t in c.outcome.trials)
    items: list[Item] = []
    for relation in relations:
        rows = [
            ForestRow(
                f"{cell.name}: {condition}", without_counts(s.accuracy), condition in CONTROLS
            )
            for cell in cells
            for (condition,), s in cell.outcome.by(
                "condition", relation=relation, form="yes-no"
            ).items()
        ]
        if rows:
            caption = f"Accuracy, {relation}, yes or no; the line is chance, diamonds are controls."
            items.append(Drawing(to_svg(forest(rows, "accuracy", 0.5), caption), caption))
    return items


def _gaps(cells: Sequence[ProbeCell]) -> list[Item]:
    rows = []
    for cell in cells:
        gap = cell.outcome.modality_gap()
        if gap.mcnemar is not None:
            rows.append(ForestRow(cell.name, gap.difference))
            rows.append(ForestRow(f"{cell.name}: of it perception", gap.perception))
            rows.append(ForestRow(f"{cell.name}: of it reasoning", gap.reasoning))
    if not rows:
        return []
    caption = "Accuracy in words minus accuracy in sound, over the same questions."
    return [Drawing(to_svg(forest(rows, "difference of accuracy"), caption), caption)]


def _contrasts(found: Sequence[Contrast]) -> list[Item]:
    if not found:
        return []
    rows = [
        ForestRow(
            f"{c.first} minus {c.second}: {c.relation}, {c.condition}",
            c.difference,
            c.condition in CONTROLS,
        )
        for c in found
    ]
    caption = "Differences of accuracy; diamonds are controls."
    drawing = Drawing(to_svg(forest(rows, "difference of accuracy"), caption), caption)
    return [drawing, DataGrid("In numbers", contrasts_table(found))]


def _made(run: ProbeRun, cells: Sequence[ProbeCell]) -> Table:
    rows = []
    for cell in cells:
        info = cell.outcome.provenance.components["language_model"]
        rows.append((cell.listener, f"{info.name} {info.revision}".strip()))
    for one in run.planned:
        if one.heard:
            info, n_clips = one.heard.info, len(one.heard.clips)
            rows.append((one.heard.name, f"{info.name} {info.revision}".strip()))
            n_asked = n_clips - len(one.asked.unused_clips())
            rows.append((f"{one.heard.name}: clips", f"{n_clips}, {n_asked} of them asked about"))
    rows += [(name, str(value)) for name, value in cells[0].outcome.provenance.options.items()]
    return Table(("what", "value"), tuple(dict.fromkeys(rows)))


_BASIS = (
    "Every right pair has a wrong one for the same target, so that a yes-sayer and a guesser who "
    "knows base rates are right half of the time. Intervals resample concepts. Answers that could "
    "not be read, and failures, are counted at the right."
)
_GAP = (
    "What is lost in sound where the concept was not recognised is perception; where it was, "
    "reasoning."
)
_DROPS = (
    "Unfamiliar minus familiar sound. Concepts may differ between both, so a difference holds what "
    "sounds and concepts do to it."
)
_PAIRED = "Each other listener minus the first, over the same questions about the same sounds."
