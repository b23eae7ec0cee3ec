"""Heat map of label scores: rows are clips, columns are labels."""

from collections.abc import Sequence

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.text_table import printable
from audioprobe.plots.canvas import Canvas, figure_of, off_screen
from audioprobe.types import BoolArray, FloatArray

with needs_extra("report"):
    from matplotlib.axes import Axes

_CELL_INCHES = 0.32
_NAMES_INCHES = 4.0  # space for names and the colour bar
_MOST_INCHES = 60.0  # maximum size of the figure; cells shrink to fit
_LONGEST_NAME = 40  # maximum number of characters of a name


def score_map(
    scores: FloatArray,
    clip_ids: Sequence[str],
    labels: Sequence[str],
    *,
    correct: BoolArray,
    blank: BoolArray,
    canvas: Canvas = off_screen,
) -> Axes:
    """Draw scores as a heat map; a darker cell is a higher score.

    Args:
        scores: shape (n_clips, n_labels).
        clip_ids: names of the rows.
        labels: names of the columns.
        correct: whether a clip has a label, shape (n_clips, n_labels); such cells get a ring.
        blank: rows that stay white because the model recognised nothing, shape (n_clips,).
        canvas: function that returns the axes.

    Raises:
        InvalidInputError: if there are no scores.
    """
    if not scores.size:
        raise InvalidInputError("Expected a scored clip, received none: nothing can be drawn.")
    n_clips, n_labels = scores.shape
    width = min(_MOST_INCHES, _NAMES_INCHES + _CELL_INCHES * n_labels)
    height = min(_MOST_INCHES, _NAMES_INCHES + _CELL_INCHES * n_clips)
    axes = canvas(width, height)
    values = np.where(blank[:, None], np.nan, scores)  # NaN is not drawn
    image = axes.imshow(values, aspect="auto", cmap="Blues", interpolation="nearest")
    if correct.any():
        rows, columns = np.nonzero(correct)
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
    axes.set_yticks(range(n_clips), [_short(name) for name in clip_ids])
    axes.set_xticks(range(n_labels), [_short(name) for name in labels], rotation=90)
    for name in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        name.set_parse_math(False)  # a dollar sign in a file name is a dollar sign
    axes.tick_params(length=0, labelsize=8)
    figure_of(axes).colorbar(image, ax=axes, label="score", shrink=0.6)
    return axes


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"…{text[-_LONGEST_NAME:]}"
