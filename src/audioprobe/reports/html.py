"""Write report pages as single HTML files: findings, charts, tables, and samples with players.

A `Page` begins with facts, findings and a chart; then come sections of items: tables (`DataGrid`),
charts (`Chart`), samples (`SampleBrowser`) and links (`Links`). Text from models, file names and
configs is untrusted: the template escapes it, and the content security policy of the page allows
only its own script.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from audioprobe.errors import needs_extra
from audioprobe.io.atomic import atomic_write
from audioprobe.io.text_table import Table, printable
from audioprobe.reports.charts import Chart, javascript
from audioprobe.reports.column_help import explain
from audioprobe.reports.samples import SampleBrowser
from audioprobe.reports.theme import stylesheet

with needs_extra("report"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

_FOLDER = Path(__file__).parent / "page"
_SCRIPTS = ("page.js", "charts.js", "samples.js")
_INTERVAL = re.compile(r"[+-]?\d[\d.]* \[-?[\d.]+, -?[\d.]+\]")
MAX_ROWS = 1000
"""Maximum number of rows of a table on a page."""

_MAX_CSV = 200_000  # maximum size in characters of a table that can be saved from the page


@dataclass(frozen=True, slots=True)
class DataGrid:
    """Table of a page.

    Attributes:
        name: caption.
        table: header and rows; the first column names the rows.
        filter: whether rows can be filtered.
        open: whether the table is expanded at first.
    """

    name: str
    table: Table
    filter: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Links:
    """Links to files in the folder of the page.

    Attributes:
        name: what the files are.
        links: text and relative address of each link.
    """

    name: str
    links: tuple[tuple[str, str], ...]


Item: TypeAlias = DataGrid | Chart | SampleBrowser | Links


@dataclass(frozen=True, slots=True)
class Section:
    """Section of a page; the navigation of the page links to it.

    Attributes:
        title: heading.
        items: items from top to bottom.
        text: text before the items; "" for no text.
    """

    title: str
    items: Sequence[Item]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Report page.

    Attributes:
        title: heading.
        facts: questions, model, data, date and command, as names and values.
        findings: main results, as sentences with numbers.
        notes: warnings, such as clips that a model was trained on.
        chart: main chart, below the findings; None for no chart.
        sections: sections, in order.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    findings: Sequence[str] = ()
    notes: Sequence[str] = ()
    chart: Chart | None = None
    sections: Sequence[Section] = ()

    @property
    def items(self) -> list[Item]:
        """All items of all sections, and the main chart first."""
        first: list[Item] = [self.chart] if self.chart else []
        return first + [item for section in self.sections for item in section.items]


def to_html(page: Page) -> str:
    """Return the page as one HTML file that loads nothing except linked audio."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
    )
    environment.globals |= {
        "printable": printable,
        "explain": explain,
        "cell_html": _cell_html,
        "csv_address": _csv_address,
        "file_name": _file_name,
        "max_rows": MAX_ROWS,
    }
    macros = environment.get_template("items.html").module
    shapes = {DataGrid: "grid", Chart: "chart", SampleBrowser: "samples", Links: "links"}

    def draw(item: Item) -> Markup:
        macro = getattr(macros, shapes[type(item)])
        return Markup(macro(item))  # noqa: S704 - escaped by the macro

    has_charts = any(isinstance(item, Chart) for item in page.items)
    scripts = [(_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    script = "\n".join([*([javascript()] if has_charts else []), *scripts])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = stylesheet() + (_FOLDER / "page.css").read_text(encoding="utf-8")
    body = environment.get_template("body.html").render(page=page, draw=draw)
    size = len((body + script + style).encode("utf-8", "replace"))
    return environment.get_template("page.html").render(
        title=page.title,
        body=Markup(body),  # noqa: S704 - escaped by its template
        script=Markup(script),  # noqa: S704 - our own files, and Vega
        style=Markup(style),  # noqa: S704 - our own file
        script_hash=Markup(digest),  # noqa: S704 - of our own files
        megabytes=f"{size / 1e6:.1f}",
        script_megabytes=f"{len(script) / 1e6:.1f}",
    )


def write_page(page: Page, path: Path) -> Path:
    """Write a page atomically, and return its path."""
    return atomic_write(path, to_html(page))


def _cell_html(text: str) -> Markup:
    """Return the text of a cell as HTML, in which no line breaks within an interval."""
    span = r'<span class="interval">\g<0></span>'
    return Markup(_INTERVAL.sub(span, str(escape(printable(text)))))  # noqa: S704 - escaped


def _csv_address(table: Table) -> str:
    """Return a data URI of the table as CSV; "" if it is too large."""
    text = table.to_csv()
    if len(text) > _MAX_CSV:
        return ""
    content = base64.b64encode(text.encode("utf-8", "backslashreplace")).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"


def _file_name(name: str) -> str:
    """Return a file name made of the letters, digits and hyphens of a caption."""
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split()
    return "-".join(words)[:60] or "table"
