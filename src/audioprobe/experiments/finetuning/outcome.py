"""Everything that a study of fine-tuning leaves in its folder."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.disk import write_whole
from audioprobe.experiments.finetuning.findings import Findings
from audioprobe.experiments.finetuning.report import report_of
from audioprobe.experiments.finetuning.run import FinetuningRun
from audioprobe.experiments.finetuning.summary import (
    effects_table,
    failures_table,
    links_table,
    strategies_table,
    transfer_table,
)
from audioprobe.experiments.finetuning.synthesis import Synthesis, synthesised
from audioprobe.experiments.finetuning.verdicts import verdicts_of
from audioprobe.reports.html import write_page
from audioprobe.tables import Table

REPORT, SUMMARY = "report.html", "summary.md"


def write_outcome(
    run: FinetuningRun, findings: Sequence[Findings], folder: Path, name: str
) -> Synthesis:
    """Write tables, verdicts and the report into the folder of a run.

    Args:
        run: as it was prepared.
        findings: what it gave so far.
        folder: of the run.
        name: in the title of the report.
    """
    found = synthesised(run.config, findings, run.materials.halves, len(run.cells))
    verdicts = verdicts_of(found)
    tables: dict[str, Table] = {
        "Strategies": strategies_table(found),
        "Effects": effects_table(found),
        "Drift": links_table(found),
        "Transfer": transfer_table(found),
        "Failures": failures_table(found),
    }
    told = [f"**{v.question}** {v.answer}\n\n{v.evidence}\n" for v in verdicts]
    parts = [
        f"## {title}\n\n{table.to_markdown()}\n" for title, table in tables.items() if table.rows
    ]
    write_whole(folder / SUMMARY, "\n".join([*told, *parts]))
    for title, table in tables.items():
        if table.rows:
            write_whole(folder / f"{title.lower()}.tex", table.to_latex())
    write_page(report_of(run.config, found, verdicts, name), folder / REPORT)
    return found
