"""Heat map of label scores: rows are clips, columns are labels."""

from pathlib import Path

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.text_table import printable
from audioprobe.results import ClassificationResult

with needs_extra("report"):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

_CELL_INCHES = 0.32
_MOST_INCHES = 60.0  # maximum size of the figure; cells shrink to fit
_LONGEST_NAME = 40  # maximum number of characters of a name


def save_score_map(result: ClassificationResult, path: str | Path) -> Path:
    """Draw the scores of a result as a heat map; a darker cell is a higher score.

    A ring marks reference labels. Clips in which the model recognised nothing are white.

    Args:
        result: result with at least one scored clip.
        path: file that ends in .png, .svg or .pdf; its folder is created.

    Returns:
        The path of the file.

    Raises:
        InvalidInputError: if the file has another ending, or the result has no scores.
    """
    target = Path(path)
    check_format(target)
    if not result.scores.size:
        raise InvalidInputError("Expected a scored clip, received none: nothing can be drawn.")
    figure = _draw(result)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=150, bbox_inches="tight")
    return target


def check_format(path: Path) -> None:
    """Check that a file name has a supported ending.

    Raises:
        InvalidInputError: if the ending is not in `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidInputError(f"{path}: expected a file that ends in {', '.join(FORMATS)}.")


def _draw(result: ClassificationResult) -> Figure:
    n_clips, n_labels = result.scores.shape
    size = [min(_MOST_INCHES, 2 + _CELL_INCHES * n) for n in (n_labels, n_clips)]
    figure = Figure(figsize=(size[0], size[1]))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    recognised = result.recognised
    blank = np.array([clip_id not in recognised for clip_id in result.clip_ids])[:, None]
    values = np.where(blank, np.nan, result.scores)  # NaN is not drawn
    image = axes.imshow(values, aspect="auto", cmap="Blues", interpolation="nearest")
    rows, columns = _marks(result)
    if rows:
        axes.scatter(
            columns,
            rows,
            s=60,
            facecolors="none",
            edgecolors="#d62728",
            linewidths=1.5,
            label="label of the clip",
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8)
    axes.set_yticks(range(n_clips), [_short(name) for name in result.clip_ids])
    axes.set_xticks(range(n_labels), [_short(name) for name in result.labels], rotation=90)
    for name in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        name.set_parse_math(False)  # a dollar sign in a file name is a dollar sign
    axes.tick_params(length=0, labelsize=8)
    figure.colorbar(image, ax=axes, label="score", shrink=0.6)
    return figure


def _marks(result: ClassificationResult) -> tuple[list[int], list[int]]:
    """Return the row indices and the column indices of the cells with a reference label."""
    column = {label: n for n, label in enumerate(result.labels)}
    marks = [
        (row, column[label])
        for row, clip_id in enumerate(result.clip_ids)
        for label in result.truth.get(clip_id, ())
        if label in column
    ]
    return [row for row, _ in marks], [col for _, col in marks]


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"…{text[-_LONGEST_NAME:]}"
