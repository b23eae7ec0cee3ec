"""Interactive charts of report pages, as Vega-Lite specifications.

A chart follows the colours of the page (CSS variables), adapts to the width of the page, and has a
text alternative and a table with the same numbers. Specifications are plain data; names from users
are values in the data, never field names or expressions.
"""

import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from audioprobe.errors import needs_extra
from audioprobe.io.text_table import Table, printable
from audioprobe.reports.theme import with_light_colors
from audioprobe.types import Estimate

with needs_extra("report"):
    import vl_convert

_WIDTH = 560  # width of a chart outside of a page, in pixels
_PADDING = {"left": 48, "right": 12, "top": 5, "bottom": 5}
"""Pixels around a chart outside of a page, where labels can be in a wider font than expected."""

_VEGA_LITE = "6.4"
_SCHEMA = f"https://vega.github.io/schema/vega-lite/v{_VEGA_LITE}.json"
CONFIG: Mapping[str, object] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "gridColor": "var(--line)",
        "domainColor": "var(--soft)",
        "tickColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 260,
    },
    "axisQuantitative": {"labelFlush": False},  # the first and the last label would be shifted
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "bottom",
        "direction": "horizontal",
        "columns": 3,
        "labelLimit": 260,
        "symbolStrokeWidth": 2,
    },
    "text": {"color": "var(--ink)"},
}


@dataclass(frozen=True, slots=True)
class Chart:
    """Chart of a page.

    Attributes:
        caption: text below the chart: what it shows, and how to read it.
        spec: Vega-Lite specification without the settings that all charts share.
        table: the numbers that the chart shows.
        open: whether the chart is expanded at first.
    """

    caption: str
    spec: Mapping[str, object]
    table: Table
    open: bool = True

    def full_spec(self) -> dict[str, object]:
        """Return the complete specification, with text alternative, sizes and colours."""
        return {
            "$schema": _SCHEMA,
            "description": printable(self.caption),
            "width": "container",
            "autosize": {"type": "fit-x", "contains": "padding"},
            "config": CONFIG,
            **self.spec,
        }

    def to_svg(self) -> str:
        """Return the chart as an SVG image in light mode, for documents."""
        spec = with_light_colors(self.full_spec())
        width = _WIDTH if spec["width"] == "container" else spec["width"]
        spec |= {"width": width, "background": "white", "autosize": "pad", "padding": _PADDING}
        svg: str = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
        return svg


def estimate_row(estimate: Estimate) -> dict[str, object]:
    """Return value, low, high and text of an estimate, as fields of a data row."""
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "text": str(estimate),
    }


def quantitative(field: str, title: str, **options: object) -> dict[str, object]:
    """Return the encoding of a number; keyword arguments are further properties.

    Encodings of one axis in several layers must have the same title.
    """
    return {"field": field, "type": "quantitative", "title": title, **options}


def nominal(field: str, title: str | None = None, **options: object) -> dict[str, object]:
    """Return the encoding of names, in the order of the data."""
    return {"field": field, "type": "nominal", "title": title, "sort": None, **options}


def described(field: str = "text") -> dict[str, object]:
    """Return encodings that show a field as tooltip, and read it to screen readers."""
    label = {"field": field, "type": "nominal"}
    return {"tooltip": label, "description": label}


def layer(mark: Mapping[str, object], encoding: Mapping[str, object], **more: object) -> object:
    """Return a layer of a chart; marks without a description are hidden from screen readers."""
    return {"mark": {"aria": "description" in encoding, **mark}, "encoding": encoding, **more}


def unique(names: Sequence[str]) -> list[str]:
    """Return printable names, with a number at the end where a name occurs again."""
    counts: dict[str, int] = {}
    result = []
    for name in map(printable, names):
        counts[name] = counts.get(name, 0) + 1
        result.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return result


@functools.cache
def javascript() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed for a page without a network.

    Making it takes seconds, so it is stored in $XDG_CACHE_HOME or ~/.cache.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    path = home / "audioprobe" / f"vega-{_VEGA_LITE}-{version('vl-convert-python')}.js"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    bundle: str = vl_convert.javascript_bundle(
        "window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE
    )
    bundle = bundle.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            stream.write(bundle.encode())
        Path(stream.name).replace(path)  # another process never sees half of it
    except OSError:  # a home folder that cannot be written: the next process makes it again
        return bundle
    return bundle
