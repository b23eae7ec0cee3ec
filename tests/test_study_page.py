"""The docs page of the fine-tuning study shows the numbers of the stored results."""

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from audioprobe.experiments.finetuning.analysis import StudySummary, summarize
from audioprobe.experiments.finetuning.comparison import MEASURES
from audioprobe.experiments.finetuning.config import parse_study, read_study
from audioprobe.experiments.finetuning.storage import read_record
from audioprobe.experiments.finetuning.tables import strategies_table
from tests.browser import opened
from tests.processes import ROOT


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("study_page")


@pytest.fixture(scope="module")
def summary(script: ModuleType) -> StudySummary:
    return summarize(read_record(script.RECORD))


@pytest.mark.slow
def test_page_shows_the_results_of_the_record(script: ModuleType, summary: StudySummary) -> None:
    page, parts = script.PAGE.read_text(encoding="utf-8"), script.computed_parts(summary)
    assert script.updated(page, parts) == page
    with pytest.raises(SystemExit, match="'<!-- effects -->"):
        script.updated(page.replace("<!-- effects -->", ""), parts)


def test_page_shows_the_results_of_the_short_study(script: ModuleType) -> None:
    summary = summarize(read_record(script.SHORT_RECORD))
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.updated(page, script.parts_of_short_study(summary)) == page


@pytest.mark.slow
def test_report_shows_the_results_of_the_record(script: ModuleType, summary: StudySummary) -> None:
    with opened(script.ASSETS / "report.html") as (page, complaints):
        assert complaints == []
        cells = {text.strip() for text in page.locator("td, tbody th").all_text_contents()}
    for row in strategies_table(summary).rows:
        assert cells.issuperset(row)
    assert cells.issuperset(MEASURES)


def test_page_has_all_figures_and_no_others(script: ModuleType) -> None:
    shown = re.findall(r"\]\(finetuning-study/([^)]+)\)", script.PAGE.read_text(encoding="utf-8"))
    assert {path.name for path in script.ASSETS.iterdir()} == set(shown)
    assert "report.html" in shown


@pytest.mark.parametrize(
    ("record", "name"),
    [("RECORD", "finetuning-study"), ("SHORT_RECORD", "finetuning-recordings")],
)
def test_shipped_studies_are_the_stored_ones(script: ModuleType, record: str, name: str) -> None:
    text = (getattr(script, record) / "config.toml").read_text(encoding="utf-8")
    assert parse_study(text, "stored study") == read_study(name)
