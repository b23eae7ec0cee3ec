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
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.probing.trial import CONTROLS
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.charts import Chart
from audioprobe.reports.estimate_charts import forest
from audioprobe.reports.html import DataGrid, Item, Links, Page, Section
from audioprobe.reports.probe_items import (
    counts_sentence,
    diagnosis_sentence,
    gap_sentence,
    interval_row,
)
from audioprobe.reports.probe_samples import NamedOutcome, probe_browser
from audioprobe.reports.provenance import (
    command_text,
    component_text,
    created_text,
    provenance_section,
)

_MOST = 5  # maximum number of findings


def build_report(
    run: ProbeRun, cells: Sequence[ProbeCell], name: str, audio: AudioClips, files: Sequence[str]
) -> Page:
    """Return the report of a run; sections without content are omitted.

    Args:
        run: the run.
        cells: results of the run, one for each model and evaluation set.
        name: name in the title.
        audio: source of the spectrograms and players of clips.
        files: names of files with results in the folder of the page.
    """
    bootstrap = run.config.bootstrap
    links = Links("Details", tuple((_name(c), f"{RESULTS}/{c.name}.html") for c in cells))
    charts = _conditions(cells)
    clips = {p.evaluation_set: {c.id: c for c in p.clips.clips} for p in run.planned if p.clips}
    named = [
        NamedOutcome(c.outcome, c.model, c.evaluation_set, clips.get(c.evaluation_set, {}))
        for c in cells
    ]
    sections = [
        Section("Models", [*_results(cells), links], _BASIS),
        Section("Samples", [probe_browser(named, audio, files[0])], _SAMPLES),
        Section("Conditions", charts[1:]),
        Section("Modality gap", _gaps(cells), _GAP),
        Section("Audio use, consistency and stability", _measures(cells), _MEASURES),
        Section(
            "Familiar and unfamiliar audio",
            _comparisons(familiarity_drops(cells, bootstrap)),
            _DROPS,
        ),
        Section("Models compared", _comparisons(model_differences(cells, bootstrap)), _PAIRED),
        Section("Set-up", [DataGrid("Models and evaluation sets", _setup(run, cells))]),
        provenance_section(
            {_name(cell): cell.outcome.provenance for cell in cells},
            command=command_text(),
            files=files,
        ),
    ]
    return Page(
        title=f"Concept probes: {name}",
        facts=_facts(run, cells),
        findings=_findings(cells),
        notes=[f"{_name(cell)}: {note}." for cell in cells for note in cell.outcome.notes()],
        chart=charts[0] if charts else None,
        sections=[section for section in sections if section.items],
    )


def _facts(run: ProbeRun, cells: Sequence[ProbeCell]) -> list[tuple[str, str]]:
    """Return the facts of the page: questions, model, data, date and command."""
    questions = [trial.question for cell in cells for trial in cell.outcome.trials]
    relations = ", ".join(dict.fromkeys(question.pair.relation for question in questions))
    n_concepts = len({question.pair.concept for question in questions})
    forms = ", ".join(dict.fromkeys(question.form for question in questions))
    question_text = f"{forms} questions about {n_concepts} concepts ({relations})"
    facts = [("Asked", f"{question_text}, such as “{questions[0].text}”")]
    for model, outcome in {cell.model: cell.outcome for cell in cells}.items():
        info = outcome.provenance.components["language_model"]
        facts.append((f"Model “{model}”", component_text(info)))
    used = {
        (plan.evaluation_set, concept, clip.id)
        for plan in run.planned
        for concept, clip in plan.questions.used_clips()
    }
    for clips in {p.evaluation_set: p.clips for p in run.planned if p.clips}.values():
        of_set = [(concept, clip) for name, concept, clip in used if name == clips.name]
        n_clips, n_concepts = (len({pair[n] for pair in of_set}) for n in (1, 0))
        text = f"{n_clips} of {len(clips.clips)} clips are used, of {n_concepts} concepts"
        facts.append((f"Data “{clips.name}”", f"{clips.info.name}: {text}"))
    dates = [cell.outcome.provenance.created for cell in cells]
    return [*facts, ("Date", created_text(dates)), ("Command", command_text())]


def _findings(cells: Sequence[ProbeCell]) -> list[str]:
    gaps = [(cell, cell.outcome.modality_gap()) for cell in cells]
    gaps = [(cell, gap) for cell, gap in gaps if gap.difference.value is not None]
    gaps.sort(key=lambda pair: -abs(pair[1].difference.value or 0.0))
    sentences = [diagnosis_sentence(cell.outcome, _name(cell)) for cell in cells[: _MOST - 3]]
    for cell, gap in gaps[:1]:
        reliance = cell.outcome.audio_reliance()
        sentences.append(gap_sentence(gap, f"Largest modality gap, {_name(cell)}"))
        sentences.append(gap_sentence(reliance, f"Use of the audio, {_name(cell)}"))
    return [
        *[s for s in sentences if s][: _MOST - 1],
        counts_sentence([cell.outcome for cell in cells]),
    ]


