"""Everything that a finished run leaves in its folder."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.disk import write_whole
from audioprobe.experiments.calibrated import calibrated
from audioprobe.experiments.classification import Cell, ClassificationRun
from audioprobe.experiments.report import ReportMaker
from audioprobe.experiments.scoring import CellScore, drops, scored
from audioprobe.experiments.summary import labels_table, summary
from audioprobe.parquet import write
from audioprobe.reports.html import Grid, write_page
from audioprobe.tables import Table

SCORES, REPORT = "scores.parquet", "report.html"


def write_outcome(
    run: ClassificationRun,
    cells: Sequence[Cell],
    folder: Path,
    name: str,
    *,
    embed: bool = False,
) -> tuple[CellScore, ...]:
    """Score a run, and write scores, tables and report into its folder.

    Args:
        run: as it was prepared.
        cells: what it gave.
        folder: of the run.
        name: in the title of the report.
        embed: as for `ReportMaker`.
    """
    write(folder / SCORES, score_columns(cells))
    scores = scored(cells, run.config)
    table = summary(scores)
    labels = [
        f"\n## {score.sounds}: {score.rung}\n\n{labels_table(score).to_markdown()}"
        for score in scores
    ]
    write_whole(folder / "summary.md", table.to_markdown() + "".join(labels))
    write_whole(folder / "summary.tex", table.to_latex())
    clips = {heard.name: {clip.id: clip for clip in heard.clips} for heard, _ in run.questions}
    first = cells[0].result.provenance
    lead = (
        f"{run.config.model.name} heard {sum(map(len, clips.values()))} clips; its captions were "
        f"scored by {first.components['scorer'].name}. audioprobe "
        f"{first.versions.get('audioprobe', '?')}, seed {run.config.seed}."
    )
    page = ReportMaker(clips, folder, embed=embed)(
        name,
        lead,
        cells=cells,
        scores=scores,
        drops=drops(cells, run.config.bootstrap),
        judged=calibrated(cells, run.config),
        bootstrap=run.config.bootstrap,
        made=[Grid("Sounds", _sounds(run)), Grid("Questions", _questions(run), False, False)],
    )
    write_page(page, folder / REPORT)
    return scores


def _sounds(run: ClassificationRun) -> Table:
    """What was heard, with what the data sets say of themselves: what is missing, for one."""
    rows = []
    for heard, _ in run.questions:
        info = heard.dataset.info
        options = ", ".join(f"{name} {value}" for name, value in info.options.items())
        rows.append((heard.name, info.name, info.revision, str(len(heard.clips)), options))
    return Table(("sounds", "data set", "revision", "clips", "options"), tuple(rows), (3,))


def _questions(run: ClassificationRun) -> Table:
    """What was asked, word for word."""
    rows = tuple((h.name, q.name, q.text) for h, questions in run.questions for q in questions)
    return Table(("sounds", "rung", "question"), rows)


def score_columns(cells: Sequence[Cell]) -> dict[str, list[object]]:
    """A row per cell, clip and label: the score, and whether annotators heard it.

    `present` is null where nobody annotated the clip. Clips that failed have no rows.
    """
    names = ("sounds", "rung", "clip", "group", "label", "score", "present")
    columns: dict[str, list[object]] = {name: [] for name in names}
    for cell in cells:
        result = cell.result
        for clip, row in zip(result.clip_ids, result.scores.tolist(), strict=True):
            truth = result.truth.get(clip)
            for label, score in zip(result.labels, row, strict=True):
                present = None if truth is None else label in truth
                values = (
                    cell.sounds,
                    cell.rung,
                    clip,
                    cell.groups.get(clip),
                    label,
                    score,
                    present,
                )
                for name, value in zip(names, values, strict=True):
                    columns[name].append(value)
    return columns
