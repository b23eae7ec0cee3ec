"""Write the tables of a report as files: one Markdown file, and a LaTeX file for each table."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from audioprobe.io.atomic import atomic_write
from audioprobe.io.text_table import Table
from audioprobe.reports.latex import narrow_latex

SUMMARY = "summary.md"


def write_tables(
    tables: Mapping[str, Table], folder: Path, n_keys: Mapping[str, int] = MappingProxyType({})
) -> list[str]:
    """Write all tables to `SUMMARY`, and each to a LaTeX file with its title as name.

    Args:
        tables: tables by title.
        folder: folder of the files.
        n_keys: number of first columns that name the rows of a table, by title; 1 for the others.

    Returns:
        The names of the files.
    """
    sections = [f"## {title}\n\n{table.to_markdown()}" for title, table in tables.items()]
    atomic_write(folder / SUMMARY, "\n".join(sections))
    files = {f"{title.lower()}.tex": title for title in tables}
    for name, title in files.items():
        atomic_write(folder / name, narrow_latex(tables[title], n_keys.get(title, 1)))
    return [SUMMARY, *files]
