"""Labels beside points that cover neither points nor each other, as far as there is room."""

from collections.abc import Iterator, Sequence

import numpy as np

from audioprobe.errors import needs_extra
from audioprobe.reports.figures import LINE
from audioprobe.types import Float64Array

with needs_extra("report"):
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox, BboxBase

_TYPE = 7  # points
_DOT = 4.5  # points, from the middle of a mark to its edge
_LETTER = 0.6  # of the size of type: the mean width of a letter
_NEAR = 9  # points; labels further away have a line to their point
_ALONG = 60  # places on a line that is better not covered
_STEP = 8  # square points that each of them counts as


def put_labels(
    axes: Axes,
    labels: Sequence[tuple[str, float, float]],
    marks: Sequence[tuple[float, float]] = (),
    strokes: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> None:
    """Write each label where it covers least; limits of the axes must be final.

    Args:
        axes: with all that is drawn.
        labels: text, and the point that it is of.
        marks: other points that are better not covered.
        strokes: lines from point to point that are better not covered.
    """
    unit = axes.figure.dpi / 72
    points = _pixels(axes, [*((x, y) for _, x, y in labels), *marks])
    taken: list[BboxBase] = [
        Bbox.from_bounds(x - _DOT * unit, y - _DOT * unit, 2 * _DOT * unit, 2 * _DOT * unit)
        for x, y in points
    ]
    inked = _along(axes, strokes)
    for (text, x, y), (left, low) in zip(labels, points, strict=False):
        wide, high = (_LETTER * _TYPE * len(text) + 1) * unit, _TYPE * unit
        around = [
            (
                across,
                up,
                Bbox.from_bounds(left + across - wide / 2, low + up - high / 2, wide, high),
            )
            for across, up in _places(wide, high, unit)
        ]
        costs = [_cost(box, taken, inked, axes.bbox, unit) for _, _, box in around]
        across, up, box = around[int(np.argmin(costs))]
        taken.append(box)
        _write(axes, text, (x, y), (across / unit, up / unit), wide / unit)


def _write(
    axes: Axes, text: str, point: tuple[float, float], away: tuple[float, float], wide: float
) -> None:
    told = axes.annotate(text, point, away, textcoords="offset points", zorder=6)
    told.set(fontsize=_TYPE, ha="center", va="center", parse_math=False)
    told.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4})
    if abs(away[1]) > _TYPE / 2 + _NEAR or abs(away[0]) > wide / 2 + _NEAR:
        line = {"arrowstyle": "-", "color": LINE, "linewidth": 0.6, "shrinkA": 3, "shrinkB": 3}
        axes.annotate("", point, away, textcoords="offset points", arrowprops=line, zorder=3)


def _places(wide: float, high: float, unit: float) -> Iterator[tuple[float, float]]:
    """Where a label may stand beside its point, the nearest first."""
    for away in (6, 10, 16, 24, 34):
        across, up = wide / 2 + away * unit, high / 2 + away * unit
        yield from ((across, 0), (0, up), (-across, 0), (0, -up))
        yield from ((across, up), (-across, up), (across, -up), (-across, -up))


def _cost(
    box: BboxBase, taken: Sequence[BboxBase], inked: Float64Array, inside: BboxBase, unit: float
) -> float:
    """Area of other things that is covered, and of itself that is outside."""
    over = sum(_area(Bbox.intersection(box, other)) for other in taken)
    outside = _area(box) - _area(Bbox.intersection(box, inside))
    there = (inked > box.min).all(axis=1) & (inked < box.max).all(axis=1)
    return over + outside + float(np.count_nonzero(there)) * _STEP * unit**2


def _area(box: BboxBase | None) -> float:
    return 0.0 if box is None else float(box.width * box.height)


def _pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in map(axes.transData.transform, points)]


def _along(
    axes: Axes, strokes: Sequence[tuple[tuple[float, float], tuple[float, float]]]
) -> Float64Array:
    """Places on lines, in pixels, shape (n_places, 2)."""
    shares = np.linspace(0, 1, _ALONG)[:, None]
    ends = [np.array(_pixels(axes, stroke)) for stroke in strokes]
    return np.concatenate([np.zeros((0, 2)), *(a + shares * (b - a) for a, b in ends)])
