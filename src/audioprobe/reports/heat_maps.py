"""Heat maps: confusions of labels, matrices of estimates, and rows of named boxes.

Darker (in dark mode lighter) boxes have higher values; the values are written in the boxes.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from audioprobe.io.text_table import Table, printable
from audioprobe.reports.charts import Chart, described, layer, nominal, quantitative, unique
from audioprobe.types import Estimate, Float64Array

_MOST_LABELS = 30  # maximum number of labels of a drawn confusion matrix
_MOST_ROWS = 200  # maximum number of rows of its table
_CELL = 24  # height of a row in pixels
STRONGEST = 0.48
"""Opacity of the strongest colour: text on it has a contrast of 4.5 in light and in dark mode."""


def confusion(counts: Float64Array, labels: Sequence[str], caption: str) -> Chart:
    """Plot a confusion matrix: correct labels in rows, labels with the highest score in columns.

    Each row is divided by its sum. With more than 30 labels, those with the most clips are drawn,
    and the caption says so.

    Args:
        counts: number of clips, shape (n_labels, n_labels).
        labels: names of the labels.
        caption: text below the chart.
    """
    totals = counts.sum(axis=1)
    common = np.argsort(-totals, kind="stable")[:_MOST_LABELS]
    shown = sorted(int(n) for n in common if totals[n] > 0)
    used = [n for n in range(len(labels)) if n in shown or counts[shown, n].any()]
    columns = [n for n in used if n in set(common.tolist())]
    names = dict(zip(range(len(labels)), unique(labels), strict=True))
    data = [
        {
            "label": names[row],
            "best": names[column],
            "share": round(float(counts[row, column] / totals[row]), 4),
            "text": f"{names[row]}, best label {names[column]}: "
            f"{counts[row, column]:g} of {totals[row]:g}",
        }
        for row in shown
        for column in columns
        if counts[row, column]
    ]
    y = nominal("label", "label of the clip", scale={"domain": [names[n] for n in shown]})
    x = nominal(
        "best",
        "label with the highest score",
        scale={"domain": [names[n] for n in columns]},
        axis={"labelAngle": -60},
    )
    spec = {
        "data": {"values": data},
        **_size(36),
        "layer": [
            _boxes({"x": x, "y": y}, "share", "share of clips"),
            _texts({"x": x, "y": y}, quantitative("share", "", format=".0%")),
        ],
    }
    n_left_out = int((totals > 0).sum()) - len(shown)
    more = f" {n_left_out} labels with fewer clips are not drawn." if n_left_out else ""
    return Chart(caption + more, spec, _confusion_table(counts, labels))


def _confusion_table(counts: Float64Array, labels: Sequence[str]) -> Table:
    totals = counts.sum(axis=1)
    pairs = [(int(r), int(c)) for r, c in np.argwhere(counts)]
    pairs.sort(key=lambda pair: (pair[0] == pair[1], -counts[pair]))
    rows = tuple(
        (
            labels[row],
            labels[column],
            "yes" if row == column else "no",
            f"{counts[row, column]:g}",
            f"{counts[row, column] / totals[row]:.0%}",
        )
        for row, column in pairs[:_MOST_ROWS]
    )
    header = ("label of the clip", "best label", "correct", "clips", "share of the label's clips")
    return Table(header, rows, (3, 4))


def steps(rows: Mapping[str, Sequence[tuple[str, float]]], share: str, caption: str) -> Chart:
    """Plot rows of named boxes; a stronger colour is a higher share.

    Args:
        rows: boxes of each row from left to right, as (name, share in [0, 1]), keyed by the name of
            the row.
        share: name of the share.
        caption: text below the chart.
    """
    data = [
        {
            "row": printable(row),
            "step": str(number),
            "share": value,
            "box": f"{value:.0%} {printable(name)}",
            "text": f"{printable(row)}: {printable(name)}, {value:.0%}",
        }
        for row, boxes in rows.items()
        for number, (name, value) in enumerate(boxes)
    ]
    x, y = nominal("step", "classes upwards", axis={"labelAngle": 0}), nominal("row")
    spec = {
        "data": {"values": data},
        **_size(165),
        "layer": [
            _boxes({"x": x, "y": y}, "share", share),
            _texts({"x": x, "y": y}, {"field": "box"}, limit=158),
        ],
    }
    table = tuple(
        (row, name, f"{value:.0%}") for row, boxes in rows.items() for name, value in boxes
    )
    return Chart(caption, spec, Table(("concept", "class", share), table, (2,)))


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Estimate | None]],
    scale: str,
    caption: str,
) -> Chart:
    """Plot a heat map of differences with their intervals.

    Args:
        rows: names of the rows, from top to bottom.
        columns: names of the columns, from left to right.
        cells: one estimate per row and column; None and undefined estimates are shown as "–".
        scale: name and unit of the values.
        caption: text below the chart.
    """
    values = [abs(c.value) for row in cells for c in row if c is not None and c.value is not None]
    most = max(values, default=0.0) or 1.0
    data = [
        {"row": row, "column": column, **_cell(cell, most), "text": f"{row}, {column}: {cell}"}
        for row, of_row in zip(unique(rows), cells, strict=True)
        for column, cell in zip(unique(columns), of_row, strict=True)
    ]
    x = nominal("column", axis={"labelAngle": -20, "labelLimit": 260})
    y = nominal("row")
    sign = {
        **nominal("sign", scale),
        "scale": {
            "domain": ["increase", "decrease"],
            "range": ["var(--increase)", "var(--decrease)"],
        },
    }
    boxes = {"x": x, "y": y, "color": sign, **described()}
    boxes["fillOpacity"] = quantitative(
        "strength", scale, legend=None, scale={"domain": [0, 1], "range": [0, STRONGEST]}
    )
    spec = {
        "data": {"values": data},
        **_size(130, 2 * _CELL),
        "layer": [
            layer({"type": "rect", "stroke": "var(--line)", "filled": True}, boxes),
            _texts({"x": x, "y": y}, {"field": "mean"}, dy=-7, fontSize=14),
            _texts({"x": x, "y": y}, {"field": "ends"}, dy=10),
        ],
    }
    table = tuple(
        (row, *("–" if cell is None else str(cell) for cell in of_row))
        for row, of_row in zip(rows, cells, strict=True)
    )
    return Chart(caption, spec, Table((scale, *columns), table))


def _cell(cell: Estimate | None, most: float) -> dict[str, object]:
    """Return the fields of a box of `matrix`; `most` is the value with the strongest colour."""
    if cell is None or cell.value is None:
        return {"mean": "–", "ends": "", "strength": 0.0, "sign": "increase"}
    has_ends = cell.low is not None and cell.high is not None
    return {
        "mean": f"{cell.value:+z.2f}",
        "ends": f"[{cell.low:z.2f}, {cell.high:z.2f}]" if has_ends else "",
        "strength": abs(cell.value) / most,
        "sign": "increase" if cell.value >= 0 else "decrease",
    }


def _size(across: int, down: int = _CELL) -> dict[str, object]:
    """Return a fixed size of the boxes in pixels; a page narrower than the chart scrolls."""
    return {"width": {"step": across}, "height": {"step": down}, "autosize": "pad"}


def _boxes(place: Mapping[str, object], field: str, title: str) -> object:
    opacity = quantitative(field, title, scale={"domain": [0, 1], "range": [0.04, STRONGEST]})
    opacity["legend"] = {"format": ".0%", "symbolFillColor": "var(--accent)", "values": _LEVELS}
    encoding = {**place, "fillOpacity": opacity, **described()}
    mark = {"type": "rect", "fill": "var(--accent)", "stroke": "var(--line)"}
    return layer(mark, encoding)


def _texts(place: Mapping[str, object], text: Mapping[str, object], **mark: object) -> object:
    """Return the layer with the texts in the boxes."""
    return layer({"type": "text", "fontSize": 11, **mark}, {**place, "text": text})


_LEVELS = [0.25, 0.5, 0.75, 1]
