"""Update docs/architectures-study.md from the results in `studies`: tables, figures, report.

Computed parts of the page stand between marks; the rest is written by hand. Without a stored study,
the parts say so.

Usage: python scripts/architectures_page.py
"""

from pathlib import Path

from marks import replace_sections, write_report

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.findings import all_findings
from audioprobe.experiments.architectures.report import build_report
from audioprobe.experiments.architectures.storage import read_record
from audioprobe.experiments.architectures.tables import all_tables
from audioprobe.io.text_table import Table, markdown
from audioprobe.reports.charts import Chart

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "studies" / "architectures"
PAGE = ROOT / "docs" / "architectures-study.md"
ASSETS = PAGE.with_suffix("")
NO_RECORD = "The results of the study are not stored yet.\n"
NO_RESULT = "No finished run has such results.\n"

FIGURES = {
    "primary": ("Primary measure of each arm", "primary-1"),
    "gap": ("Accuracy in text minus accuracy in audio, by arm", "text-and-audio-1"),
    "transfer": ("Accuracy in audio by what was trained, by arm", "transfer-1"),
    "locations": ("Readable classes by stage of each arm", "where-concepts-are-lost-1"),
    "costs": ("Primary measure against operations of a question", "cost-1"),
}
"""Text alternative and name of the figure of a part."""
TABLES = {
    "primary": "Primary",
    "claims": "Claims",
    "gap": "Gap",
    "transfer": "Transfer",
    "scenes": "Scenes",
    "agreement": "Agreement",
    "tools": "Tools",
    "locations": "Locations",
    "costs": "Costs",
}
"""Title of the table of a part."""
COLUMNS = {
    "claims": ("claim", "arms", "measure", "budget", "value", "outcome"),
    "gap": ("arm", "relations", "text", "audio", "text minus audio", "perception", "reasoning"),
}
"""Columns of tables that are shown in part."""


def computed_parts(summary: ArchitecturesSummary) -> dict[str, str]:
    """Return the computed parts of the page, by the name of their marks."""
    tables = all_tables(summary)
    report = f"The [full report]({ASSETS.name}/report.html) has all numbers and figures.\n"
    findings = "\n".join(f"- {markdown(text)}" for text in all_findings(summary))
    return {
        "findings": f"{findings}\n\n{report}",
        **{name: _part(name, tables.get(title)) for name, title in TABLES.items()},
    }


def _part(name: str, table: Table | None) -> str:
    """Return figure and table of a part."""
    if table is None:
        return NO_RESULT
    shown = table.only(COLUMNS.get(name, table.header)).to_markdown()
    if name not in FIGURES:
        return shown
    text, figure = FIGURES[name]
    return f"![{text}]({ASSETS.name}/{figure}.svg)\n\n{shown}"


def parts_without_record() -> dict[str, str]:
    """Return the parts of the page before the study is stored."""
    return dict.fromkeys(("findings", *TABLES), NO_RECORD)


def updated(page: str, parts: dict[str, str]) -> str:
    """Return the page with its computed parts filled in."""
    return replace_sections(page, parts, PAGE)


def write_assets(summary: ArchitecturesSummary, page: str, folder: Path) -> None:
    """Write the report, and those of its figures that the page shows."""
    report = build_report(summary, "architectures", ())
    charts: dict[str, list[Chart | None]] = {"primary": [report.chart]}
    for section in report.sections:
        title = section.title.lower().replace(" ", "-")
        charts[title] = [item for item in section.items if isinstance(item, Chart)]
    write_report(report, charts, page, folder)


def main() -> None:
    """Compute everything and write it."""
    page = PAGE.read_text(encoding="utf-8")
    if not RECORD.is_dir():
        PAGE.write_text(updated(page, parts_without_record()), encoding="utf-8")
        return
    summary = summarize(read_record(RECORD))
    page = updated(page, computed_parts(summary))
    PAGE.write_text(page, encoding="utf-8")
    write_assets(summary, page, ASSETS)


if __name__ == "__main__":
    main()
