"""Line plots of estimates with intervals, and scatter plots of two values."""

from collections.abc import Mapping, Sequence

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.io.text_table import printable
from audioprobe.plots.canvas import Canvas, off_screen
from audioprobe.plots.figures import LINE, legend, plain, square
from audioprobe.types import Estimate

with needs_extra("report"):
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX*"
_OFFSET = 0.06  # horizontal distance between the error bars of two lines


def estimates(
    series: Mapping[str, Mapping[str, Estimate]],
    across: str,
    up: str,
    *,
    reference: float,
    canvas: Canvas = off_screen,
) -> Axes:
    """Plot one line per series, with error bars; undefined estimates leave a gap.

    Args:
        series: estimates by the name of the line, and by the name of the position.
        across: name of the positions.
        up: name and unit of the values.
        reference: height of the dashed line, such as chance.
        canvas: function that returns the axes.

    Raises:
        InvalidInputError: if no estimate is defined.
    """
    names = list(dict.fromkeys(name for line in series.values() for name in line))
    if all(e.value is None for line in series.values() for e in line.values()):
        raise InvalidInputError("No value is defined, so nothing can be drawn.")
    axes = canvas(2.4 + 1.1 * len(names), 3.8)
    axes.axhline(reference, color=LINE, linewidth=1, linestyle="--")
    for number, (name, line) in enumerate(series.items()):
        color, marker = f"C{number % 10}", _MARKERS[number % len(_MARKERS)]
        shift = _OFFSET * (number - (len(series) - 1) / 2)
        points = [(n + shift, line[x]) for n, x in enumerate(names) if x in line]
        values = [float("nan") if e.value is None else e.value for _, e in points]
        axes.plot(
            [x for x, _ in points],
            values,
            marker=marker,
            color=color,
            linewidth=1.2,
            markersize=5,
            label=printable(name),
        )
        for x, e in points:
            if e.low is not None and e.high is not None:
                axes.plot([x, x], [e.low, e.high], color=color, linewidth=1)
    axes.set_xticks(range(len(names)), [printable(name) for name in names])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    legend(axes, "best")
    plain(axes)
    return axes


def scatter(
    points: Sequence[tuple[str, float, float]],
    across: str,
    up: str,
    *,
    canvas: Canvas = off_screen,
) -> Axes:
    """Plot named points in the unit square; points below the diagonal have a lower second value.

    Args:
        points: (name, x, y), with x and y in [0, 1]; names of equal points share one text.
        across: name of x.
        up: name of y.
        canvas: function that returns the axes.

    Raises:
        InvalidInputError: if there are no points.
    """
    if not points:
        raise InvalidInputError("No value is defined, so nothing can be drawn.")
    axes = square(canvas, across, up)
    by_place: dict[tuple[float, float], list[str]] = {}
    for name, x, y in points:
        by_place.setdefault((x, y), []).append(printable(name))
    for (x, y), names in by_place.items():
        axes.plot([x], [y], "o", color="C0", markersize=4 + 2 * len(names) ** 0.5, alpha=0.7)
        shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        axes.annotate(
            shown, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7, parse_math=False
        )
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    plain(axes)
    return axes


def two_effects(
    points: Mapping[str, tuple[Estimate, Estimate]],
    across: str,
    up: str,
    *,
    canvas: Canvas = off_screen,
) -> Axes:
    """Plot named points with two intervals; dashed lines are at 0. The title lists undefined ones.

    Args:
        points: x and y, such as two differences, by the name of the point.
        across: name of x.
        up: name of y.
        canvas: function that returns the axes.

    Raises:
        InvalidInputError: if no point is defined.
    """
    missing = [name for name, pair in points.items() if None in (pair[0].value, pair[1].value)]
    if len(missing) == len(points):
        raise InvalidInputError("No value is defined, so nothing can be drawn.")
    axes = canvas(5.6, 4.6)
    axes.axhline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    axes.axvline(0, color=LINE, linewidth=1, linestyle="--", zorder=0)
    for number, (name, (x, y)) in enumerate(points.items()):
        if x.value is None or y.value is None:
            continue
        color, marker = f"C{number % 10}", _MARKERS[number % len(_MARKERS)]
        axes.plot([x.value], [y.value], marker, color=color)
        if x.low is not None and x.high is not None:
            axes.plot([x.low, x.high], [y.value, y.value], color=color, linewidth=1)
        if y.low is not None and y.high is not None:
            axes.plot([x.value, x.value], [y.low, y.high], color=color, linewidth=1)
        axes.annotate(
            printable(name),
            (x.value, y.value),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
            parse_math=False,
        )
    if missing:
        text = f"undefined, not drawn: {', '.join(map(printable, missing))}"
        axes.set_title(text, fontsize=8, parse_math=False)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    plain(axes)
    return axes
