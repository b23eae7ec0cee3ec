"""Write the output files of a fine-tuning study: report, Markdown summary and LaTeX tables."""

from pathlib import Path

from audioprobe.experiments.finetuning.analysis import StudySummary, summarize
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.report import build_report
from audioprobe.experiments.finetuning.storage import StudyRecord
from audioprobe.experiments.finetuning.tables import all_tables
from audioprobe.io.atomic import atomic_write
from audioprobe.reports.html import write_page

REPORT, SUMMARY = "report.html", "summary.md"


def write_outputs(record: StudyRecord, folder: Path, name: str) -> StudySummary:
    """Write the report, a Markdown summary and one LaTeX file per table; return all results.

    Args:
        record: results of the finished runs.
        folder: output folder.
        name: part of the report's title.
    """
    summary = summarize(record)
    tables = {
        "Conclusions": conclusions_table(summary),
        "Significance": significance_table(summary),
        **all_tables(summary),
    }
    tables = {title: table for title, table in tables.items() if table.rows}
    sections = [f"## {title}\n\n{table.to_markdown()}" for title, table in tables.items()]
    atomic_write(folder / SUMMARY, "\n".join(sections))
    for title, table in tables.items():
        atomic_write(folder / f"{title.lower()}.tex", table.to_latex())
    write_page(build_report(summary, name), folder / REPORT)
    return summary
