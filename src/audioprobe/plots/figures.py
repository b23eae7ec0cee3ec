"""Forest, ROC, reliability, confusion and step plots."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from audioprobe.errors import needs_extra
from audioprobe.io.text_table import printable
from audioprobe.metrics.calibration import CalibrationBin
from audioprobe.metrics.vectorized_metrics import RocCurve
from audioprobe.plots.canvas import Canvas, figure_of, off_screen
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.types import Float64Array

with needs_extra("report"):
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.32
_CELL_INCHES = 0.3
_LETTER_INCHES = 0.08  # width per letter of the text in a cell, including margins
Place: TypeAlias = Literal["upper left", "lower right", "best"]

INK, LINE = "#1f3b57", "#9aa7b3"
_CONTROL = "#b07d2b"
# Text is stored as text and can be searched; a fixed salt makes the bytes reproducible.
_SVG: dict[Any, str] = {"svg.fonttype": "none", "svg.hashsalt": "audioprobe"}


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


def reliability(curves: Mapping[str, Sequence[CalibrationBin]]) -> Axes:
    """Plot a reliability diagram: the share of positives against the predicted probability.

    The area of a dot is proportional to its number of items.
    """
    axes = square(off_screen, "mean predicted probability", "share of positives")
    for number, (name, bins) in enumerate(curves.items()):
        x, y = [b.mean_probability for b in bins], [b.positive_rate for b in bins]
        total = sum(b.n for b in bins)
        axes.plot(x, y, color=f"C{number % 10}", linewidth=1, label=printable(name))
        axes.scatter(x, y, s=[8 + 160 * b.n / total for b in bins], color=f"C{number % 10}")
    legend(axes, "upper left")
    plain(axes)
    return axes


def confusion(counts: Float64Array, labels: Sequence[str], *, canvas: Canvas = off_screen) -> Axes:
    """Plot a confusion matrix: correct labels in rows, labels with the highest score in columns.

    Each row is divided by its sum.
    """
    size = 2 + _CELL_INCHES * len(labels)
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


def steps(
    rows: Mapping[str, Sequence[tuple[str, float]]], share: str, *, canvas: Canvas = off_screen
) -> Axes:
    """Plot rows of named boxes; a darker box has a higher share.

    Args:
        rows: boxes of each row from left to right, as (name, share in [0, 1]), keyed by the name of
            the row.
        share: name of the share, for the colour bar.
        canvas: function that returns the axes.
    """
    most = max(len(cells) for cells in rows.values())
    longest = max(len(printable(name)) for cells in rows.values() for name, _ in cells)
    wide = 1.6 + most * max(1.5, _LETTER_INCHES * (longest + len(" 100% ")))
    axes = canvas(wide, 0.9 + _ROW_INCHES * len(rows))
    shares = np.full((len(rows), most), np.nan)
    for height, cells in enumerate(rows.values()):
        for across, (name, value) in enumerate(cells):
            shares[height, across] = value
            ink = "white" if value > 0.6 else "black"
            text = f"{printable(name)} {value:.0%}"
            label = axes.text(across, height, text, color=ink, ha="center", va="center", fontsize=7)
            label.set_parse_math(False)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(rows)), [printable(name) for name in rows])
    axes.set_xticks([])
    axes.tick_params(length=0)
    plain(axes)
    axes.spines[["bottom", "left"]].set_visible(False)
    figure_of(axes).colorbar(image, ax=axes, label=share, shrink=0.7)
    return axes


def to_svg(drawn: Axes | Figure, title: str) -> str:
    """Return a figure, or that of axes, as an `<svg>` element with a title for screen readers."""
    stream = io.StringIO()
    with mpl.rc_context(_SVG):
        figure = drawn if isinstance(drawn, Figure) else figure_of(drawn)
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    label = f'<svg role="img" aria-label="{_attribute(title)}"'
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL).replace("<svg", label, 1)


def plain(axes: Axes) -> None:
    """Remove the upper and right borders; show "$" in tick labels as a dollar sign, not as math."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)  # a dollar sign in a name is a dollar sign


def _attribute(text: str) -> str:
    return re.sub(r'[<>&"]', " ", printable(text))


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
