"""Report page of an interpretability study."""

from collections.abc import Iterator, Sequence

from audioprobe.experiments.interpretability.answers import (
    MODALITIES,
    concept_mean,
    correct_answers,
    trial_groups,
)
from audioprobe.experiments.interpretability.charts import curve_charts, table_charts
from audioprobe.experiments.interpretability.measurements import MEASUREMENTS
from audioprobe.experiments.interpretability.mechanisms import conclusions
from audioprobe.experiments.interpretability.rules import Conclusion
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.tables import (
    all_tables,
    conclusions_table,
    evidence_table,
)
from audioprobe.io.data_table import DataTable
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.text_table import Table
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.charts import Chart
from audioprobe.reports.estimate_charts import forest
from audioprobe.reports.html import DataGrid, Item, Page, Section
from audioprobe.reports.provenance import (
    command_text,
    component_rows,
    component_text,
    created_text,
    option_text,
    provenance_section,
    start_rows,
)
from audioprobe.types import ComponentInfo


def build_report(record: InterpretabilityRecord, name: str, files: Sequence[str]) -> Page:
    """Return the page of a study, computed from stored numbers; empty sections are left out.

    Args:
        record: stored results of the study.
        name: part of the title.
        files: names of files with results in the folder of the page.
    """
    all_conclusions = conclusions(record)
    tables = all_tables(record)
    chart = _answers(record)
    sections = [
        Section("Mechanisms", _mechanisms(all_conclusions), _MECHANISMS),
        Section("Answers", _grids(tables, "Answers", "Trials", "Failures"), _ANSWERS),
        Section("Stages", _grids(tables, "Stages"), _STAGES),
        *_measurements(record),
        provenance_section({}, command=command_text(), files=files, more=list(_provenance(record))),
    ]
    return Page(
        title=f"Where is a concept lost? {name}",
        facts=_facts(record),
        findings=[_finding(conclusion) for conclusion in all_conclusions],
        notes=_notes(record),
        chart=chart,
        sections=[section for section in sections if section.items],
    )


def _mechanisms(all_conclusions: Sequence[Conclusion]) -> list[Item]:
    items: list[Item] = [DataGrid("Conclusions", conclusions_table(all_conclusions))]
    for conclusion in all_conclusions:
        table = evidence_table([conclusion])
        items.append(
            DataGrid(f"{conclusion.mechanism}: {conclusion.name}", table.only(table.header[1:]))
        )
    return items


def _grids(tables: dict[str, Table], *titles: str) -> list[Item]:
    return [DataGrid(title, tables[title], filter=True) for title in titles if title in tables]


def _answers(record: InterpretabilityRecord) -> Chart:
    bootstrap = record.config.bootstrap
    rows = [
        ForestRow(
            f"{name}: {modality}",
            concept_mean(correct_answers(trials, modality), len(trials), bootstrap),
            modality == "text",
        )
        for name, trials in trial_groups(record.trials).items()
        for modality in MODALITIES
    ]
    caption = (
        "Accuracy of the same yes/no questions in text (diamonds) and about recordings (circles), "
        "by familiarity of the recordings, and by role of the relation in the training or by "
        "whether the concept was recognised. The dashed line is chance."
    )
    return forest(rows, "accuracy", caption, reference=0.5)


def _measurements(record: InterpretabilityRecord) -> Iterator[Section]:
    """Yield a section for each finished measurement."""
    for name, result in record.results.items():
        items: list[Item] = []
        for key, curve in result.curves.items():
            items += curve_charts(record, key, curve)
            items.append(DataGrid(f"All places: {key}", curve.displayed()[0][0], True, False))
        for key, table in result.tables.items():
            items += table_charts(key, table)
            if len(table):
                items.append(DataGrid(f"All numbers: {key}", _shown(table), True, False))
        yield Section(f"{name[:1].upper()}{name[1:]}", items, MEASUREMENTS[name].text)


def _shown(table: DataTable) -> Table:
    """Return a table of data for readers, with three decimals and without long texts."""
    columns = {name: values for name, values in table.columns.items() if name != "method"}
    cells = (
        tuple("–" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in row)
        for row in zip(*columns.values(), strict=True)
    )
    return Table(tuple(name.replace("_", " ") for name in columns), tuple(cells))


def _facts(record: InterpretabilityRecord) -> list[tuple[str, str]]:
    trials, config = record.trials.trials, record.config
    n_concepts, n_clips = len({t.concept for t in trials}), len({t.clip for t in trials})
    example = f", such as “{trials[0].text.question.text}”" if trials else ""
    training = f"the training of {config.training}" if config.training else "unknown"
    dates = [str(start["time"]) for start in record.manifest["starts"]]
    return [
        ("Asked", f"{len(trials)} questions, each in text and about a recording{example}"),
        ("Model", component_text(_model(record))),
        ("Data", f"{n_clips} recordings of {n_concepts} concepts; intervals resample concepts"),
        ("Roles of relations", f"from {training}" if config.training else training),
        ("Date", created_text(dates)),
        ("Command", command_text()),
    ]


def _finding(conclusion: Conclusion) -> str:
    necessary = [each.outcome for each in conclusion.evidence if each.necessary]
    counts = ", ".join(f"{necessary.count(name)} {name}" for name in dict.fromkeys(necessary))
    return f"{conclusion.mechanism}: {conclusion.name} (necessary predictions: {counts})."


def _notes(record: InterpretabilityRecord) -> list[str]:
    """Return sentences about measurements without a result, and clips of the training."""
    notes = [f"{name} has no result: {cause}" for name, cause in record.failures.items()]
    for name, of_set in record.manifest["starts"][-1].get("training clips", {}).items():
        for model, clips in of_set.items():
            if clips:
                notes.append(f"{name}: {len(clips)} clips were used to train {model}.")
    return notes


def _provenance(record: InterpretabilityRecord) -> Iterator[tuple[str, str]]:
    """Yield everything that the results depend on, as (name, value)."""
    pinned = record.manifest["pinned"]
    yield from component_rows("language model", _model(record))
    for name, content in pinned["data"].items():
        info = from_json(ComponentInfo, to_json(content))
        yield from component_rows(f"data, {name}", info)
    for name in ("questions", "roles", "seed"):
        yield name, option_text(pinned[name])
    yield from start_rows(record.manifest["starts"])


def _model(record: InterpretabilityRecord) -> ComponentInfo:
    return from_json(ComponentInfo, to_json(record.manifest["pinned"]["model"]))


_MECHANISMS = (
    "A measurement agrees with a prediction if its interval is on the predicted side of 0, and "
    "disagrees if the interval excludes an effect that matters (“rules” in the configuration). "
    "Otherwise, and with few concepts, it is undecided. A mechanism is contradicted if a necessary "
    "prediction disagrees, and supported if all necessary predictions agree. In all other cases it "
    "cannot be decided."
)
_STAGES = (
    "At which stage the concept is lost, for trials with right and wrong answers apart. A linear "
    "probe reads the class of the concept from the clip (encoder, connector and audio positions), "
    "and the answer from the last position. “Yes”: the probe is significantly better than its "
    "control. “No”: its advantage is significantly smaller than half of that at the stage before. "
    "“Used”: answers get worse without attention to the clip. Few wrong answers cannot decide."
)
_ANSWERS = (
    "Each row compares the same questions in text and about recordings. Every true relation has a "
    "false relation to the same class, so that a model that always gives one answer is right half "
    "of the time. An answer is the option with the higher likelihood. Intervals resample concepts."
)
