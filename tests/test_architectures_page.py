"""The docs page of the study of architectures shows the numbers of the stored results."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.config import read_architectures
from audioprobe.experiments.architectures.storage import read_record
from audioprobe.experiments.architectures.tables import all_tables
from tests.browser import opened
from tests.experiments.architectures.arm_results import complete, config, record, typical
from tests.processes import ROOT


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield importlib.import_module("architectures_page")


@pytest.fixture(scope="module")
def summary() -> ArchitecturesSummary:
    return summarize(complete())


def figures(page: str) -> set[str]:
    return set(re.findall(r"\]\(architectures-study/([^)#]+)\)", page))


def test_every_part_of_the_page_is_filled(
    script: ModuleType, summary: ArchitecturesSummary
) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    parts = script.computed_parts(summary)
    assert set(re.findall(r"^<!-- (\w+) -->$", page, re.MULTILINE)) == set(parts)
    assert parts.keys() == script.parts_without_record().keys()
    filled = script.updated(page, parts)
    for name, title in script.TABLES.items():
        table = all_tables(summary).get(title)
        expected = script.NO_RESULT if table is None else table.rows[0][0]
        assert expected in parts[name]
        assert parts[name] in filled
    assert script.updated(filled, script.parts_without_record()) == script.updated(
        page, script.parts_without_record()
    )


def test_figures_of_the_page_are_written_and_no_others(
    script: ModuleType, summary: ArchitecturesSummary, tmp_path: Path
) -> None:
    page = script.updated(script.PAGE.read_text(encoding="utf-8"), script.computed_parts(summary))
    folder = tmp_path / script.ASSETS.name
    script.write_assets(summary, page, folder)
    assert {path.name for path in folder.iterdir()} == figures(page)
    assert "report.html" in figures(page)
    tables = all_tables(summary)
    shown = [name for name in script.FIGURES if script.TABLES[name] in tables]
    assert len(figures(page)) == 1 + len(shown) == len(script.FIGURES)  # locations are missing


def test_page_of_a_partial_study_is_filled(script: ModuleType) -> None:
    partial = summarize(record([typical("mlp", 1, 0.8)], config()))
    parts = script.computed_parts(partial)
    assert parts["agreement"] == script.NO_RESULT
    assert "1 of 12 training runs have finished" in parts["findings"]


@pytest.mark.slow
def test_page_shows_the_stored_results(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    parts = script.parts_without_record()
    if script.RECORD.is_dir():
        parts = script.computed_parts(summarize(read_record(script.RECORD)))
    assert script.updated(page, parts) == page


def test_page_has_all_stored_figures_and_no_others(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert {path.name for path in script.ASSETS.glob("*")} == figures(page)
    assert bool(figures(page)) == script.RECORD.is_dir()


def test_page_describes_the_shipped_arms(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    described = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)
    assert described == [arm.name for arm in read_architectures("architectures-more").arms]


@pytest.mark.slow
def test_report_shows_the_primary_measure(
    script: ModuleType, summary: ArchitecturesSummary, tmp_path: Path
) -> None:
    script.write_assets(summary, "", tmp_path / "report")
    with opened(tmp_path / "report" / "report.html") as (page, complaints):
        assert complaints == []
        cells = {text.strip() for text in page.locator("td, tbody th").all_text_contents()}
    for row in all_tables(summary)["Primary"].rows:
        assert cells.issuperset(row)
