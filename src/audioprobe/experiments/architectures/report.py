"""Report page of a study of architectures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary
from audioprobe.experiments.architectures.charts import (
    cost_chart,
    difference_chart,
    gap_chart,
    location_chart,
    loss_chart,
    primary_chart,
    role_chart,
    scene_charts,
)
from audioprobe.experiments.architectures.findings import all_findings
from audioprobe.experiments.architectures.storage import ArchitecturesRecord
from audioprobe.experiments.architectures.tables import all_tables, arm_text
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.io.text_table import Table
from audioprobe.reports.html import DataGrid, Item, Page, Section
from audioprobe.reports.provenance import (
    command_text,
    component_rows,
    created_text,
    option_text,
    provenance_section,
    start_rows,
)
from audioprobe.types import ComponentInfo


def build_report(summary: ArchitecturesSummary, name: str, files: Sequence[str]) -> Page:
    """Return the page of a study, computed from stored numbers; empty sections are left out.

    Args:
        summary: all results of a study.
        name: part of the title.
        files: names of files with results in the folder of the page.
    """
    tables = all_tables(summary)
    provenance = list(_provenance(summary.record))
    differences: list[Item] = [difference_chart(summary)] if summary.differences else []
    gaps: list[Item] = [gap_chart(summary), gap_chart(summary, "reasoning")]
    transfer: list[Item] = [role_chart(summary)]
    scenes: list[Item] = [*scene_charts(summary)]
    costs: list[Item] = [cost_chart(summary)]
    places: list[Item] = [location_chart(summary)] if summary.record.locations else []
    sections = [
        Section("Primary measure", _grids(tables, "Primary") + differences, _PRIMARY),
        Section("Claims", _grids(tables, "Claims"), _CLAIMS),
        Section("Text and audio", gaps + _grids(tables, "Gap"), _GAP),
        Section("Transfer", transfer + _grids(tables, "Transfer"), _TRANSFER),
        Section("Scenes", scenes + _grids(tables, "Scenes"), _SCENES),
        Section("All accuracies", _grids(tables, "Accuracy", "Runs"), _ACCURACIES),
        Section("Agreement with the cascade", _grids(tables, "Agreement"), _AGREEMENT),
        Section("Tools", _grids(tables, "Tools"), _TOOLS),
        Section("Where concepts are lost", places + _grids(tables, "Locations"), _LOCATIONS),
        Section("Cost", costs + _grids(tables, "Costs"), _COSTS),
        Section("Training", [loss_chart(summary), *_grids(tables, "Rates", "Codes")], _TRAINING),
        Section("Failures and missing runs", _grids(tables, "Failures", "Missing"), _FAILURES),
        provenance_section({}, command=command_text(), files=files, more=provenance),
    ]
    return Page(
        title=f"Architectures: {name}",
        facts=_facts(summary),
        findings=all_findings(summary),
        notes=_notes(summary.record),
        chart=primary_chart(summary),
        sections=[section for section in sections if section.items],
    )


def _grids(tables: dict[str, Table], *titles: str) -> list[Item]:
    """Return the tables with these titles; long ones are closed at first."""
    return [
        replace(
            DataGrid(f"Table: {title}", tables[title], filter=True),
            open=len(tables[title].rows) <= _MANY,
        )
        for title in titles
        if title in tables
    ]


def _facts(summary: ArchitecturesSummary) -> list[tuple[str, str]]:
    record = summary.record
    recipe = record.manifest.get("pinned", {}).get("recipe", {})
    encoder = recipe.get("encoder", {}).get("name", "unknown")
    results = list(record.results.values())
    n_questions = {len(result.trials) + len(result.scenes) for result in results}
    n_concepts = len({t.question.pair.concept for result in results for t in result.trials})
    low, high = min(n_questions), max(n_questions)
    dates = [str(start["time"]) for start in record.manifest.get("starts", ())]
    arms = "; ".join(f"{arm.name}: {arm_text(arm)}" for arm in record.config.arms)
    return [
        ("Asked", "Do models that differ only in how audio reaches the language model differ?"),
        ("Arms", arms),
        ("Model", f"{recipe.get('base', 'unknown')} with a frozen encoder, {encoder}"),
        (
            "Data",
            f"{low:,}{f' to {high:,}' if high > low else ''} questions per run about {n_concepts} "
            "concepts; intervals resample seeds and concepts",
        ),
        ("Date", created_text(dates)),
        ("Command", command_text()),
    ]


def _notes(record: ArchitecturesRecord) -> list[str]:
    """Return sentences about missing runs, and about few seeds."""
    n_missing = len(record.missing)
    notes = (
        [f"{n_missing} runs have no result; see “Failures and missing runs”."] if n_missing else []
    )
    edges = [arm.name for arm in record.config.arms if _is_at_edge(record, arm.name)]
    if edges:
        notes.append(
            "The chosen learning rate is the lowest or the highest of those that were tried, so "
            f"that a better one may exist: {', '.join(edges)}."
        )
    most = max(len(record.of(arm.name)) for arm in record.config.arms)
    if most < _FEW_SEEDS:
        notes.append(
            f"Seeds per arm: {most} at most. Intervals over few seeds are too short: a bootstrap "
            "of n seeds contains (n - 1) / n of the variance between seeds."
        )
    return notes


def _is_at_edge(record: ArchitecturesRecord, arm: str) -> bool:
    """Return whether an arm's learning rate is the lowest or the highest of several tried ones."""
    return any(
        len(factors) > 1 and result.rate in (min(factors), max(factors))
        for result in record.of(arm).values()
        for factors in [[float(factor) for factor in result.rate_losses]]
    )


