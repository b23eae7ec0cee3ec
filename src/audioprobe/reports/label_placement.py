"""Place the labels of points so that they overlap little."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from audioprobe.errors import needs_extra
from audioprobe.plots.figures import LINE
from audioprobe.types import Float64Array

with needs_extra("report"):
    from matplotlib.axes import Axes

Line: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""Start and end point of a straight line."""

_TYPE = 7  # font size in points
_DOT = 4.5  # radius of a mark in points
_LETTER = 0.6  # mean width of a letter, relative to the font size
_NEAR = 9  # points; a label that is further away is connected to its point by a line
_ALONG = 60  # number of positions on a line that labels avoid
_STEP = 8  # cost of covering one of these positions, in square points


def place_labels(
    axes: Axes,
    labels: Sequence[tuple[str, float, float]],
    marks: Sequence[tuple[float, float]] = (),
    lines: Sequence[Line] = (),
) -> None:
    """Write each label at the position with the least overlap.

    The limits of the axes must not change afterwards.

    Args:
        axes: axes in which everything else is already drawn.
        labels: text of each label, and x and y of its point.
        marks: further points that labels should not cover.
        lines: lines that labels should not cover.
    """
    unit, inside = axes.figure.dpi / 72, np.array(axes.bbox.extents)
    points = _pixels(axes, [*((x, y) for _, x, y in labels), *marks])
    taken = np.hstack([points - _DOT * unit, points + _DOT * unit])
    inked = np.concatenate([np.zeros((0, 2)), *(_along(axes, line) for line in lines)])
    for (text, x, y), point in zip(labels, points, strict=False):
        wide, high = (_LETTER * _TYPE * len(text) + 1) * unit, _TYPE * unit
        size, away = np.array([wide, high]), np.array(list(_places(wide, high, unit)))
        boxes = np.hstack([point + away - size / 2, point + away + size / 2])
        best = int(np.argmin([_cost(box, taken, inked, inside, unit) for box in boxes]))
        taken = np.vstack([taken, boxes[best]])
        across, up = (away[best] / unit).tolist()
        _write(axes, text, (x, y), (across, up), wide / unit)


def _write(
    axes: Axes, text: str, point: tuple[float, float], away: tuple[float, float], wide: float
) -> None:
    label = axes.annotate(text, point, away, textcoords="offset points", zorder=6)
    label.set(fontsize=_TYPE, ha="center", va="center", parse_math=False)
    label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4})
    if abs(away[1]) > _TYPE / 2 + _NEAR or abs(away[0]) > wide / 2 + _NEAR:
        line = {"arrowstyle": "-", "color": LINE, "linewidth": 0.6, "shrinkA": 3, "shrinkB": 3}
        axes.annotate("", point, away, textcoords="offset points", arrowprops=line, zorder=3)


def _places(wide: float, high: float, unit: float) -> Iterator[tuple[float, float]]:
    """Yield candidate offsets of a label from its point, nearest first."""
    for away in (6, 10, 16, 24, 34):
        across, up = wide / 2 + away * unit, high / 2 + away * unit
        yield from ((across, 0), (0, up), (-across, 0), (0, -up))
        yield from ((across, up), (-across, up), (across, -up), (-across, -up))


def _cost(
    box: Float64Array, taken: Float64Array, inked: Float64Array, inside: Float64Array, unit: float
) -> float:
    """Return the cost of a label position: the area that overlaps other items or is outside."""
    over = float(_shared(box, taken).sum())
    outside = float(np.prod(box[2:] - box[:2]) - _shared(box, inside[None]).sum())
    crossed = (inked > box[:2]).all(axis=1) & (inked < box[2:]).all(axis=1)
    return over + outside + float(np.count_nonzero(crossed)) * _STEP * unit**2


def _shared(box: Float64Array, others: Float64Array) -> Float64Array:
    """Return the area that a box shares with each of the others.

    A box is (left, bottom, right, top).
    """
    sizes = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    areas: Float64Array = np.prod(np.clip(sizes, 0, None), axis=1)
    return areas


def _pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> Float64Array:
    return np.asarray(axes.transData.transform(np.reshape(points, (-1, 2))), dtype=np.float64)


def _along(axes: Axes, line: Line) -> Float64Array:
    """Return equally spaced positions on a line, in pixels; shape (n_positions, 2)."""
    begin, end = _pixels(axes, line)
    return np.linspace(begin, end, _ALONG)
