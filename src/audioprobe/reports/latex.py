"""LaTeX tables that fit a page: wide tables are split into narrow ones with the same first columns.

The numbers of clips, groups or concepts of intervals are left out; they are in the other outputs.
"""

import re
from dataclasses import replace

from audioprobe.io.text_table import Table

WIDTH = 95
"""Maximum number of characters in a row, which fits a page of A4 or US letter in small type."""

_GAP = 2  # space between columns in characters
_COUNT = re.compile(r" \(\d+ (clips|groups|concepts)\)$")


def narrow_latex(table: Table, n_keys: int = 1, width: int = WIDTH) -> str:
    """Return a table in LaTeX, split by columns where its rows are longer than `width`.

    Args:
        table: the table.
        n_keys: number of first columns that name the rows, and are repeated in each part.
        width: maximum number of characters in a row; a single column may exceed it.
    """
    table = replace(table, rows=tuple(tuple(map(_without_count, row)) for row in table.rows))
    widths = [
        max(map(len, column)) + _GAP for column in zip(table.header, *table.rows, strict=True)
    ]
    keys = list(range(n_keys))
    parts: list[list[int]] = [[]]
    for column in range(n_keys, len(widths)):
        used = sum(widths[n] for n in [*keys, *parts[-1], column])
        if parts[-1] and used > width:
            parts.append([])
        parts[-1].append(column)
    comment = "% Intervals resample clips, groups or concepts; tables need the package booktabs.\n"
    return comment + "\n".join(_select(table, [*keys, *part]).to_latex() for part in parts)


def _select(table: Table, columns: list[int]) -> Table:
    return Table(
        tuple(table.header[n] for n in columns),
        tuple(tuple(row[n] for n in columns) for row in table.rows),
        tuple(position for position, n in enumerate(columns) if n in table.numeric),
    )


def _without_count(cell: str) -> str:
    return _COUNT.sub("", cell)
