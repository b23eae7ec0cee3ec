"""Write the output files of a finished probing run: trials, tables, pages and report."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.experiments.probing.report import build_report
from audioprobe.experiments.probing.run import ProbeCell, ProbeRun
from audioprobe.experiments.probing.tables import summary
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.io.atomic import atomic_write
from audioprobe.io.parquet import write_parquet
from audioprobe.io.text_table import Table
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.reports.html import write_page
from audioprobe.reports.probe_page import write_probe_page

TRIALS, REPORT = "trials.parquet", "report.html"
_PAIR_COLUMNS = ("concept", "relation", "target", "holds", "level", "negatives", "match")
_QUESTION_COLUMNS = ("condition", "form", "wording", "order", "clip", "audio")


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
    write_parquet(folder / TRIALS, trial_columns(cells))
    table = summary(cells)
    parts = [
        f"\n## {cell.name}\n\n{cell.outcome.table('relation', 'condition', 'form').to_markdown()}"
        + "".join(f"\n{note[:1].upper()}{note[1:]}.\n" for note in cell.outcome.notes())
        for cell in cells
    ]
    atomic_write(folder / "summary.md", table.to_markdown() + "".join(parts))
    atomic_write(folder / "summary.tex", table.to_latex())
    clips = {p.evaluation_set: {c.id: c for c in p.clips.clips} for p in run.planned if p.clips}
    for cell in cells:
        of_set = clips.get(cell.evaluation_set, {})
        page = folder / RESULTS / f"{cell.name}.html"
        write_probe_page(cell.outcome, page, embed=embed, clips=of_set)
    write_page(build_report(run, cells, name), folder / REPORT)
    return table


def trial_columns(cells: Sequence[ProbeCell]) -> dict[str, list[object]]:
    """Return a table with one row per trial, as a dict from column name to column.

    A trial is a question with its answer. The column `reading` is the way in which the answer was
    turned into an option, such as "likelihood"; `choice` is the index of this option. Options are
    joined by "|". Missing values are None.
    """
    rows = []
    for cell in cells:
        reading = cell.outcome.reading
        rows += [_row(cell, trial, reading) for trial in cell.outcome.trials]
    return {key: [row[key] for row in rows] for key in rows[0]}


def _row(cell: ProbeCell, trial: Trial, reading: AnswerReading) -> dict[str, object]:
    question, judgement = trial.question, trial.judgement
    return {
        "model": cell.model,
        "evaluation_set": cell.evaluation_set,
        **{name: getattr(trial.question.pair, name) for name in _PAIR_COLUMNS},
        **{name: getattr(question, name) for name in _QUESTION_COLUMNS},
        "question": question.text,
        "options": "|".join(question.options),
        "correct": question.correct,
        "response": trial.response,
        "reading": reading,
        "choice": trial.choice(reading),
        "log_likelihoods": list(trial.log_likelihoods) or None,
        "prior_log_likelihoods": list(trial.prior_log_likelihoods) or None,
        "failure": trial.failure or None,
        "judge_choice": judgement.choice if judgement else None,
        "judge_prompt": judgement.prompt if judgement else None,
        "judge_response": judgement.response if judgement else None,
        "judge_failure": (judgement.failure or None) if judgement else None,
    }
