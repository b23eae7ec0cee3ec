"""Charts of curves: ROC curves, reliability diagrams, and curves over steps or layers."""

from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.io.text_table import Table, printable
from audioprobe.metrics.calibration import CalibrationBin
from audioprobe.metrics.vectorized_metrics import RocCurve
from audioprobe.reports.charts import Chart, described, layer, nominal, quantitative
from audioprobe.reports.theme import DASHES, SERIES, SHAPES
from audioprobe.types import Float64Array

_POINTS = 101  # maximum number of points of a drawn curve
_SHOWN = 11  # number of points of a curve in its table


def roc(curves: Mapping[str, RocCurve], caption: str) -> Chart:
    """Plot mean ROC curves with their confidence bands; the dashed line is chance."""
    data, rows = [], []
    for name, curve in curves.items():
        bands = (curve.low, curve.high)
        for n in _spread(len(curve.false_positive_rate), _POINTS):
            low, high = (None if band is None else _rounded(band[n]) for band in bands)
            row = {
                "name": printable(name),
                "x": _rounded(curve.false_positive_rate[n]),
                "y": _rounded(curve.true_positive_rate[n]),
            }
            data.append({**row, "low": low, "high": high})
        for n in _spread(len(curve.false_positive_rate), _SHOWN):
            values = (curve.false_positive_rate[n], curve.true_positive_rate[n])
            band = "–" if curve.low is None or curve.high is None else _band(curve, n)
            rows.append((name, *(f"{value:.3f}" for value in values), band))
    x = quantitative("x", "false-positive rate", scale={"domain": [0, 1]})
    y = quantitative("y", "true-positive rate, mean over labels", scale={"domain": [0, 1]})
    series = series_style([printable(name) for name in curves])
    spec = {
        "data": {"values": data},
        "height": 340,
        "layer": [
            _diagonal(x, y),
            layer(
                {"type": "area", "opacity": 0.13},
                {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": series["color"],
                },
                transform=[{"filter": "datum.low !== null && datum.high !== null"}],
            ),
            layer(
                {"type": "line", "strokeWidth": 2},
                {"x": x, "y": y, **series, **described("name")},
            ),
        ],
    }
    header = ("prompt", "false-positive rate", "true-positive rate", "95 % band")
    return Chart(caption, spec, Table(header, tuple(rows), (1, 2, 3)))


def reliability(curves: Mapping[str, Sequence[CalibrationBin]], caption: str) -> Chart:
    """Plot a reliability diagram: the share of positives against the predicted probability.

    The area of a point grows with its number of items.
    """
    data = [
        {
            "name": printable(name),
            "x": each.mean_probability,
            "y": each.positive_rate,
            "n": each.n,
            "text": f"{printable(name)}: predicted {each.mean_probability:.2f}, observed "
            f"{each.positive_rate:.2f}, {each.n} items",
        }
        for name, bins in curves.items()
        for each in bins
    ]
    x = quantitative("x", "mean predicted probability", scale={"domain": [0, 1]})
    y = quantitative("y", "share of positives", scale={"domain": [0, 1]})
    names = [printable(name) for name in curves]
    series = series_style(names)
    shape = {**series["color"], "scale": {"domain": names, "range": _cycle(SHAPES, len(names))}}
    size = quantitative("n", "items", legend=None, scale={"range": [30, 220]})
    spec = {
        "data": {"values": data},
        "height": 320,
        "layer": [
            _diagonal(x, y),
            layer({"type": "line"}, {"x": x, "y": y, **series}),
            layer(
                {"type": "point", "filled": True, "opacity": 1},
                {"x": x, "y": y, "color": series["color"], "shape": shape, "size": size}
                | described(),
            ),
        ],
    }
    rows = tuple(
        (name, f"{b.low:.1f} to {b.high:.1f}", str(b.n), *map("{:.3f}".format, _rates(b)))
        for name, bins in curves.items()
        for b in bins
    )
    header = ("prompt", "bin", "items", "mean predicted probability", "share of positives")
    return Chart(caption, spec, Table(header, rows, (2, 3, 4)))


