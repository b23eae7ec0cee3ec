"""Write the output files of a fine-tuning study: report, Markdown summary and LaTeX tables."""

from pathlib import Path

from audioprobe.experiments.finetuning.analysis import StudySummary, summarize
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.report import build_report
from audioprobe.experiments.finetuning.storage import StudyRecord
from audioprobe.experiments.finetuning.tables import all_tables
from audioprobe.reports.html import write_page
from audioprobe.reports.table_files import write_tables

REPORT, MEASUREMENTS = "report.html", "measurements.parquet"

_N_KEYS = {
    "Significance": 2,
    "Strategies": 4,
    "Ablations": 5,
    "Effects": 4,
    "Correlations": 2,
    "Generalization": 5,
    "Transfer": 3,
}
"""Number of first columns that name the rows of a table, by title; 1 for other tables."""


def write_outputs(record: StudyRecord, folder: Path, name: str) -> StudySummary:
    """Write report, Markdown summary, a LaTeX file per table and all measurements; return results.

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
    files = (MEASUREMENTS, *write_tables(tables, folder, _N_KEYS))
    record.to_parquet(folder / MEASUREMENTS)
    write_page(build_report(summary, name, files), folder / REPORT)
    return summary
