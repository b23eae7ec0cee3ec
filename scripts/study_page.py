"""Bring the study of fine-tuning into the docs: tables and verdicts, pictures, and its report.

What is computed comes from the trainings kept in studies/finetuning, the rest of the page from
finetuning_study.md beside this file.

Usage: python scripts/study_page.py
"""

import shutil
from dataclasses import replace
from pathlib import Path

from audioprobe.experiments.finetuning.kept import read_record
from audioprobe.experiments.finetuning.outcome import synthesis_of
from audioprobe.experiments.finetuning.report import report_of
from audioprobe.experiments.finetuning.summary import (
    before_table,
    effects_table,
    strategies_table,
    transfer_table,
)
from audioprobe.experiments.finetuning.synthesis import Synthesis
from audioprobe.experiments.finetuning.verdicts import verdicts_of
from audioprobe.reports.html import Drawing, write_page

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "studies" / "finetuning"
TEXT = Path(__file__).parent / "finetuning_study.md"
PAGE = ROOT / "docs" / "finetuning-study.md"
BESIDE = PAGE.with_suffix("")
SHOWN = ("inside AUC", "loss of text", "accuracy in words", "accuracy in sound")


def blocks_of(found: Synthesis) -> dict[str, str]:
    """The parts of the page that are computed, by name."""
    verdicts = [f"**{v.question}** {v.answer}\n" for v in verdicts_of(found)]
    columns = ("number", "trained", "holding", "alignment", *SHOWN, "on the front")
    effects = effects_table(found)
    shown = tuple(row for row in effects.rows if row[0] in SHOWN)
    return {
        "ran": (
            f"{found.n_trainings} of {found.n_wanted} trainings ended, {len(found.failures)} of "
            f"them in failure; one after the other they took {found.seconds / 3600:.1f} hours, "
            "each on one core.\n"
        ),
        "verdicts": "\n".join(verdicts),
        "before": before_table(found).to_markdown(),
        "strategies": strategies_table(found).only(columns).to_markdown(),
        "effects": replace(effects, rows=shown).to_markdown(),
        "transfer": transfer_table(found).to_markdown(),
    }


def filled(page: str, blocks: dict[str, str]) -> str:
    """A page with its computed parts put in, each at its one place."""
    for name, text in blocks.items():
        place = f"<!-- {name} -->\n"
        if page.count(place) != 1:
            raise SystemExit(f"{TEXT}: expected {place!r} once.")
        page = page.replace(place, text)
    return page


def main() -> None:
    """Compute everything anew."""
    record = read_record(RECORD)
    found = synthesis_of(record)
    text = TEXT.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, blocks_of(found)), encoding="utf-8")
    shutil.rmtree(BESIDE, ignore_errors=True)
    BESIDE.mkdir()
    report = report_of(record.study, found, verdicts_of(found), "finetuning-study")
    write_page(report, BESIDE / "report.html")
    for section in report.sections:
        drawn = [item for item in section.items if isinstance(item, Drawing)]
        for number, drawing in enumerate(drawn, 1):
            name = f"{section.title.lower().replace(' ', '-')}-{number}.svg"
            (BESIDE / name).write_text(drawing.svg, encoding="utf-8")


if __name__ == "__main__":
    main()
