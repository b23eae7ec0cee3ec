"""Forest, ROC and confusion plots."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from audioprobe.errors import needs_extra
from audioprobe.io.text_table import printable
from audioprobe.metrics.vectorized_metrics import RocCurve
from audioprobe.plots.canvas import Canvas, figure_of, off_screen
from audioprobe.plots.forest_plot import ForestPlot, ForestRow
from audioprobe.types import Float64Array

with needs_extra("report"):
    from matplotlib.axes import Axes

_ROW_INCHES = 0.32
_CELL_INCHES = 0.3
Place: TypeAlias = Literal["upper left", "lower right", "best"]

INK, LINE = "#1f3b57", "#9aa7b3"
_CONTROL = "#b07d2b"


def forest(
    rows: Sequence[ForestRow],
    axis: str,
    reference: float = 0.0,
    *,
    canvas: Canvas = off_screen,
) -> Axes:
    """Plot estimates with their intervals, one below the other.

    Args:
        rows: rows from top to bottom.
        axis: name and unit of the values.
        reference: position of the dashed line, such as no difference or chance.
        canvas: function that returns the axes.
    """
    axes = canvas(6.5, 0.9 + _ROW_INCHES * len(rows))
    axes.axvline(reference, color=LINE, linewidth=1, linestyle="--")
    for height, row in enumerate(reversed(rows)):
        _estimate(axes, row, height, reference)
    axes.set_yticks(range(len(rows)), [printable(row.name) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(axis)
    plain(axes)
    return axes


def roc(curves: Mapping[str, RocCurve], *, canvas: Canvas = off_screen) -> Axes:
    """Plot mean ROC curves with their confidence bands."""
    axes = square(canvas, "false-positive rate", "true-positive rate, mean over labels")
    for number, (name, curve) in enumerate(curves.items()):
        color = f"C{number % 10}"
        axes.plot(
            curve.false_positive_rate, curve.true_positive_rate, color=color, label=printable(name)
        )
        if curve.low is not None and curve.high is not None:
            axes.fill_between(
                curve.false_positive_rate, curve.low, curve.high, color=color, alpha=0.15, lw=0
            )
    legend(axes, "lower right")
    plain(axes)
    return axes


def confusion(counts: Float64Array, labels: Sequence[str], *, canvas: Canvas = off_screen) -> Axes:
    """Plot a confusion matrix: correct labels in rows, labels with the highest score in columns.

    Each row is divided by its sum.
    """
    size = 4 + _CELL_INCHES * len(labels)  # 4 inches for names and the colour bar
    axes = canvas(size, size)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [printable(label) for label in labels]
    axes.set_yticks(range(len(labels)), names)
    axes.set_xticks(range(len(labels)), names, rotation=90)
    axes.set_ylabel("label of the clip")
    axes.set_xlabel("best label")
    axes.tick_params(length=0)
    plain(axes)
    figure_of(axes).colorbar(image, ax=axes, label="share of clips", shrink=0.7)
    return axes


def plain(axes: Axes) -> None:
    """Remove the upper and right borders; show "$" in tick labels as a dollar sign, not as math."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)  # a dollar sign in a name is a dollar sign


def square(canvas: Canvas, across: str, up: str) -> Axes:
    """Return square axes with their diagonal from (0, 0) to (1, 1)."""
    axes = canvas(5.2, 4.6)
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle="--")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_aspect("equal")
    return axes


def legend(axes: Axes, place: Place) -> None:
    """Add a legend without frame; names are shown as they are, not as math."""
    for text in axes.legend(loc=place, frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)


def _estimate(axes: Axes, row: ForestRow, height: int, reference: float) -> None:
    color = _CONTROL if row.muted else INK
    estimate = row.estimate
    if estimate.value is None:
        axes.text(reference, height, " undefined", color=color, va="center", fontsize=8)
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=color, linewidth=1.5)
    marker = "o" if not row.muted else "D"
    axes.plot([estimate.value], [height], marker, color=color, markersize=5)


def draw_forest(plot: ForestPlot, canvas: Canvas) -> Axes:
    """Draw a forest plot, for `ForestPlotted.plot`."""
    return forest(plot.rows, plot.axis, plot.reference, canvas=canvas)


PLOTS: Mapping[str, Callable[[ForestPlot, Canvas], Axes]] = {"forest": draw_forest}
"""Functions that draw a `ForestPlot`, by the name of the plot."""
