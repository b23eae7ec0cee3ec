"""Everything that a finished run leaves in its folder."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.experiments.classification.analysis import CellScore, scored
from audioprobe.experiments.classification.calibration import calibrate
from audioprobe.experiments.classification.familiarity import drops
from audioprobe.experiments.classification.report import ReportMaker
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
from audioprobe.experiments.classification.tables import labels_table, notes, summary
from audioprobe.io.atomic import atomic_write
from audioprobe.io.parquet import write_parquet
from audioprobe.io.text_table import Table, printable
from audioprobe.reports.html import DataGrid, write_page
from audioprobe.results.scores import NOT_SCORED
from audioprobe.training_data import training_notes

SCORES, REPORT = "scores.parquet", "report.html"
_SHOWN = 5  # clips that a sentence names


def write_outcome(
    run: ClassificationRun,
    cells: Sequence[ClassificationCell],
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
    write_parquet(folder / SCORES, score_columns(cells))
    scores = scored(cells, run.config)
    table = summary(scores)
    labels = [
        f"\n## {score.sounds}: {score.rung}\n\n{labels_table(score).to_markdown()}"
        for score in scores
    ]
    cell_notes = _notes(cells)
    told = [f"\n{note}\n" for note in (*cell_notes, *notes(scores, run.config.bootstrap.level))]
    atomic_write(folder / "summary.md", "".join([table.to_markdown(), *told, *labels]))
    atomic_write(folder / "summary.tex", table.to_latex())
    clips = {heard.name: {clip.id: clip for clip in heard.clips} for heard, _ in run.questions}
    first = cells[0].result.provenance
    lead = (
        f"{run.config.model.name} heard {sum(map(len, clips.values()))} clips; its captions were "
        f"scored by {first.components['scorer'].name}. audioprobe "
        f"{first.versions.get('audioprobe', '?')}, seed {run.config.seed}."
    )
    lead = " ".join([lead, *cell_notes])
    page = ReportMaker(clips, folder, embed=embed)(
        name,
        lead,
        cells=cells,
        scores=scores,
        drops=drops(cells, run.config.bootstrap),
        judged=calibrate(cells, run.config),
        bootstrap=run.config.bootstrap,
        made=[
            DataGrid("Sounds", _sounds(run, cells)),
            DataGrid("Questions", _questions(run), False, False),
        ],
    )
    write_page(page, folder / REPORT)
    return scores


def _notes(cells: Sequence[ClassificationCell]) -> list[str]:
    """What a reader of the numbers should know of the clips, a sentence each."""
    found = []
    for cell in cells:
        result = cell.result
        known = training_notes(result.provenance.training_clips, result.counts["clips"])
        found += [f"{cell.sounds}: {note}." for note in known]
        unread = [caption for caption in result.captions if caption.details.get(NOT_SCORED)]
        if unread:
            clips = ", ".join(dict.fromkeys(printable(c.clip_id) for c in unread[:_SHOWN]))
            found.append(
                f"{cell.sounds}, {cell.rung}: {len(unread)} captions are longer than the scorer "
                f"reads, among them those of {clips}."
            )
    return list(dict.fromkeys(found))


def _sounds(run: ClassificationRun, cells: Sequence[ClassificationCell]) -> Table:
    """What was heard, with what the data sets say of themselves: what is missing, for one."""
    known = {cell.sounds: cell.result.provenance.training_clips for cell in cells}
    rows = []
    for heard, _ in run.questions:
        info = heard.dataset.info
        options = ", ".join(f"{name} {value}" for name, value in info.options.items())
        trained = ", ".join(f"{len(clips)}, {name}" for name, clips in known[heard.name].items())
        n_clips = str(len(heard.clips))
        rows.append(
            (heard.name, info.name, info.revision, n_clips, trained or "not known", options)
        )
    header = ("sounds", "data set", "revision", "clips", "used to train the model", "options")
    return Table(header, tuple(rows), (3,))


def _questions(run: ClassificationRun) -> Table:
    """What was asked, word for word."""
    rows = tuple((h.name, q.name, q.text) for h, questions in run.questions for q in questions)
    return Table(("sounds", "rung", "question"), rows)


def score_columns(cells: Sequence[ClassificationCell]) -> dict[str, list[object]]:
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
