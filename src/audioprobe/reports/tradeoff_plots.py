"""Trade-off scatter plots with a Pareto front, heat maps of estimates, and curves."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from audioprobe.errors import needs_extra
from audioprobe.io.text_table import printable
from audioprobe.plots.canvas import figure_of, off_screen
from audioprobe.plots.figures import INK, LINE, plain
from audioprobe.reports.label_placement import Line, place_labels
from audioprobe.types import Estimate, Float64Array

with needs_extra("report"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

# Distinguishable with any colour blindness (Okabe and Ito 2008), and by shape.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#555555")
_MARKERS = "os^DvPX"
_STROKES = ("-", "--", "-.", ":")
_MOST_NAMED, _LONGEST_NAMED = 8, 18  # points, characters; if exceeded, points are numbered
_LONGEST = 44  # maximum number of characters of a name
_COLUMN = 17  # number of characters per line of a column's name
_SMALL = 7  # font size in points
_MISSING = "–"


@dataclass(frozen=True, slots=True)
class Point:
    """Point of a trade-off plot.

    Attributes:
        name: name of the point.
        across: x value, drawn with its interval; points with an undefined value are listed below
            the plot.
        up: y value, drawn with its interval.
        group: name of the group, which determines colour and shape.
        best: whether the point is on the Pareto front.
    """

    name: str
    across: Estimate
    up: Estimate
    group: str = ""
    best: bool = False


def plane(points: Sequence[Point], across: str, up: str) -> Figure:
    """Plot points by gain (x) and loss (y), with their Pareto front.

    Up to eight points with short names are labelled by name. Otherwise all points are labelled with
    their number, from 1, which a table next to the figure should explain. A star marks the origin.

    Args:
        points: points, in the order of their numbers.
        across: name and unit of the gain.
        up: name and unit of the loss.
    """
    axes = off_screen(7.2, 5.6)
    axes.axhline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    axes.axvline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    axes.scatter([0], [0], marker="*", s=170, color="black", label="before", zorder=5)
    names = [p.name for p in points]
    if len(points) > _MOST_NAMED or max(map(len, names), default=0) > _LONGEST_NAMED:
        names = [str(number) for number in range(1, len(points) + 1)]
    drawn = [(name, p, *where) for name, p in zip(names, points, strict=True) if (where := _at(p))]
    groups = list(dict.fromkeys(p.group for p in points))
    for number, group in enumerate(groups):
        members = [(p, x, y) for _, p, x, y in drawn if p.group == group]
        _scatter(axes, members, group, number)
    front = _pareto_line(axes, sorted((x, y) for _, p, x, y in drawn if p.best))
    missing = [_short(n) for n, p in zip(names, points, strict=True) if _at(p) is None]
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if missing:
        text = f"undefined, not drawn: {', '.join(missing)}"
        note = axes.annotate(
            textwrap.fill(text, 90), (0, 0), (0, -42), "axes fraction", "offset points"
        )
        note.set(fontsize=_SMALL, va="top", parse_math=False)
    plain(axes)
    _legend_right(axes)
    labels = [(_short(name), x, y) for name, _, x, y in drawn]
    place_labels(axes, labels, [(0.0, 0.0)], front)
    return figure_of(axes)


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Estimate | None]],
    scale: str,
    reference: float = 0.0,
) -> Figure:
    """Plot a heat map of estimates with their intervals.

    Args:
        rows: names of the rows, from top to bottom.
        columns: names of the columns, from left to right.
        cells: one estimate per row and column; None and undefined estimates are shown as "–".
        scale: name and unit of the values.
        reference: value that is drawn white, such as no difference or chance.
    """
    values = np.array([[_number(cell) for cell in row] for row in cells], dtype=np.float64)
    known = np.abs(values - reference)[~np.isnan(values)]
    most = float(known.max(initial=0.0)) or 1.0
    axes = off_screen(2.2 + 1.25 * len(columns), 1.2 + 0.55 * len(rows))
    image = axes.imshow(
        values, cmap="PuOr_r", vmin=reference - most, vmax=reference + most, aspect="auto"
    )
    axes.set_facecolor("#f1f1f1")
    for down, row in enumerate(cells):
        for right, cell in enumerate(row):
            shade = image.cmap(image.norm(values[down, right]))
            _cell(axes, (right, down), cell, _ink_on(np.asarray(shade)))
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows])
    above = [textwrap.fill(_short(name), _COLUMN) for name in columns]
    axes.set_xticks(range(len(columns)), above)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    plain(axes)
    axes.spines[:].set_visible(False)
    bar = figure_of(axes).colorbar(image, ax=axes)
    bar.set_label(scale, labelpad=8)
    bar.ax.tick_params(labelsize=_SMALL)
    return figure_of(axes)


def lines(
    series: Mapping[str, Sequence[Sequence[float | None]]], across: str, up: str, first: int = 0
) -> Figure:
    """Plot curves: a thin line for each replicate, a thick line for their mean.

    Replicates may differ in length. The mean is drawn where at least half of the replicates have a
    value. A None interrupts a line; a single value between two None is drawn as a dot.

    Args:
        series: replicates of each curve, keyed by the name of the curve; a replicate is a sequence
            of y values.
        across: name of the x axis.
        up: name and unit of the values.
        first: x of the first value of each replicate.
    """
    axes = off_screen(6.4, 3.8)
    strokes = cycle(_STROKES)
    for number, (name, replicates) in enumerate(series.items()):
        color, stroke = _COLORS[number % len(_COLORS)], next(strokes)
        values = _stacked(replicates)
        if len(values) > 1:
            for replicate in values:
                _curve(axes, replicate, first, color=color, linewidth=0.6, alpha=0.35)
        mean = _mean(values)
        _curve(axes, mean, first, color=color, linewidth=2, linestyle=stroke, label=_short(name))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain(axes)
    if series:
        _legend_right(axes)
    return figure_of(axes)


def _at(point: Point) -> tuple[float, float] | None:
    if point.across.value is None or point.up.value is None:
        return None
    return point.across.value, point.up.value


def _scatter(
    axes: Axes, members: Sequence[tuple[Point, float, float]], group: str, number: int
) -> None:
    """Draw the points of a group with their intervals, with a dark rim on the Pareto front."""
    color, marker = _COLORS[number % len(_COLORS)], _MARKERS[number % len(_MARKERS)]
    for point, x, y in members:
        for line, ends in (("across", point.across), ("up", point.up)):
            if ends.low is not None and ends.high is not None:
                both, same = [ends.low, ends.high], [y, y] if line == "across" else [x, x]
                place = (both, same) if line == "across" else (same, both)
                axes.plot(*place, color=color, linewidth=0.8, alpha=0.35, zorder=1)
    axes.scatter(
        [x for _, x, _ in members],
        [y for _, _, y in members],
        s=[64 if p.best else 34 for p, _, _ in members],
        marker=marker,
        color=color,
        edgecolors=["black" if p.best else "white" for p, _, _ in members],
        linewidths=[1.4 if p.best else 0.6 for p, _, _ in members],
        label=_short(group) if group else None,
        zorder=4,
    )


def _pareto_line(axes: Axes, best: Sequence[tuple[float, float]]) -> list[Line]:
    """Draw the Pareto front as steps; return these line segments, for the labels to avoid."""
    if not best:
        return []
    xs, ys = zip(*best, strict=True)
    axes.step(xs, ys, where="pre", color=INK, linewidth=1.2, zorder=2, label="Pareto front")
    steps: list[Line] = []
    for (x, y), (right, up) in pairwise(best):
        steps += [((x, y), (x, up)), ((x, up), (right, up))]
    return steps


def _number(cell: Estimate | None) -> float:
    return float("nan") if cell is None or cell.value is None else cell.value


def _cell(axes: Axes, place: tuple[int, int], cell: Estimate | None, ink: str) -> None:
    right, down = place
    if cell is None or cell.value is None:
        axes.text(right, down, _MISSING, ha="center", va="center", color="black")
        return
    has_ends = cell.low is not None and cell.high is not None
    shift = 0.14 if has_ends else 0.0
    axes.text(
        right, down - shift, f"{cell.value:z.2f}", ha="center", va="center", color=ink, fontsize=10
    )
    if has_ends:
        ends = f"[{cell.low:z.2f}, {cell.high:z.2f}]"
        axes.text(right, down + 0.24, ends, ha="center", va="center", color=ink, fontsize=_SMALL)


def _ink_on(shade: Float64Array) -> str:
    """Return the text color, "black" or "white", with more contrast to a background (WCAG 2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shade[:3].tolist()
    ]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if (1.05 / (light + 0.05)) > (light + 0.05) / 0.05 else "black"


def _stacked(replicates: Sequence[Sequence[float | None]]) -> Float64Array:
    """Return an array with one row per replicate; missing values and short rows are NaN."""
    stacked = np.full((len(replicates), max(map(len, replicates), default=0)), np.nan)
    for row, values in zip(stacked, replicates, strict=True):
        row[: len(values)] = np.array(values, dtype=np.float64)
    return stacked


def _mean(values: Float64Array) -> Float64Array:
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    sums = np.nansum(values, axis=0)
    enough = (counts > 0) & (2 * counts >= len(values))
    mean: Float64Array = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=enough)
    return mean


def _curve(axes: Axes, values: Float64Array, first: int, **style: Any) -> None:
    places = np.arange(first, first + len(values))
    axes.plot(places, values, **style)
    gaps = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    alone = ~gaps[1:-1] & gaps[:-2] & gaps[2:]
    if alone.any():
        size = 6 * style["linewidth"]
        axes.scatter(
            places[alone], values[alone], s=size, color=style["color"], alpha=style.get("alpha")
        )


def _legend_right(axes: Axes) -> None:
    """Place the legend to the right of the axes."""
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
