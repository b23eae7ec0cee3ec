"""Write the output files of a finished probing run: trials, tables, pages and report."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.experiments.probing.report import build_report
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.experiments.probing.tables import summary
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.io.atomic import atomic_write
from audioprobe.io.data_table import DataTable
from audioprobe.io.text_table import Table
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import write_page
from audioprobe.reports.latex import narrow_latex
from audioprobe.reports.probe_page import write_probe_page
from audioprobe.reports.provenance import command_text

TRIALS, REPORT = "trials.parquet", "report.html"
SUMMARIES = ("summary.md", "summary.tex")


def write_outputs(
    run: ProbeRun, cells: Sequence[ProbeCell], folder: Path, name: str, *, embed: bool = False
) -> Table:
    """Write trials, tables, pages and the report into the folder of a run.

    Args:
        run: the run.
        cells: results of the run, one for each model and evaluation set; each has a page.
        folder: folder of the run.
        name: name in the title of the report.
        embed: whether the pages contain the audio itself instead of links to files.

    Returns:
        The summary table with one row per model and evaluation set.
    """
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    trial_data(cells).to_parquet(folder / TRIALS)
    table = summary(cells)
    parts = [
        f"\n## {cell.name}\n\n{cell.outcome.table('relation', 'condition', 'form').to_markdown()}"
        + "".join(f"\n{t.to_markdown()}" for t in [cell.outcome.measures()] if t.rows)
        + "".join(f"\n{note[:1].upper()}{note[1:]}.\n" for note in cell.outcome.notes())
        for cell in cells
    ]
    atomic_write(folder / "summary.md", table.to_markdown() + "".join(parts))
    atomic_write(folder / "summary.tex", narrow_latex(table, 2))
    clips = {p.evaluation_set: {c.id: c for c in p.clips.clips} for p in run.planned if p.clips}
    for cell in cells:
        of_set = clips.get(cell.evaluation_set, {})
        page = folder / RESULTS / f"{cell.name}.html"
        write_probe_page(
            cell.outcome,
            page,
            embed=embed,
            clips=of_set,
            command=command_text(),
            files=(f"../{TRIALS}",),
        )
    audio = AudioClips(folder, embed=embed)
    report = build_report(run, cells, name, audio, (TRIALS, *SUMMARIES))
    write_page(report, folder / REPORT)
    return table


def trial_data(cells: Sequence[ProbeCell]) -> DataTable:
    """Return a table with one row per model, evaluation set and trial.

    The columns after the first two are those of `ProbeOutcome.data`.
    """
    return DataTable.joined(
        ({"model": cell.model, "evaluation_set": cell.evaluation_set}, cell.outcome.data())
        for cell in cells
    )
