"""Tables of text, their conversion to terminal text, HTML, Markdown, LaTeX and CSV, and display.

Markup and control characters are escaped, because cells may contain text from models.
"""

import csv
import io
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

MAX_LINES = 20
"""Maximum number of lines of the `repr` of a `Displayed` object."""

_MAX_ROWS = 20  # maximum number of rows of a table in a notebook
_MIN_WIDTH = 14  # minimum width of a column with long cells, in characters
# A spreadsheet program would run cells that match _FORMULA. Cells that match _HARMLESS are safe: a
# formula without brackets, quotes and most operators cannot call or fetch anything.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HARMLESS = re.compile(r"[+-][\w./# -]*")
_LATEX_SPECIAL = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
    | {"–": "--", "—": "---"}
)
_MARKDOWN_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose cells are text.

    Attributes:
        header: names of the columns.
        rows: cells of each row, one per column.
        numeric: indices of the columns with numbers, which are aligned right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()

    def only(self, names: Sequence[str]) -> "Table":
        """Return a table with only the columns `names`, in their order in this table."""
        columns = [n for n, name in enumerate(self.header) if name in names]
        return Table(
            tuple(self.header[n] for n in columns),
            tuple(tuple(row[n] for n in columns) for row in self.rows),
            tuple(position for position, n in enumerate(columns) if n in self.numeric),
        )

    def to_text(self, width: int = 100, most: int | None = None) -> str:
        """Return the table as text for a terminal; long cells are wrapped.

        Args:
            width: characters per line.
            most: maximum number of rows; a last line states how many rows are omitted.
        """
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        # Rich cuts off what does not fit if the minimum widths and the gaps of 3 exceed the width.
        min_width = max(1, min(_MIN_WIDTH, width // max(1, len(self.header)) - 3))
        for position, name in enumerate(self.header):
            justify: Literal["left", "right"] = "right" if position in self.numeric else "left"
            longest = max((len(row[position]) for row in self.rows), default=0)
            table.add_column(
                Text(printable(name)),
                justify=justify,
                overflow="fold",
                min_width=min(max(longest, len(name)), min_width),
            )
        for row in self.rows[:most]:
            table.add_row(*(Text(printable(cell)) for cell in row))
        stream = io.StringIO()
        # In a notebook, rich would show the table at once instead of writing it to the stream.
        console = Console(
            file=stream,
            width=width,
            color_system=None,
            legacy_windows=False,
            force_jupyter=False,
        )
        console.print(table)
        n_hidden = len(self.rows) - len(self.rows[:most])
        lines = [line.rstrip() for line in stream.getvalue().splitlines()]
        lines += [f"... and {n_hidden} more"] if n_hidden else []
        return "\n".join(lines).strip("\n")

    def to_html(self, most: int | None = None) -> str:
        """Return the table in HTML.

        Args:
            most: maximum number of rows; a paragraph below states how many rows are omitted.
        """
        header = "".join(f"<th>{_html(name)}</th>" for name in self.header)
        rows = "\n".join(f"<tr>{self._html_cells(row)}</tr>" for row in self.rows[:most])
        n_hidden = len(self.rows) - len(self.rows[:most])
        more = f"\n<p>... and {n_hidden} more</p>" if n_hidden else ""
        return (
            f"<table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>{more}"
        )

    def _html_cells(self, row: tuple[str, ...]) -> str:
        right = ' style="text-align: right"'
        aligned = [right if n in self.numeric else "" for n in range(len(row))]
        cells = zip(aligned, row, strict=True)
        return "".join(f"<td{align}>{_html(cell)}</td>" for align, cell in cells)

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        ruler = ["---:" if n in self.numeric else "---" for n in range(len(self.header))]
        lines = [[markdown(name) for name in self.header], ruler]
        lines += [[markdown(cell) for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def to_latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        align = "".join("r" if n in self.numeric else "l" for n in range(len(self.header)))
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        lines[1:1] = [r"\midrule"]
        body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
        return f"\\begin{{tabular}}{{{align}}}\n{body}\n\\end{{tabular}}\n"

    def to_csv(self) -> str:
        r"""Return the table as CSV (RFC 4180).

        A cell that a spreadsheet program could run as a formula gets a leading apostrophe; ids such
        as "-0DdlOuIFUI_30.wav" stay unchanged. To restore the text, remove one apostrophe from
        cells that begin with `'+[=+\-@\t\r]`.
        """
        return "".join(csv_lines(self.header, self.rows, self.numeric))


def csv_lines(
    header: Sequence[str], rows: Iterable[Sequence[str]], numeric: Collection[int]
) -> Iterator[str]:
    """Yield the lines of `Table.to_csv`, for rows that are too many for a table in memory.

    Args:
        header: names of the columns.
        rows: cells of each row, read lazily.
        numeric: indices of columns whose cells are numbers, which need no apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_inert(name) for name in header])
    for row in rows:
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()
        writer.writerow([c if n in numeric else _inert(c) for n, c in enumerate(row)])
    yield stream.getvalue()


class Displayed(ABC):
    """Base of results that are displayed as tables and sentences, in a shell or a notebook."""

    __slots__ = ()

    @abstractmethod
    def displayed(self) -> tuple[Sequence[Table], Sequence[str]]:
        """Return the tables and the sentences to display; empty tables are not displayed."""

    def __repr__(self) -> str:
        tables, sentences = self.displayed()
        below = "\n".join(sentences).splitlines()[-MAX_LINES // 2 :]
        texts = [table.to_text(text_width()) for table in tables if table.rows]
        lines = [line for text in texts for line in text.splitlines()]
        n_left = MAX_LINES - len(below)
        if len(lines) > n_left:
            lines = [*lines[: n_left - 1], f"... ({len(lines) - n_left + 1} more lines)"]
        return "\n".join([*lines, *below])

    def _repr_html_(self) -> str:
        """Return HTML for notebooks; markup in text of users and models is escaped."""
        tables, sentences = self.displayed()
        parts = [table.to_html(_MAX_ROWS) for table in tables if table.rows]
        return "\n".join([*parts, *(f"<p>{escape(sentence)}</p>" for sentence in sentences)])


def text_width() -> int:
    """Return the width of the terminal in characters; 100 if there is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def printable(text: str) -> str:
    """Return a text on one line; control and formatting characters are escaped."""
    return "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in text)


def markdown(cell: str) -> str:
    """Return a text on one line in which the characters of Markdown's markup are escaped."""
    return printable(cell).translate(_MARKDOWN_SPECIAL)


def _html(cell: str) -> str:
    return escape(printable(cell))


def _latex(cell: str) -> str:
    return printable(cell).translate(_LATEX_SPECIAL)


def _inert(cell: str) -> str:
    """Return a cell, with a leading apostrophe if spreadsheet programs may run it as a formula."""
    return f"'{cell}" if _FORMULA.match(cell) and not _HARMLESS.fullmatch(cell) else cell


def with_rate(count: int, total: int) -> str:
    """Return a count with its share of a total, such as "3 (12 %)"; without it if either is 0."""
    return f"{count} ({100 * count / total:.2g} %)" if count and total else str(count)


def columns(names: Sequence[str], first: int) -> tuple[int, ...]:
    """Return the column indices first, first + 1, ..., one for each of `names`."""
    return tuple(range(first, first + len(names)))
