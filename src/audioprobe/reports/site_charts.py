"""Charts over the sites of a model: curves with bands, and heat maps of sites and concepts."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from audioprobe.io.text_table import Table, printable
from audioprobe.reports.charts import (
    Chart,
    described,
    estimate_row,
    layer,
    nominal,
    quantitative,
    unique,
)
from audioprobe.reports.curve_charts import series_style
from audioprobe.reports.heat_maps import STRONGEST
from audioprobe.types import Estimate, Float64Array

_BOX = 14  # width and height of a box in pixels
_MOST_ROWS = 150  # maximum number of drawn rows of a heat map

_STAGES = ("encoder", "connector", "lm")  # in the order of the forward pass

SiteSeries: TypeAlias = Mapping[str, Estimate]
"""Estimates by the name of the site, in the order of the forward pass."""


def site_curves(
    series: Mapping[str, SiteSeries], up: str, caption: str, *, reference: float | None = None
) -> Chart:
    """Plot curves over sites, with the intervals of their estimates as bands.

    Undefined estimates interrupt a line.

    Args:
        series: estimates by site, keyed by the name of the curve.
        up: name and unit of the values.
        caption: text below the chart.
        reference: position of the dashed line, such as chance; None for no line.
    """
    known = dict.fromkeys(printable(site) for points in series.values() for site in points)
    sites = sorted(known, key=_stage)  # curves may lack the sites of the audio encoder
    data = [
        {
            "name": printable(name),
            "site": printable(site),
            **estimate_row(estimate),
            "text": f"{printable(name)}, {printable(site)}: {estimate}",
        }
        for name, points in series.items()
        for site, estimate in points.items()
    ]
    x = nominal("site", "site", scale={"domain": sites}, axis={"labelAngle": -60})
    y = quantitative("value", up, scale={"zero": False})
    style = series_style([printable(name) for name in series])
    layers = [
        layer(
            {"type": "area", "opacity": 0.13},
            {
                "x": x,
                "y": {**y, "field": "low"},
                "y2": {"field": "high"},
                "color": style["color"],
            },
            transform=[{"filter": "datum.low !== null && datum.high !== null"}],
        ),
        layer(
            {"type": "line", "strokeWidth": 2, "invalid": "break-paths-filter-domains"},
            {"x": x, "y": y, **style},
        ),
        layer(
            {"type": "point", "filled": True, "size": 30, "opacity": 1},
            {"x": x, "y": y, "color": style["color"], **described()},
            transform=[{"filter": "datum.value !== null"}],
        ),
    ]
    if reference is not None:
        rule = {"type": "rule", "strokeDash": [4, 4], "color": "var(--soft)"}
        layers.insert(0, layer(rule, {"y": {"datum": reference}}))
    rows = tuple(
        (name, site, str(estimate))
        for name, points in series.items()
        for site, estimate in points.items()
    )
    spec = {"data": {"values": data}, "height": 300, "layer": layers}
    return Chart(caption, spec, Table(("curve", "site", up), rows))


def site_heat_map(
    rows: Sequence[str],
    sites: Sequence[str],
    values: Float64Array,
    scale: str,
    caption: str,
    *,
    row_title: str = "concept",
) -> Chart:
    """Plot a heat map of values above and below 0, such as an effect per concept and site.

    With more than 150 rows, those with the largest absolute values are drawn, and the caption says
    so. Boxes of missing values are empty.

    Args:
        rows: names of the rows, such as concepts.
        sites: names of the columns, in the order of the forward pass.
        values: shape (n_rows, n_sites); NaN if a value is missing.
        scale: name and unit of the values.
        caption: text below the chart.
        row_title: what the rows are.
    """
    sizes = np.where(np.isnan(values), 0.0, np.abs(values))
    largest = sizes.max(axis=1, initial=0.0)
    drawn = sorted(np.argsort(-largest, kind="stable")[:_MOST_ROWS].tolist())
    names, columns = unique(rows), unique(sites)
    data = [
        box
        for row in drawn
        for box in _boxes(names[row], columns, values[row], largest.max(initial=0.0))
    ]
    x = nominal("site", "site", scale={"domain": columns}, axis={"labelAngle": -60})
    y = nominal("row", row_title, scale={"domain": [names[row] for row in drawn]})
    sign = {
        **nominal("sign", f"{scale}: above or below 0", legend={"titleLimit": 500}),
        "scale": {
            "domain": ["above", "below"],
            "range": ["var(--increase)", "var(--decrease)"],
        },
    }
    opacity = quantitative(
        "strength", scale, legend=None, scale={"domain": [0, 1], "range": [0.04, STRONGEST]}
    )
    boxes = {"x": x, "y": y, "color": sign, "fillOpacity": opacity, **described()}
    spec = {
        "data": {"values": data},
        "width": {"step": _BOX},
        "height": {"step": _BOX},
        "autosize": "pad",
        "layer": [layer({"type": "rect", "filled": True}, boxes)],
    }
    n_left_out = len(names) - len(drawn)
    more = f" {n_left_out} rows with smaller values are not drawn." if n_left_out else ""
    cells = tuple(
        (name, *("–" if np.isnan(v) else f"{v:.3f}" for v in of_row.tolist()))
        for name, of_row in zip(rows, values, strict=True)
    )
    header = (row_title, *sites)
    return Chart(caption + more, spec, Table(header, cells, tuple(range(1, len(header)))))


def _boxes(
    row: str, columns: Sequence[str], values: Float64Array, largest: float
) -> list[dict[str, object]]:
    """Return the data of the boxes of a row; `largest` is the value with the strongest colour."""
    return [
        {
            "row": row,
            "site": column,
            "strength": round(abs(value) / (largest or 1.0), 4),
            "sign": "above" if value >= 0 else "below",
            "text": f"{row}, {column}: {value:.3f}",
        }
        for column, value in zip(columns, values.tolist(), strict=True)
        if not np.isnan(value)
    ]


def _stage(site: str) -> int:
    """Return the position of the part of the model that a site belongs to; the last if unknown."""
    stage = site.partition(".")[0]
    return _STAGES.index(stage) if stage in _STAGES else len(_STAGES)