def _name(cell: ProbeCell) -> str:
    return _shown(cell.name)


def _shown(name: str) -> str:
    """Return the name of a cell for readers: "mini on recordings", not "mini--recordings"."""
    return " on ".join(name.rsplit("--", 1))


def _results(cells: Sequence[ProbeCell]) -> list[Item]:
    """Return the summary as two tables, each narrow enough to read."""
    table, names = summary(cells), ("model", "evaluation set")
    gaps = (
        "text minus audio",
        "p (concepts)",
        "due to perception",
        "due to reasoning",
        "audio minus wrong clip",
    )
    scores = [column for column in table.header if column not in gaps]
    return [
        DataGrid("Accuracies and diagnoses", table.only(scores)),
        DataGrid("Differences between conditions", table.only((*names, *gaps))),
    ]


def _conditions(cells: Sequence[ProbeCell]) -> list[Chart]:
    """Return a forest plot of all accuracies for each relation, such as "hypernym"."""
    relations = dict.fromkeys(t.question.pair.relation for c in cells for t in c.outcome.trials)
    relations = dict.fromkeys(sorted(relations, key=lambda relation: relation == "identity"))
    charts = []
    for relation in relations:
        rows = [
            interval_row(f"{_name(cell)}: {condition}", s.accuracy, condition)
            for cell in cells
            for (condition,), s in cell.outcome.by(
                "condition", relation=relation, form="yes-no"
            ).items()
        ]
        if rows:
            caption = (
                f"Accuracy of yes/no questions of the relation {relation}, by model, evaluation "
                "set and condition. The dashed line is chance; diamonds are controls, in which the "
                "clip of the concept is not played."
            )
            charts.append(forest(rows, "accuracy", caption, reference=0.5))
    return charts


def _gaps(cells: Sequence[ProbeCell]) -> list[Item]:
    rows = []
    for cell in cells:
        gap = cell.outcome.modality_gap()
        if gap.mcnemar is not None:
            rows.append(ForestRow(_name(cell), gap.difference))
            rows.append(ForestRow(f"{_name(cell)}: due to perception", gap.perception))
            rows.append(ForestRow(f"{_name(cell)}: due to reasoning", gap.reasoning))
    if not rows:
        return []
    caption = "Text accuracy minus audio accuracy on the same questions."
    return [forest(rows, "difference of accuracy", caption)]


def _measures(cells: Sequence[ProbeCell]) -> list[Item]:
    """Return a plot of text prior and audio reliance, and a table of all measures per cell."""
    rows = []
    for cell in cells:
        use = cell.outcome.audio_use()
        if None not in (use.text_prior.value, use.audio_reliance.value):
            rows.append(ForestRow(f"{_name(cell)}: text prior", use.text_prior, muted=True))
            rows.append(ForestRow(f"{_name(cell)}: audio reliance", use.audio_reliance))
    caption = (
        "Text prior: accuracy without the audio above chance (diamonds). Audio reliance: accuracy "
        "with the right clip minus accuracy with a wrong clip."
    )
    items: list[Item] = [forest(rows, "difference of accuracy", caption)] if rows else []
    tables = {_name(cell): cell.outcome.measures() for cell in cells}
    items += [DataGrid(name, table, True, False) for name, table in tables.items() if table.rows]
    return items


def _comparisons(comparisons: Sequence[CellComparison]) -> list[Item]:
    if not comparisons:
        return []
    rows = [
        ForestRow(
            f"{_shown(c.first)} minus {_shown(c.second)}: {c.relation}, {c.condition}",
            c.difference,
            c.condition in CONTROLS,
        )
        for c in comparisons
    ]
    caption = "Differences of accuracy; diamonds are controls."
    chart = forest(rows, "difference of accuracy", caption)
    return [chart, DataGrid("Differences and tests", comparisons_table(comparisons))]


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
    return Table(("name", "value"), tuple(dict.fromkeys(rows)))


_BASIS = (
    "Every true pair of concept and class has a false pair with the same class. Answering always "
    "yes, or guessing by base rates, therefore gives an accuracy of one half. Intervals resample "
    "concepts. Invalid answers and failures are counted in the last columns."
)
_SAMPLES = (
    "Every question with its answers. Choose a second model or condition to see two answers to the "
    "same question side by side; questions in text are next to the same questions about each clip. "
    "Spectrograms have a range of 70 dB; frequencies are linear."
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