def _provenance(record: ArchitecturesRecord) -> Iterator[tuple[str, str]]:
    """Yield everything that the results depend on, as (name, value)."""
    pinned = record.manifest.get("pinned", {})
    for name, content in pinned.get("data", {}).items():
        info = from_json(ComponentInfo, to_json(content))
        yield from component_rows(f"data, {name}", info)
    for name, value in pinned.get("recipe", {}).items():
        yield f"recipe: {name.replace('_', ' ')}", option_text(value)
    for arm in record.config.arms:
        yield f"arm: {arm.name}", option_text(_values(arm))
    yield from start_rows(record.manifest.get("starts", ()))


def _values(arm: object) -> object:
    content: object = json.loads(to_json(arm))
    return content


_MANY = 60  # rows from which a table is closed at first
_FEW_SEEDS = 5
_PRIMARY = (
    "The measure and the correction were fixed before the study: balanced accuracy of yes/no "
    "questions in audio about held-out relations, over both sets of clips; Holm's correction over "
    "arms. An answer is the more likely of “Yes.” and “No.”. Differences are paired by seed and "
    "question. Intervals resample seeds and concepts independently; p-values are from sign flips "
    "of concepts. Bounds receive no audio, random vectors, or the true labels."
)
_CLAIMS = (
    "Claims of the literature that the arms can test. “Higher” agrees if the interval is above 0, "
    "and disagrees if it is below the margin. “Equal” agrees if the interval is within the margins "
    "on both sides, and disagrees if it is outside of them. Otherwise, and with fewer than six "
    "concepts or scenes, it is undecided, and also if neither of the two arms is above the floor: "
    "chance, or the accuracy of the most frequent answer. Intervals are not corrected for the "
    "number of claims."
)
_GAP = (
    "Accuracy in text minus accuracy in audio, on the same questions. The gap is the sum of the "
    "parts from clips whose concept was not recognised (perception), was recognised (reasoning), "
    "and for which this is unknown. Gap and parts are means over pairs of a question in text and "
    "about a clip; the accuracies are balanced, so that their difference can deviate a little."
)
_TRANSFER = (
    "Accuracy in audio by what was trained about a relation. If knowledge from text is used, "
    "relations that were trained in text only are answered better than held-out ones. Trained and "
    "held-out relations are different questions about the same concepts."
)
_SCENES = (
    "Questions about scenes with several sources: which is the first or last, which is the "
    "loudest, and how many there are. The answer is the option with the highest mean "
    "log-likelihood per token. Options differ per question, so that chance is the mean of 1 / "
    "number of options. An arm that always gives the most frequent answer, such as “One.”, can be "
    "far above chance without any use of the audio."
)
_ACCURACIES = (
    "Balanced accuracy of all yes/no questions: mean of the accuracies of questions with the "
    "answers yes and no. Invalid answers and failures are left out, and counted."
)
_AGREEMENT = (
    "Cohen's kappa of the answers of an arm and of the cascade of the same seed, on all questions "
    "about clips: 0 is the agreement of independent answers. Two accurate arms agree, too, because "
    "both give the right answer."
)
_TOOLS = (
    "Whether the calls of an agent are those that the question needs, whether their results are "
    "true, and whether the answer is right. For lists of tags, the most probable one must be the "
    "concept of the clip. Intervals resample concepts and scenes, not seeds."
)
_LOCATIONS = (
    "Stages at which the class of a concept can be read, of the first seed of each arm with audio "
    "tokens. “Yes”: significantly above the control; “no”: its advantage is significantly smaller "
    "than half of that at the stage before."
)
_COSTS = (
    "Floating-point operations of a forward pass over a training question about audio, without the "
    "encoder. A backward pass needs one to two times as many. Durations depend on the machine, and "
    "on what else it did; the choice of the learning rate is not part of them."
)
_TRAINING = (
    "Each arm with a connector tried the same factors of its learning rate in a short training "
    "with the first seed; the lowest validation loss decided."
)
_FAILURES = "Failures have no value; they are not counted as wrong answers."
