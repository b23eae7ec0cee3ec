"""Write the output files of a study of architectures: report, summary, tables and all answers."""

from collections.abc import Iterator
from pathlib import Path

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.items import READING
from audioprobe.experiments.architectures.report import build_report
from audioprobe.experiments.architectures.seed_means import SeedMean
from audioprobe.experiments.architectures.storage import ArchitecturesRecord
from audioprobe.experiments.architectures.tables import all_tables
from audioprobe.io.data_table import DataTable
from audioprobe.io.text_table import Table
from audioprobe.probing.trial_data import trial_data
from audioprobe.reports.html import write_page
from audioprobe.reports.table_files import write_tables

REPORT = "report.html"
TRIALS, SCENES, RESULTS = "trials.parquet", "scenes.parquet", "results.parquet"


def write_outputs(record: ArchitecturesRecord, folder: Path, name: str) -> dict[str, Table]:
    """Write report, Markdown summary, LaTeX tables, and answers and results as Parquet files.

    Args:
        record: stored results of the study.
        folder: output folder.
        name: part of the report's title.

    Returns:
        The tables of the summary by title.
    """
    summary = summarize(record)
    tables = all_tables(summary)
    files = write_tables(tables, folder)
    data = {TRIALS: trials(record), SCENES: scene_trials(record), RESULTS: results(summary)}
    data |= {f"{title.replace(' ', '-')}.parquet": t for title, t in location_data(record).items()}
    for path, values in data.items():
        values.to_parquet(folder / path)
    page = build_report(summary, name, [*data, *files])
    write_page(page, folder / REPORT)
    return tables


def trials(record: ArchitecturesRecord) -> DataTable:
    """Return a table with one row per yes/no question of a run; see `trial_data`."""
    tables = []
    for (arm, seed), result in record.results.items():
        table = trial_data(result.trials, READING)
        pairs = [trial.question.pair for trial in result.trials]
        roles = [
            None if pair.relation == "identity" else result.roles[str(pair.match)] for pair in pairs
        ]
        sets = [result.sets.get(trial.question.clip) for trial in result.trials]
        more = DataTable({"role": roles, "set": sets, **table.columns})
        tables.append(({"arm": arm, "seed": seed}, more))
    return DataTable.joined(tables)


def scene_trials(record: ArchitecturesRecord) -> DataTable:
    """Return a table with one row per question about a scene of a run."""
    names = ("arm", "seed", "task", "scene", "question", "options", "correct", "is_correct")
    rows = (
        (
            arm,
            seed,
            trial.question.task,
            trial.question.scene,
            trial.question.text,
            "|".join(trial.question.options),
            trial.question.correct,
            trial.is_correct,
            list(trial.log_likelihoods) or None,
            trial.failure or None,
        )
        for (arm, seed), result in record.results.items()
        for trial in result.scenes
    )
    return DataTable.from_rows((*names, "log_likelihoods", "failure"), rows)


def location_data(record: ArchitecturesRecord) -> dict[str, DataTable]:
    """Return the tables about where concepts are lost, of all arms, by title."""
    titles = dict.fromkeys(title for tables in record.locations.values() for title in tables)
    return {
        title: DataTable.joined(
            ({"arm": arm}, tables[title])
            for arm, tables in record.locations.items()
            if title in tables
        )
        for title in titles
    }


def results(summary: ArchitecturesSummary) -> DataTable:
    """Return a table with one row per mean over seeds: arm, measure, value, interval and counts.

    Differences from another arm have its name in the column `minus`.
    """
    names = ("arm", "minus", "measure", "relations", "condition", "clips", "p", "p_holm")
    numbers = ("value", "low", "high", "sd", "seeds", "each_seed", "n_items", "n_invalid")
    rows = ((*row, *_cells(mean)) for row, mean in _means(summary))
    return DataTable.from_rows((*names, *numbers, "n_failed", "method"), rows)


def _means(summary: ArchitecturesSummary) -> Iterator[tuple[tuple[object, ...], SeedMean]]:
    """Yield all means over seeds, each with the first columns of `results`."""
    for (arm, group), mean in summary.accuracies.items():
        clips = group.clips or None
        yield (arm, None, "accuracy", group.role, group.condition, clips, None, None), mean
    for each in summary.differences:
        p_values = each.p_value, each.corrected
        yield (each.first, each.second, each.measure, None, None, None, *p_values), each.mean
    for (arm, role, part), mean in summary.gaps.items():
        yield (arm, None, f"text minus audio, {part}", role, *[None] * 4), mean
    for (arm, task), mean in summary.scenes.items():
        yield (arm, None, task, *[None] * 5), mean
    for arm, result in summary.transfers.items():
        yield (arm, None, "text only minus held out", *[None] * 5), result.from_text
        yield (arm, None, "audio and text minus text only", *[None] * 5), result.from_audio
    for arm, mean in summary.agreement.items():
        yield (arm, None, "kappa with the cascade", *[None] * 5), mean


def _cells(mean: SeedMean) -> tuple[object, ...]:
    estimate = mean.estimate
    values = (estimate.value, estimate.low, estimate.high, mean.sd)
    seeds = (list(mean.by_seed) or None, list(mean.by_seed.values()) or None)
    counts = (mean.n_items, mean.n_invalid, mean.n_failed)
    return (*values, *seeds, *counts, estimate.method)
