"""Write the output files of a finished classification run: scores, tables and report."""

from collections.abc import Sequence
from pathlib import Path

from audioprobe.experiments.classification.across_sets import calibrate, familiarity_drops
from audioprobe.experiments.classification.analysis import CellScore, score_cells
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
_SHOWN = 5  # maximum number of clips that a sentence names


def write_outputs(
    run: ClassificationRun,
    cells: Sequence[ClassificationCell],
    folder: Path,
    name: str,
    *,
    embed: bool = False,
) -> tuple[CellScore, ...]:
    """Compute the metrics of a run, and write scores, tables and report into its folder.

    Args:
        run: the prepared run.
        cells: results of the run: one cell per prompt level and evaluation set.
        folder: folder of the run.
        name: title of the report.
        embed: whether the report contains the audio itself instead of links to files.

    Returns:
        The metrics of each cell.
    """
    write_parquet(folder / SCORES, score_columns(cells))
    scores = score_cells(cells, run.config)
    table = summary(scores)
    labels = [f"\n## {score.name}\n\n{labels_table(score).to_markdown()}" for score in scores]
    cell_notes = _notes(cells)
    all_notes = [*cell_notes, *notes(scores, run.config.bootstrap.level)]
    paragraphs = [f"\n{note}\n" for note in all_notes]
    atomic_write(folder / "summary.md", "".join([table.to_markdown(), *paragraphs, *labels]))
    atomic_write(folder / "summary.tex", table.to_latex())
    clips = {each.name: {clip.id: clip for clip in each.clips} for each, _ in run.questions}
    provenance = cells[0].result.provenance
    lead = (
        f"{run.config.model.name} captioned {sum(map(len, clips.values()))} clips; the captions "
        f"were scored by {provenance.components['scorer'].name}. audioprobe "
        f"{provenance.versions.get('audioprobe', '?')}, seed {run.config.seed}."
    )
    page = ReportMaker(clips, folder, embed=embed)(
        name,
        " ".join([lead, *cell_notes]),
        cells=cells,
        scores=scores,
        drops=familiarity_drops(cells, run.config.bootstrap),
        calibrations=calibrate(cells, run.config),
        bootstrap=run.config.bootstrap,
        setup=[
            DataGrid("Evaluation sets", _sets_table(run, cells)),
            DataGrid("Questions", _questions_table(run), False, False),
        ],
    )
    write_page(page, folder / REPORT)
    return scores


def _notes(cells: Sequence[ClassificationCell]) -> list[str]:
    """Return notes about clips used in training and captions too long for the scorer."""
    sentences = []
    for cell in cells:
        result = cell.result
        trained_on = training_notes(result.provenance.training_clips, result.counts["clips"])
        sentences += [f"{cell.evaluation_set}: {note}." for note in trained_on]
        too_long = [caption for caption in result.captions if caption.details.get(NOT_SCORED)]
        if too_long:
            clips = ", ".join(dict.fromkeys(printable(c.clip_id) for c in too_long[:_SHOWN]))
            sentences.append(
                f"{cell.evaluation_set}, {cell.prompt_level}: {len(too_long)} captions are longer "
                f"than the scorer reads, among them those of {clips}."
            )
    return list(dict.fromkeys(sentences))


def _sets_table(run: ClassificationRun, cells: Sequence[ClassificationCell]) -> Table:
    trained_on = {cell.evaluation_set: cell.result.provenance.training_clips for cell in cells}
    rows = []
    for clips, _ in run.questions:
        info = clips.dataset.info
        options = ", ".join(f"{name} {value}" for name, value in info.options.items())
        used = ", ".join(f"{len(ids)}, {name}" for name, ids in trained_on[clips.name].items())
        n_clips = str(len(clips.clips))
        rows.append((clips.name, info.name, info.revision, n_clips, used or "unknown", options))
    header = ("evaluation set", "data set", "revision", "clips", "used in training", "options")
    return Table(header, tuple(rows), (3,))


def _questions_table(run: ClassificationRun) -> Table:
    rows = tuple((c.name, q.name, q.text) for c, questions in run.questions for q in questions)
    return Table(("evaluation set", "prompt level", "question"), rows)


def score_columns(cells: Sequence[ClassificationCell]) -> dict[str, list[object]]:
    """Return the columns of a table with one row per cell, clip and label.

    `present` is null for clips without reference labels. Failed clips have no rows.
    """
    names = ("evaluation_set", "prompt_level", "clip", "group", "label", "score", "present")
    rows = [
        (
            cell.evaluation_set,
            cell.prompt_level,
            clip,
            cell.groups.get(clip),
            label,
            score,
            None if (truth := cell.result.truth.get(clip)) is None else label in truth,
        )
        for cell in cells
        for clip, row in zip(cell.result.clip_ids, cell.result.scores.tolist(), strict=True)
        for label, score in zip(cell.result.labels, row, strict=True)
    ]
    return {name: [row[n] for row in rows] for n, name in enumerate(names)}
