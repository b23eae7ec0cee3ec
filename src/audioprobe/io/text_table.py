"""Rows of text as a terminal table, Markdown or CSV.

Captions come from models and names from strangers: whatever a cell holds is shown, never obeyed.
"""

import csv
import io
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

_NARROWEST = 14  # characters: a long column wraps, it is not squeezed to nothing
# What a spreadsheet takes for a formula; and of that the names and numbers that do no harm, for
# without brackets, quotes and most operators nothing is called or fetched.
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
    """A header and rows of cells, all text.

    Attributes:
        header: one name per column.
        rows: one tuple per row, as long as the header.
        numeric: positions of the columns to align right.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()

    def only(self, names: Sequence[str]) -> "Table":
        """The columns of these names, in the order of the table: what fits a terminal."""
        kept = [n for n, name in enumerate(self.header) if name in names]
        return Table(
            tuple(self.header[n] for n in kept),
            tuple(tuple(row[n] for n in kept) for row in self.rows),
            tuple(place for place, n in enumerate(kept) if n in self.numeric),
        )

    def to_text(self, width: int = 100, most: int | None = None) -> str:
        """For a terminal; long cells wrap.

        Args:
            width: columns of the terminal.
            most: rows to show; None shows all. What is left out is counted in a last line.
        """
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for position, name in enumerate(self.header):
            justify: Literal["left", "right"] = "right" if position in self.numeric else "left"
            longest = max((len(row[position]) for row in self.rows), default=0)
            table.add_column(
                Text(printable(name)),
                justify=justify,
                overflow="fold",
                min_width=min(max(longest, len(name)), _NARROWEST),
            )
        for row in self.rows[:most]:
            table.add_row(*(Text(printable(cell)) for cell in row))
        stream = io.StringIO()
        Console(file=stream, width=width, color_system=None, legacy_windows=False).print(table)
        n_hidden = len(self.rows) - len(self.rows[:most])
        lines = [line.rstrip() for line in stream.getvalue().splitlines()]
        lines += [f"... and {n_hidden} more"] if n_hidden else []
        return "\n".join(lines).strip("\n")

    def to_html(self, most: int | None = None) -> str:
        """As an HTML table, with markup in cells escaped.

        Args:
            most: rows to show; None shows all. What is left out is counted below.
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
        """As a Markdown table, with markup in cells escaped."""
        ruler = ["---:" if n in self.numeric else "---" for n in range(len(self.header))]
        lines = [[_markdown(name) for name in self.header], ruler]
        lines += [[_markdown(cell) for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def to_latex(self) -> str:
        """As a LaTeX tabular (packages booktabs and inputenc), with special characters escaped."""
        align = "".join("r" if n in self.numeric else "l" for n in range(len(self.header)))
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        lines[1:1] = [r"\midrule"]
        body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
        return f"\\begin{{tabular}}{{{align}}}\n{body}\n\\end{{tabular}}\n"

    def to_csv(self) -> str:
        r"""As CSV (RFC 4180).

        A cell outside the numeric columns that a spreadsheet could run as a formula is given a
        leading apostrophe. Names such as "-0DdlOuIFUI_30.wav" are not, so that ids can be joined: a
        cell that begins with + or - and holds no more than letters, digits, spaces and "._-/#" is
        as it is. Programs get every exact text by taking one apostrophe away from cells that match
        `'+[=+\-@\t\r]` at their beginning; JSON keeps the exact texts.
        """
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow([_inert(name) for name in self.header])
        for row in self.rows:
            cells = [c if n in self.numeric else _inert(c) for n, c in enumerate(row)]
            writer.writerow(cells)
        return stream.getvalue()


def text_width() -> int:
    """Columns of the terminal, or of the variable COLUMNS; 100 where there is neither."""
    return shutil.get_terminal_size((100, 24)).columns


def printable(text: str) -> str:
    """The text on one line, with control and invisible formatting characters made visible."""
    return "".join(c if c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    """White space as a space, anything else (escapes, overrides, surrogates) as its code."""
    return " " if character.isspace() else ascii(character)[1:-1]


def _markdown(cell: str) -> str:
    return printable(cell).translate(_MARKDOWN_SPECIAL)


def _html(cell: str) -> str:
    return escape(printable(cell))


def _latex(cell: str) -> str:
    return printable(cell).translate(_LATEX_SPECIAL)


def _inert(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _HARMLESS.fullmatch(cell) else cell


def columns(names: Sequence[str], first: int) -> tuple[int, ...]:
    """Positions of so many columns, beginning at `first`: for `Table.numeric`."""
    return tuple(range(first, first + len(names)))
