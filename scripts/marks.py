"""Computed parts of documentation pages: marked sections, and figures of a report."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from audioprobe.reports.charts import Chart
from audioprobe.reports.html import Page, write_page


def replace_section(page: str, name: str, text: str, source: Path) -> str:
    """Return a page with new text between the marks of a section.

    Args:
        page: has `<!-- name -->` and `<!-- /name -->`, each once and on a line of its own.
        name: name of the section.
        text: new content; complete lines.
        source: path of the page, for the error message.

    Raises:
        SystemExit: if a mark does not occur exactly once.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if page.count(start) != 1 or page.count(end) != 1:
        raise SystemExit(f"{source}: expected {start!r} and {end!r}, each once.")
    before, rest = page.split(start)
    return f"{before}{start}{text}{end}{rest.split(end)[1]}"


def replace_sections(page: str, parts: Mapping[str, str], source: Path) -> str:
    """Return a page with its computed parts, by the name of their marks; see `replace_section`."""
    for name, text in parts.items():
        page = replace_section(page, name, f"\n{text}\n", source)
    return page


def write_report(
    report: Page, charts: Mapping[str, Sequence[Chart | None]], page: str, folder: Path
) -> None:
    """Write a report into an empty folder, and those of its charts that a page shows.

    Args:
        report: the report.
        charts: charts by the title of their section. The figures are named after it, with a number.
        page: text of the page, in which the folder stands before the name of a figure.
        folder: folder of the report and the figures.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_page(report, folder / "report.html")
    for title, of_section in charts.items():
        for number, chart in enumerate(of_section, 1):
            name = f"{title}-{number}.svg"
            if chart is not None and f"({folder.name}/{name})" in page:
                (folder / name).write_text(chart.to_svg(), encoding="utf-8")