def curves(
    series: Mapping[str, Sequence[Sequence[float | None]]],
    across: str,
    up: str,
    caption: str,
    *,
    first: int = 0,
) -> Chart:
    """Plot curves: a thin line for each replicate, a thick line for their mean.

    Replicates may differ in length. The mean is drawn where at least half of the replicates have a
    value. A None interrupts a line.

    Args:
        series: replicates of each curve, keyed by the name of the curve; a replicate is a sequence
            of y values.
        across: name of the x axis.
        up: name and unit of the values.
        caption: text below the chart.
        first: x of the first value of each replicate.
    """
    thin: list[dict[str, object]] = []
    thick: list[dict[str, object]] = []
    rows: list[tuple[str, ...]] = []
    for name, replicates in series.items():
        values = _stacked(replicates)
        if len(values) > 1:
            for number, replicate in enumerate(values):
                thin += [{**each, "line": str(number)} for each in _points(name, replicate, first)]
        mean = _mean(values)
        thick += _points(name, mean, first)
        rows += [
            (name, str(first + n), f"{mean[n]:.3f}", str(int((~np.isnan(values[:, n])).sum())))
            for n in _spread(len(mean), _SHOWN)
            if not np.isnan(mean[n])
        ]
    x = quantitative("x", across, axis={"tickMinStep": 1}, scale={"zero": False, "nice": False})
    y = quantitative("y", up, scale={"zero": False})
    style = series_style([printable(name) for name in series])
    spec = {
        "height": 300,
        "layer": [
            layer(
                {
                    "type": "line",
                    "strokeWidth": 0.7,
                    "opacity": 0.45,
                    "invalid": "break-paths-filter-domains",
                },
                {"x": x, "y": y, "detail": {"field": "line"}, "color": style["color"]},
                data={"values": thin},
            ),
            layer(
                {"type": "line", "strokeWidth": 2.5, "invalid": "break-paths-filter-domains"},
                {"x": x, "y": y, **style, **described("name")},
                data={"values": thick},
            ),
        ],
    }
    header = ("curve", across, f"mean {up}", "curves in the mean")
    return Chart(caption, spec, Table(header, tuple(rows), (1, 2, 3)))


def _points(name: str, values: Float64Array, first: int) -> list[dict[str, object]]:
    """Return the data rows of a curve; x begins with `first`."""
    return [
        {"name": printable(name), "x": first + n, "y": _value(values[n])}
        for n in _spread(len(values), _POINTS)
    ]


def series_style(names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return encodings that give each curve its colour and its dash pattern."""
    ranges = {"color": _cycle(SERIES, len(names)), "strokeDash": _cycle(DASHES, len(names))}
    return {
        channel: {
            **nominal("name", legend=_LEGEND),
            "scale": {"domain": list(names), "range": values},
        }
        for channel, values in ranges.items()
    }


def _cycle(values: Sequence[object], n: int) -> list[object]:
    return [values[k % len(values)] for k in range(n)]


def _spread(n: int, most: int) -> list[int]:
    """Return up to `most` equally spaced indices below n, the first and the last included."""
    indices: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()
    return indices


def _rounded(value: float) -> float:
    return round(float(value), 5)


def _value(value: float) -> float | None:
    return None if np.isnan(value) else _rounded(value)


def _band(curve: RocCurve, n: int) -> str:
    assert curve.low is not None  # noqa: S101 - checked by the caller
    assert curve.high is not None  # noqa: S101 - checked by the caller
    return f"{curve.low[n]:.3f} to {curve.high[n]:.3f}"


def _rates(each: CalibrationBin) -> tuple[float, float]:
    return each.mean_probability, each.positive_rate


def _stacked(replicates: Sequence[Sequence[float | None]]) -> Float64Array:
    """Return an array with one row per replicate; missing values and short rows are NaN."""
    stacked = np.full((len(replicates), max(map(len, replicates), default=0)), np.nan)
    for row, values in zip(stacked, replicates, strict=True):
        row[: len(values)] = np.array(values, dtype=np.float64)
    return stacked


def _mean(values: Float64Array) -> Float64Array:
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    enough = (counts > 0) & (2 * counts >= len(values))
    sums = np.nansum(values, axis=0)
    mean: Float64Array = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=enough)
    return mean


def _diagonal(x: Mapping[str, object], y: Mapping[str, object]) -> object:
    """Return the layer with a dashed line from (0, 0) to (1, 1)."""
    mark = {"type": "line", "strokeDash": [4, 4], "color": "var(--soft)"}
    return layer(mark, {"x": x, "y": y}, data={"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]})


_LEGEND = {"symbolType": "stroke", "symbolSize": 500, "symbolStrokeWidth": 2.5, "symbolOpacity": 1}
