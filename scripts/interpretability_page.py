"""Update docs/interpretability-study.md from the results in `studies`: tables, figures, report.

Computed parts of the page stand between marks; the rest is written by hand.

Usage: python scripts/interpretability_page.py
"""

from pathlib import Path

from marks import replace_sections, write_report

from audioprobe.experiments.interpretability.report import build_report
from audioprobe.experiments.interpretability.stages import locations
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord, read_record
from audioprobe.experiments.interpretability.tables import all_tables
from audioprobe.reports.charts import Chart

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "studies" / "interpretability"
PAGE = ROOT / "docs" / "interpretability-study.md"
ASSETS = PAGE.with_suffix("")
EVIDENCE = ("mechanism", "prediction", "outcome", "value", "place", "note")


def computed_parts(record: InterpretabilityRecord) -> dict[str, str]:
    """Return the computed parts of the page, by the name of their marks."""
    tables = all_tables(record)
    answers = tables["Answers"]
    shown = answers.only(answers.header[:6])
    stages = locations(record)
    reasons = (
        ""
        if stages is None
        else "\n".join(
            f"- {each.group}, {each.answers} answers: {each.lost}. {each.reason}"
            for each in stages.locations
        )
    )
    parts = {
        "conclusions": tables["Conclusions"].to_markdown(),
        "evidence": tables["Evidence"].only(EVIDENCE).to_markdown(),
        "answers": shown.to_markdown(),
        "trials": tables["Trials"].to_markdown(),
    }
    if "Stages" in tables:
        parts["stages"] = f"{tables['Stages'].to_markdown()}\n{reasons}\n"
    return parts


def updated(page: str, parts: dict[str, str]) -> str:
    """Return the page with its computed parts filled in."""
    return replace_sections(page, parts, PAGE)


def write_assets(record: InterpretabilityRecord, page: str, folder: Path) -> None:
    """Write the report, and those of its figures that the page shows."""
    report = build_report(record, "mini", ())
    charts = {
        section.title.lower().replace(" ", "-"): [i for i in section.items if isinstance(i, Chart)]
        for section in report.sections
    }
    write_report(report, charts, page, folder)


def main() -> None:
    """Compute everything and write it."""
    record = read_record(RECORD)
    page = updated(PAGE.read_text(encoding="utf-8"), computed_parts(record))
    PAGE.write_text(page, encoding="utf-8")
    write_assets(record, page, ASSETS)


if __name__ == "__main__":
    main()
