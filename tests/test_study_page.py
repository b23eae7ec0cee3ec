"""What the docs say of the study of fine-tuning is what its record gives."""

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from audioprobe.experiments.finetuning.config import read_study
from audioprobe.experiments.finetuning.outputs import synthesis_of
from audioprobe.experiments.finetuning.paired_difference import MEASURES
from audioprobe.experiments.finetuning.storage import StudyRecord, read_record
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.experiments.finetuning.tables import strategies_table
from tests.browser import opened
from tests.processes import ROOT


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("study_page")


@pytest.fixture(scope="module")
def record(script: ModuleType) -> StudyRecord:
    return read_record(script.RECORD)


@pytest.fixture(scope="module")
def found(record: StudyRecord) -> StudySummary:
    return synthesis_of(record)


def test_every_number_of_the_page_is_computed_from_the_record(
    script: ModuleType, found: StudySummary
) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.written(page, found) == page
    with pytest.raises(SystemExit, match="'<!-- effects -->"):
        script.written(page.replace("<!-- effects -->", ""), found)


def test_the_report_beside_is_that_of_the_record(script: ModuleType, found: StudySummary) -> None:
    with opened(script.BESIDE / "report.html") as (page, complaints):
        assert complaints == []
        cells = {text.strip() for text in page.locator("td").all_text_contents()}
    for row in strategies_table(found).rows:
        assert cells.issuperset(row)
    assert cells.issuperset(MEASURES)


def test_pictures_of_the_page_are_there_and_no_others(script: ModuleType) -> None:
    shown = re.findall(r"\]\(finetuning-study/([^)]+)\)", script.PAGE.read_text(encoding="utf-8"))
    assert {path.name for path in script.BESIDE.iterdir()} == set(shown)
    assert "report.html" in shown


def test_the_study_that_ships_is_the_one_that_was_run(record: StudyRecord) -> None:
    assert record.study == read_study("finetuning-study")
