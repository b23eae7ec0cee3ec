"""Everything that a study of fine-tuning leaves in its folder."""

from pathlib import Path

from audioprobe.experiments.finetuning.conclusions import conclusions
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.finetuning.report import report_of
from audioprobe.experiments.finetuning.storage import StudyRecord
from audioprobe.experiments.finetuning.study_results import StudySummary, synthesised
from audioprobe.experiments.finetuning.tables import (
    effects_table,
    failures_table,
    heldout_table,
    links_table,
    pairs_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.atomic import atomic_write
from audioprobe.io.text_table import Table
from audioprobe.reports.html import write_page

REPORT, SUMMARY = "report.html", "summary.md"


def synthesis_of(record: StudyRecord) -> StudySummary:
    """All that a study found so far."""
    n_wanted = len(training_runs(record.study))
    return synthesised(record.study, record.findings, record.in_sound, n_wanted)


def write_outcome(record: StudyRecord, folder: Path, name: str) -> StudySummary:
    """Write tables, verdicts and the report of a study.

    Args:
        record: what it gave so far.
        folder: where to.
        name: in the title of the report.
    """
    found = synthesis_of(record)
    verdicts = conclusions(found)
    tables: dict[str, Table] = {
        "Strategies": strategies_table(found),
        "Pairs": pairs_table(found),
        "Effects": effects_table(found),
        "Drift": links_table(found),
        "Held-out": heldout_table(found),
        "Transfer": transfer_table(found),
        "Failures": failures_table(found),
    }
    told = [f"{v.to_markdown()}\n{v.evidence}\n" for v in verdicts]
    parts = [
        f"## {title}\n\n{table.to_markdown()}\n" for title, table in tables.items() if table.rows
    ]
    atomic_write(folder / SUMMARY, "\n".join([*told, *parts]))
    for title, table in tables.items():
        if table.rows:
            atomic_write(folder / f"{title.lower()}.tex", table.to_latex())
    write_page(report_of(record.study, found, verdicts, name), folder / REPORT)
    return found
