"""Charts of estimates with their intervals: forest plots and trade-off plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioprobe.io.text_table import Table, printable
from audioprobe.plots.forest_plot import ForestRow
from audioprobe.reports.charts import (
    Chart,
    described,
    estimate_row,
    layer,
    nominal,
    quantitative,
    unique,
)
from audioprobe.reports.theme import SERIES, SHAPES
from audioprobe.types import Estimate

_ROW = 24  # height of a row of a forest plot in pixels


def forest(rows: Sequence[ForestRow], axis: str, caption: str, *, reference: float = 0.0) -> Chart:
    """Plot estimates with their intervals, one below the other.

    Args:
        rows: rows from top to bottom.
        axis: name and unit of the values.
        caption: text below the chart.
        reference: position of the dashed line, such as no difference or chance.
    """
    names = unique([row.name for row in rows])
    data = [
        {
            "name": name,
            "kind": "control" if row.muted else "result",
            **estimate_row(row.estimate),
            "text": f"{name}: {row.estimate}",
        }
        for name, row in zip(names, rows, strict=True)
    ]
    y = nominal("name", axis={"labelPadding": 8, "grid": True, "gridDash": [1, 4]})
    x = quantitative("value", axis, scale={"zero": False})
    kinds = ["result", "control"]
    color = {
        **nominal("kind", legend=None),
        "scale": {"domain": kinds, "range": ["var(--accent)", "var(--increase)"]},
    }
    shape = {
        **nominal("kind", legend=None),
        "scale": {"domain": kinds, "range": ["circle", "diamond"]},
    }
    undefined = [{"filter": "datum.value === null"}]
    spec = {
        "data": {"values": data},
        "height": _ROW * max(1, len(rows)),
        "layer": [
            layer(
                {"type": "rule", "strokeDash": [4, 4], "color": "var(--soft)"},
                {"x": {"datum": reference}},
            ),
            layer(
                {"type": "rule", "strokeWidth": 2},
                {"y": y, "x": quantitative("low", axis), "x2": {"field": "high"}, "color": color},
                transform=[{"filter": "datum.low !== null && datum.high !== null"}],
            ),
            layer(
                {"type": "point", "filled": True, "size": 90, "opacity": 1},
                {"y": y, "x": x, "color": color, "shape": shape, **described()},
                transform=[{"filter": "datum.value !== null"}],
            ),
            layer(
                {"type": "text", "text": "undefined", "align": "left", "dx": 5},
                {"y": y, "x": {"datum": reference}, **described()},
                transform=undefined,
            ),
        ],
    }
    return Chart(caption, spec, _table(("row", axis), [row.estimate for row in rows], names))


@dataclass(frozen=True, slots=True)
class TradeoffPoint:
    """Point of a trade-off plot.

    Attributes:
        name: name of the point.
        across: x value with its interval; points with an undefined value are not drawn.
        up: y value with its interval.
        group: name of the group, which determines colour and shape.
        best: whether the point is on the Pareto front.
    """

    name: str
    across: Estimate
    up: Estimate
    group: str = ""
    best: bool = False


def tradeoff(points: Sequence[TradeoffPoint], across: str, up: str, caption: str) -> Chart:
    """Plot points by gain (x) and loss (y), with their intervals and the Pareto front.

    Points are labelled with their number, from 1, which the table explains. Dashed lines mark no
    change.

    Args:
        points: points, in the order of their numbers.
        across: name and unit of the gain.
        up: name and unit of the loss.
        caption: text below the chart.
    """
    data = [_point(n, p) for n, p in enumerate(points, 1)]
    drawn = [row for row in data if row["x"] is not None and row["y"] is not None]
    x = quantitative("x", across, scale={"zero": False})
    y = quantitative("y", up, scale={"zero": False})
    front = [{"filter": "datum.best"}]
    spec = {
        "data": {"values": drawn},
        "height": 380,
        "layer": [
            layer(_DASHED, {"x": {"datum": 0.0}}),
            layer(_DASHED, {"y": {"datum": 0.0}}),
            layer(_THIN, {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}, "y": y}),
            layer(_THIN, {"y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}, "x": x}),
            layer(
                {"type": "line", "interpolate": "step-before", "color": "var(--ink)"},
                {"x": x, "y": y},
                transform=front,
            ),
            layer(
                {"type": "point", "size": 210, "shape": "circle", "color": "var(--ink)"},
                {"x": x, "y": y},
                transform=front,
            ),
            layer(
                {"type": "point", "filled": True, "size": 80, "opacity": 1},
                {"x": x, "y": y, **_groups([point.group for point in points]), **described()},
            ),
            layer(
                {"type": "text", "dx": 11, "dy": -8, "fontSize": 11},
                {"x": x, "y": y, "text": {"field": "number"}},
            ),
        ],
    }
    header = ("number", "name", across, up, "Pareto front")
    rows = tuple(
        (str(n), p.name, str(p.across), str(p.up), "yes" if p.best else "no")
        for n, p in enumerate(points, 1)
    )
    return Chart(caption, spec, Table(header, rows, (0,)))


def _point(number: int, point: TradeoffPoint) -> Mapping[str, object]:
    x, y = point.across, point.up
    return {
        "number": str(number),
        "group": printable(point.group),
        "best": point.best,
        "x": x.value,
        "x_low": x.low,
        "x_high": x.high,
        "y": y.value,
        "y_low": y.low,
        "y_high": y.high,
        "text": f"{number}: {printable(point.name)}; {x}; {y}",
    }


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """Point of a scatter plot.

    Attributes:
        name: name of the point.
        across: x value, above 0.
        up: y value with its interval; points with an undefined value are not drawn.
        group: name of the group, which determines colour and shape.
    """

    name: str
    across: float
    up: Estimate
    group: str = ""


def scatter(points: Sequence[ScatterPoint], across: str, up: str, caption: str) -> Chart:
    """Plot estimates with their intervals against a number, such as a cost, on a logarithmic axis.

    Points are labelled with their number, from 1, which the table explains.

    Args:
        points: points, in the order of their numbers.
        across: name and unit of the x values.
        up: name and unit of the estimates.
        caption: text below the chart.
    """
    data = [
        {
            "number": str(n),
            "group": printable(point.group),
            "x": point.across,
            **estimate_row(point.up),
            "text": f"{n}: {printable(point.name)}; {point.across:.3g}; {point.up}",
        }
        for n, point in enumerate(points, 1)
        if point.up.value is not None
    ]
    scale = {"type": "log", "nice": False, "padding": 20}
    x = quantitative("x", across, scale=scale, axis={"format": ".3~g"})
    y = quantitative("value", up, scale={"zero": False})
    spec = {
        "data": {"values": data},
        "height": 340,
        "layer": [
            layer(_THIN, {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}),
            layer(
                {"type": "point", "filled": True, "size": 80, "opacity": 1},
                {"x": x, "y": y, **_groups([point.group for point in points]), **described()},
            ),
            layer(
                {"type": "text", "dx": 11, "dy": -8, "fontSize": 11},
                {"x": x, "y": y, "text": {"field": "number"}},
            ),
        ],
    }
    rows = tuple(
        (str(n), point.name, f"{point.across:.3g}", str(point.up))
        for n, point in enumerate(points, 1)
    )
    return Chart(caption, spec, Table(("number", "name", across, up), rows, (0, 2)))


def _groups(names: Sequence[str]) -> dict[str, object]:
    """Return encodings that give each group its colour and its shape."""
    groups = list(dict.fromkeys(map(printable, names)))
    n = max(1, len(groups))
    return {
        channel: {**nominal("group"), "scale": {"domain": groups, "range": list(values[:n])}}
        for channel, values in (("color", SERIES), ("shape", SHAPES))
    }


def _table(header: tuple[str, str], estimates: Sequence[Estimate], names: Sequence[str]) -> Table:
    """Return a table with one row per estimate: name and value with interval."""
    return Table(header, tuple((n, str(e)) for n, e in zip(names, estimates, strict=True)))


_DASHED = {"type": "rule", "strokeDash": [4, 4], "color": "var(--soft)"}
_THIN = {"type": "rule", "color": "var(--soft)", "opacity": 0.6}
