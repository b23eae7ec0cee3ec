"""Write the output files of a finished classification run: scores, tables and report."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from audioprobe.errors import optional_import
from audioprobe.experiments.classification.analysis import CellScore, score_cells
from audioprobe.experiments.classification.report import build_report
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun
from audioprobe.experiments.classification.tables import labels_table, notes, summary
from audioprobe.io.atomic import atomic_write
from audioprobe.io.text_table import Table, printable
from audioprobe.reports.audio_clips import AudioClips
from audioprobe.reports.html import write_page
from audioprobe.reports.latex import narrow_latex
from audioprobe.results.scores import NOT_SCORED, LabelScores
from audioprobe.training_data import training_notes

SCORES, REPORT = "scores.parquet", "report.html"
SUMMARIES = ("summary.md", "summary.tex")
_CLIPS_OF_BATCH = 500  # number of clips whose scores are converted to a table at once
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
        cells: results of the run; a "cell" is the result of one prompt level on one evaluation set.
        folder: folder of the run.
        name: title of the report.
        embed: whether the report contains the audio itself instead of links to files.

    Returns:
        The metrics of each cell.
    """
    parquet = optional_import("audioprobe.io.parquet", "data")
    parquet.write_batches(folder / SCORES, *score_batches(cells))
    scores = score_cells(cells, run.config)
    remarks = _remarks(cells)
    sentences = [*remarks, *notes(scores, run.config.bootstrap.level)]
    paragraphs = [f"\n{sentence}\n" for sentence in sentences]
    table = summary(scores)
    labels = [f"\n## {score.name}\n\n{labels_table(score).to_markdown()}" for score in scores]
    atomic_write(folder / "summary.md", "".join([table.to_markdown(), *paragraphs, *labels]))
    atomic_write(folder / "summary.tex", narrow_latex(_short_header(table), 2))
    audio = AudioClips(folder, embed=embed)
    files = (SCORES, *SUMMARIES)
    page = build_report(run, cells, scores, title=name, remarks=sentences, audio=audio, files=files)
    write_page(page, folder / REPORT)
    return scores


def _remarks(cells: Sequence[ClassificationCell]) -> list[str]:
    """Return warnings about clips used in training and about captions too long for the scorer."""
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


def _short_header(table: Table) -> Table:
    """Return the table with the threshold of F1 left out of its header."""
    return replace(table, header=tuple("F1" if h.startswith("F1,") else h for h in table.header))


def score_batches(
    cells: Sequence[ClassificationCell],
) -> tuple[dict[str, str], Iterator[dict[str, Sequence[object]]]]:
    """Return the column types and the batches of a table of all scores.

    The table has one row per evaluation set, prompt level, clip and label. The columns after the
    first two are those of `ClassificationResult.data`.
    """
    any_group = any(clip in cell.groups for cell in cells for clip in cell.result.clip_ids)
    any_truth = any(clip in cell.result.truth for cell in cells for clip in cell.result.clip_ids)
    types = {
        "evaluation_set": "string",
        "prompt_level": "string",
        "clip": "string",
        "group": "string" if any_group else "null",
        "label": "string",
        "score": "double",
        "present": "bool" if any_truth else "null",
    }
    return types, (batch for cell in cells for batch in _batches(cell))


def _batches(cell: ClassificationCell) -> Iterator[dict[str, Sequence[object]]]:
    scores = cell.result.label_scores
    names = {"evaluation_set": cell.evaluation_set, "prompt_level": cell.prompt_level}
    for start in range(0, len(scores.clip_ids), _CLIPS_OF_BATCH):
        rows = slice(start, start + _CLIPS_OF_BATCH)
        part = LabelScores(scores.clip_ids[rows], scores.labels, scores.values[rows])
        table = replace(cell.result, label_scores=part, groups=cell.groups).data()
        yield {**{name: [value] * len(table) for name, value in names.items()}, **table.columns}
