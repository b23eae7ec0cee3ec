"""The docs page of the interpretability study shows the numbers of the stored results."""

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from audioprobe.experiments.interpretability.config import read_interpretability
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord, read_record
from audioprobe.experiments.interpretability.tables import all_tables
from tests.browser import opened
from tests.processes import ROOT


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("interpretability_page")


@pytest.fixture(scope="module")
def record(script: ModuleType) -> InterpretabilityRecord:
    return read_record(script.RECORD)


@pytest.mark.slow
def test_page_shows_the_results_of_the_record(
    script: ModuleType, record: InterpretabilityRecord
) -> None:
    page, parts = script.PAGE.read_text(encoding="utf-8"), script.computed_parts(record)
    assert script.updated(page, parts) == page


@pytest.mark.slow
def test_report_shows_the_results_of_the_record(
    script: ModuleType, record: InterpretabilityRecord
) -> None:
    with opened(script.ASSETS / "report.html") as (page, complaints):
        assert complaints == []
        cells = {text.strip() for text in page.locator("td, tbody th").all_text_contents()}
    for row in all_tables(record)["Conclusions"].rows:
        assert cells.issuperset(row)


def test_page_has_all_figures_and_no_others(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"\]\(interpretability-study/([^)#]+)\)", page)
    assert {path.name for path in script.ASSETS.iterdir()} == set(shown)
    assert "report.html" in shown


def test_shipped_study_is_the_stored_one(record: InterpretabilityRecord) -> None:
    assert record.config == read_interpretability("interpretability")
    assert set(record.config.measurements) == {*record.results, *record.failures}
