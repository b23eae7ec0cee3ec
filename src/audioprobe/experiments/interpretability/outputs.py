"""Write the output files of an interpretability study: report, summary, tables and all numbers."""

from pathlib import Path

from audioprobe.experiments.interpretability.report import build_report
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.tables import all_tables
from audioprobe.io.text_table import Table
from audioprobe.reports.html import write_page
from audioprobe.reports.table_files import write_tables

REPORT, TRIALS = "report.html", "trials.parquet"


def write_outputs(record: InterpretabilityRecord, folder: Path, name: str) -> dict[str, Table]:
    """Write report, Markdown summary, LaTeX tables, and all trials and values as Parquet files.

    Args:
        record: stored results of the study.
        folder: output folder.
        name: part of the report's title.

    Returns:
        The tables of the summary by title.
    """
    tables = all_tables(record)
    files = [TRIALS, *write_tables(tables, folder)]
    record.trials.to_parquet(folder / TRIALS)
    data = {**record.curves, **record.tables}
    for key, values in data.items():
        if len(values.data()):
            files.append(f"{key.replace(' ', '-')}.parquet")
            values.to_parquet(folder / files[-1])
    write_page(build_report(record, name, files), folder / REPORT)
    return tables
