"""Update docs/finetuning-study.md from the results in `studies`: tables, figures, report.

Computed parts of the page stand between marks; the rest is written by hand.

Usage: python scripts/study_page.py
"""

from dataclasses import replace
from pathlib import Path

from marks import replace_sections, write_report

from audioprobe.experiments.finetuning.analysis import StudySummary, summarize
from audioprobe.experiments.finetuning.conclusions import conclusions_table, significance_table
from audioprobe.experiments.finetuning.report import build_report
from audioprobe.experiments.finetuning.storage import read_record
from audioprobe.experiments.finetuning.tables import SHOWN, all_tables, before_table
from audioprobe.io.text_table import Table
from audioprobe.reports.charts import Chart

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "studies" / "finetuning"
SHORT_RECORD = ROOT / "studies" / "finetuning-recordings"
PAGE = ROOT / "docs" / "finetuning-study.md"
ASSETS = PAGE.with_suffix("")
TRANSFER = (
    "![Change of accuracy on novel classes, by training arm and question]"
    f"({ASSETS.name}/transfer-1.svg)"
)
COMPARED = ("pretraining-domain AUC", *SHOWN)


def computed_parts(summary: StudySummary) -> dict[str, str]:
    """Return the computed parts of the page, by the name of their marks."""
    columns = (
        "number",
        "trainable",
        "regularization",
        "alignment",
        *SHOWN,
        "seeds",
        "Pareto front",
    )
    conclusions = [f"**{q}** {answer}" for q, answer in conclusions_table(summary).rows]
    tables = all_tables(summary)
    return {
        "progress": progress(summary),
        "conclusions": "\n\n".join([*conclusions, significance_table(summary).to_markdown()]),
        "before": before_table(summary).to_markdown(),
        "strategies": tables["Strategies"].only(columns).to_markdown(),
        "ablations": main_measures(tables["Ablations"]),
        "effects": main_measures(tables["Effects"]),
        "generalization": tables["Generalization"].to_markdown(),
        "transfer": f"{TRANSFER}\n\n{tables['Transfer'].to_markdown()}",
    }


def parts_of_short_study(summary: StudySummary) -> dict[str, str]:
    """Return the computed parts about the short study with recordings."""
    tables = all_tables(summary)
    columns = ("trainable", "regularization", "alignment", *SHOWN, "seeds")
    n, seconds = len(summary.record.runs), sum(run.seconds for run in summary.record.runs)
    conclusions = [f"**{q}** {answer}" for q, answer in conclusions_table(summary).rows]
    strategies = tables["Strategies"].only(columns).to_markdown()
    return {
        "recordings": "\n\n".join(
            [
                f"{n} of {summary.record.n_planned} training runs have finished, "
                f"{len(summary.failures)} of them failed; they took {seconds / 60:.0f} minutes.",
                *conclusions,
                strategies,
            ]
        ),
        "recordings before": before_table(summary).to_markdown(),
        "recordings ablations": main_measures(tables["Ablations"]),
    }


def main_measures(table: Table) -> str:
    """Return the rows of the measures that the page discusses."""
    return replace(table, rows=tuple(r for r in table.rows if r[0] in COMPARED)).to_markdown()


def progress(summary: StudySummary) -> str:
    """Return how much of the study is finished, and how long it took."""
    n, planned, n_failed = len(summary.record.runs), summary.record.n_planned, len(summary.failures)
    incomplete = "" if n == planned else "**All results are preliminary.** "
    seconds = summary.record.before.seconds + sum(run.seconds for run in summary.record.runs)
    return (
        f"{n} of {planned} training runs have finished, {n_failed} of them failed. {incomplete}"
        f"In total they took {seconds / 3600:.1f} hours, each on one core of a processor without "
        "AVX-512, two in parallel.\n"
    )


def updated(page: str, parts: dict[str, str]) -> str:
    """Return the page with its computed parts filled in."""
    return replace_sections(page, parts, PAGE)


def write_assets(summary: StudySummary, page: str, folder: Path) -> None:
    """Write the report, and those of its figures that the page shows."""
    report = build_report(summary, "finetuning-study", ())
    charts: dict[str, list[Chart | None]] = {"gain-and-forgetting": [report.chart]}
    for section in report.sections:
        charts.setdefault(section.title.lower().replace(" ", "-"), []).extend(
            item for item in section.items if isinstance(item, Chart)
        )
    write_report(report, charts, page, folder)


def main() -> None:
    """Compute everything and write it."""
    summary = summarize(read_record(RECORD))
    page = updated(PAGE.read_text(encoding="utf-8"), computed_parts(summary))
    page = updated(page, parts_of_short_study(summarize(read_record(SHORT_RECORD))))
    PAGE.write_text(page, encoding="utf-8")
    write_assets(summary, page, ASSETS)


if __name__ == "__main__":
    main()
