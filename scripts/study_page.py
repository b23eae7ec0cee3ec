"""Bring the study of fine-tuning into the docs: tables and verdicts, pictures, and its report.

All of it is computed from the trainings kept in studies/finetuning. On the page, it stands between
marks; the rest of the page is written by hand.

Usage: python scripts/study_page.py
"""

import shutil
from dataclasses import replace
from pathlib import Path

from marks import filled

from audioprobe.experiments.finetuning.conclusions import conclusions
from audioprobe.experiments.finetuning.outputs import synthesis_of
from audioprobe.experiments.finetuning.report import report_of
from audioprobe.experiments.finetuning.storage import StudyRecord, read_record
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.experiments.finetuning.tables import (
    before_table,
    effects_table,
    heldout_table,
    pairs_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.text_table import Table
from audioprobe.reports.html import Drawing, write_page

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "studies" / "finetuning"
PAGE = ROOT / "docs" / "finetuning-study.md"
BESIDE = PAGE.with_suffix("")
CARRIED = (
    "![Change of accuracy about invented classes, by what was taught and what was asked]"
    f"({BESIDE.name}/transfer-1.svg)"
)
SHOWN = ("inside AUC", "loss of text", "accuracy in words", "accuracy in sound")
COMPARED = ("inside AUC", "earlier AUC", *SHOWN[1:])


def blocks_of(found: StudySummary) -> dict[str, str]:
    """The parts of the page that are computed, by name."""
    columns = ("number", "trained", "holding", "alignment", *SHOWN, "seeds", "on the front")
    return {
        "ran": ran(found),
        "verdicts": "\n".join(verdict.to_markdown() for verdict in conclusions(found)),
        "before": before_table(found).to_markdown(),
        "strategies": strategies_table(found).only(columns).to_markdown(),
        "pairs": compared(pairs_table(found)),
        "effects": compared(effects_table(found)),
        "heldout": heldout_table(found).to_markdown(),
        "transfer": f"{CARRIED}\n\n{transfer_table(found).to_markdown()}" if found.transfer else "",
    }


def compared(table: Table) -> str:
    """Rows of the measures that the page speaks of."""
    return replace(table, rows=tuple(r for r in table.rows if r[0] in COMPARED)).to_markdown()


def ran(found: StudySummary) -> str:
    """How much of the study there is."""
    whole = found.n_trainings == found.n_wanted
    rests = "**All that is said here rests on these, and may change with the others.** "
    return (
        f"{found.n_trainings} of {found.n_wanted} trainings ended, {len(found.failures)} of them "
        f"in failure. {'' if whole else rests}One after the other they took "
        f"{found.seconds / 3600:.1f} hours, each on one core of a processor without AVX-512, two "
        "at once.\n"
    )


def written(page: str, found: StudySummary) -> str:
    """The page with its computed parts put in."""
    for name, text in blocks_of(found).items():
        page = filled(page, name, f"\n{text}\n", PAGE)
    return page


def draw(record: StudyRecord, found: StudySummary, page: str, folder: Path) -> None:
    """The report, and those of its pictures that the page shows."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    report = report_of(record.study, found, conclusions(found), "finetuning-study")
    write_page(report, folder / "report.html")
    for section in report.sections:
        drawn = [item for item in section.items if isinstance(item, Drawing)]
        for number, drawing in enumerate(drawn, 1):
            name = f"{section.title.lower().replace(' ', '-')}-{number}.svg"
            if f"({folder.name}/{name})" in page:
                (folder / name).write_text(drawing.svg, encoding="utf-8")


def main() -> None:
    """Compute everything anew."""
    record = read_record(RECORD)
    found = synthesis_of(record)
    page = written(PAGE.read_text(encoding="utf-8"), found)
    PAGE.write_text(page, encoding="utf-8")
    draw(record, found, page, BESIDE)


if __name__ == "__main__":
    main()
