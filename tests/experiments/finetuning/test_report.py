"""Tables and page of a study of fine-tuning: the numbers that were found, and nothing foreign."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.browser import opened
from tests.experiments.finetuning.run_results import (
    CAUSE,
    CELLS,
    FAILED,
    HALVES,
    STUDY,
    after,
    before,
    everything,
    failed,
    found,
)

from audioprobe.experiments.finetuning.conclusions import conclusions
from audioprobe.experiments.finetuning.paired_difference import MEASURES
from audioprobe.experiments.finetuning.report import report_of
from audioprobe.experiments.finetuning.run_result import RunResult
from audioprobe.experiments.finetuning.study_results import StudySummary, synthesised
from audioprobe.experiments.finetuning.tables import (
    before_table,
    drift_table,
    effects_table,
    failures_table,
    headline,
    links_table,
    pairs_table,
    seeds_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.text_table import Table
from audioprobe.reports.html import DataGrid, Drawing, Page, to_html, write_page

EVIL = "<script>alert(1)</script>$x^2$"
OWN = [cell for cell in CELLS if not cell.transfer]


@pytest.fixture(scope="module")
def whole() -> StudySummary:
    return found(everything())


def page_of(synthesis: StudySummary, name: str = "made up") -> Page:
    return report_of(STUDY, synthesis, conclusions(synthesis), name)


def column(table: Table, name: str) -> list[str]:
    place = table.header.index(name)
    return [row[place] for row in table.rows]


def test_what_each_seed_gave_stands_beside(whole: StudySummary) -> None:
    table = seeds_table(whole)
    assert len(table.rows) == len(OWN)
    for measure in MEASURES:
        cells = iter(column(table, measure))
        for one in whole.tried:
            for value in one.changes[measure].by_seed:
                assert next(cells) == ("–" if value is None else f"{value:+.3f}")
    assert "–" in column(table, "inside AUC"), "a training that failed is no change of 0"


def test_strategies_are_told_with_the_numbers_that_were_found(whole: StudySummary) -> None:
    table = strategies_table(whole)
    assert column(table, "number") == ["1", "2", "3", "4", "5", "6"]
    for measure in MEASURES:
        for one, told, p in zip(
            whole.tried, column(table, measure), column(table, f"{measure}, p"), strict=True
        ):
            change = one.changes[measure]
            assert told.lstrip("+") == str(change.estimate)
            assert (change.estimate.value or 0) < 0 or told.startswith("+")
            assert change.p_value is not None
            assert float(p) == pytest.approx(change.p_value, rel=0.01)
    failing = FAILED.rsplit("--", 1)[0]
    at = [one.name for one in whole.tried].index(failing)
    assert column(table, "seeds")[at] == "1 of 2"
    assert column(table, "failed") == ["1" if n == at else "0" for n in range(6)]
    assert column(table, "stopped") == [str(one.n_stopped) for one in whole.tried]
    assert {"yes", "no"} == set(column(table, "on the front"))


def test_a_strategy_that_failed_is_undefined_and_not_zero() -> None:
    gone = {OWN[1].configuration}
    findings = [failed(c) if c.configuration in gone else after(c) for c in OWN]
    synthesis = found([before(), *findings])
    table = strategies_table(synthesis)
    row = dict(zip(table.header, table.rows[1], strict=True))
    assert {row[measure] for measure in MEASURES} == {"undefined"}
    assert {row[f"{measure}, p"] for measure in MEASURES} == {"–"}
    assert (row["seeds"], row["failed"], row["on the front"]) == ("0 of 2", "2", "–")
    assert set(headline(synthesis).rows[2][1:]) == {"undefined"}
    lost = [(cell.name, CAUSE) for cell in OWN if cell.configuration in gone]
    assert list(failures_table(synthesis).rows) == lost
    page = page_of(synthesis)
    sections = {section.title: section for section in page.sections}
    assert CAUSE in to_html(replace(page, sections=[sections["Trainings that failed"]]))
    assert "2 of them in failure" in page.lead
    gain = sections["Gain and forgetting"].items[0]
    assert isinstance(gain, Drawing)
    assert "undefined, and not drawn: 2" in gain.svg


def test_effects_links_and_drift_are_told_as_found(whole: StudySummary) -> None:
    table = effects_table(whole)
    each = [one for measure in MEASURES for one in whole.effects[measure]]
    assert column(table, "level") == [one.effect.level for one in each]
    assert set(zip(column(table, "factor"), column(table, "compared with"), strict=True)) == {
        ("trained", "projector"),
        ("trained", "projector+lora"),  # of words, which the projector cannot change
        ("holding", "none"),
        ("alignment", "none"),
    }
    for one, told, p in zip(
        each, column(table, "effect"), column(table, "p, corrected"), strict=True
    ):
        assert told.lstrip("+") == str(replace(one.effect.estimate, n_undefined=0))
        if one.corrected is None:
            assert p == "–"
            assert "no residuals to estimate the noise from" in one.effect.estimate.method
        else:
            assert float(p) == pytest.approx(one.corrected, rel=0.01)
    # Four strategies read anew, and have as many numbers to be told.
    unsure = {m for m in MEASURES for one in whole.effects[m] if one.corrected is None}
    assert unsure == {"loss of text", "accuracy in words"}
    links = links_table(whole)
    assert column(links, "rank correlation") == [str(link.rho) for link in whole.links]
    drift = column(drift_table(whole), "weights: projector")
    assert drift == [f"{one.drift['projector']:.4f}" for one in whole.tried]


def test_pairs_are_told_with_what_each_seed_gave(whole: StudySummary) -> None:
    table = pairs_table(whole)
    each = [(m, one) for m in MEASURES for one in whole.matched if m in one.changes]
    assert each
    assert len(table.rows) == len(each)
    for (measure, one), row in zip(each, table.rows, strict=True):
        told, change = dict(zip(table.header, row, strict=True)), one.changes[measure]
        assert (told["measure"], told["level"], told["instead of"]) == (
            measure,
            one.level,
            one.baseline,
        )
        assert told["beside"] == ", ".join(one.beside)
        assert told["difference"].lstrip("+") == str(replace(change.estimate, n_undefined=0))
        seeds = ["–" if value is None else f"{value:+.3f}" for value in change.by_seed]
        assert told["each seed"] == " ".join(seeds)
        corrected = one.corrected[measure]
        assert corrected is not None
        assert float(told["p, corrected"]) == pytest.approx(corrected, rel=0.01)


def test_an_effect_that_the_design_does_not_tell_says_why() -> None:
    same = {
        level.label: tied.label for level, tied in zip(STUDY.holding, STUDY.alignment, strict=True)
    }
    cells = [cell for cell in OWN if same[cell.holding] == cell.alignment]
    cells = [*cells, *(cell for cell in OWN if cell not in cells)][: len(cells)]
    table = effects_table(found([before(), *map(after, cells)]))
    told = dict(zip(column(table, "level"), column(table, "effect"), strict=True))
    assert told["ewc"] == told["contrastive"] == "undefined: confounded with other factors"
    assert {"–"} == {p for p, e in zip(column(table, "p"), column(table, "effect"), strict=True)
                     if e.startswith("undefined")}  # fmt: skip


def test_transfer_and_the_model_before_are_told_as_found(whole: StudySummary) -> None:
    assert whole.transfer is not None
    table = transfer_table(whole)
    for one, row in zip(whole.transfer.carried, table.rows, strict=True):
        told = dict(zip(table.header, row, strict=True))
        assert (told["taught in"], told["asked in"], told["concepts"]) == (
            one.arm,
            one.asked,
            one.half,
        )
        assert told["accuracy"] == str(one.accuracy)
        assert told["change"].lstrip("+") == str(one.change.estimate)
        beyond = "–" if one.beyond is None else str(one.beyond.estimate)
        assert told["beyond the control"].lstrip("+") == beyond
        assert told["accuracy before"] == str(whole.transfer.before[one.asked, one.half])
    assert column(before_table(whole), "before") == [str(whole.before[m]) for m in MEASURES]
    first, *others = headline(whole).rows
    assert first[:2] == ("before", str(whole.before["inside AUC"]))
    assert len(others) == len(whole.tried)


def test_the_page_shows_everything_in_order(whole: StudySummary) -> None:
    page = page_of(whole)
    assert [section.title for section in page.sections] == [
        "Verdicts",
        "The model before",
        "Gain and forgetting",
        "Against the model before",
        "One choice changed",
        "What each choice does",
        "Transfer",
        "Training",
        "What moved",
        "Trainings that failed",
        "How it was made",
    ]
    assert page.lead == "All 20 trainings have ended, 1 of them in failure."
    assert all(section.text for section in page.sections[:-1])
    by_title = {section.title: section for section in page.sections}
    drawings = {t: sum(isinstance(i, Drawing) for i in s.items) for t, s in by_title.items()}
    assert drawings["Against the model before"] == len(MEASURES)
    assert drawings["What each choice does"] == len(MEASURES)
    changed, beyond = [i.svg for i in by_title["Transfer"].items if isinstance(i, Drawing)]
    for one in whole.transfer.carried if whole.transfer else ():
        assert f">{one.change.estimate.value:z.2f}<" in changed
        assert one.beyond is None or f">{one.beyond.estimate.value:z.2f}<" in beyond
    assert "control: shuffled" in changed
    assert "control: shuffled" not in beyond
    assert drawings["What moved"] == 2
    (made,) = by_title["How it was made"].items
    assert isinstance(made, DataGrid)
    facts = dict(zip(*zip(*made.table.rows, strict=True), strict=True))
    assert facts["trainings that ended"] == "20 of 20"
    assert facts["hours, one after the other"] == "3.18"  # a minute, 19 of ten, five seconds


def test_nothing_but_the_model_before_gives_a_page_that_says_so() -> None:
    page = page_of(found([before()]))
    assert page.lead.startswith("0 of 20 trainings have ended")
    assert [s.title for s in page.sections] == ["Verdicts", "The model before", "How it was made"]
    assert "0 of 20" in to_html(page)
    synthesis = found([before()])
    for table in (strategies_table, effects_table, links_table, transfer_table, failures_table):
        assert table(synthesis).rows == ()


def test_a_part_of_the_trainings_is_told_as_a_part() -> None:
    page = page_of(found([before(), after(OWN[0])]))
    assert page.lead.startswith("1 of 20 trainings have ended;")
    titles = [section.title for section in page.sections]
    assert "Transfer" not in titles
    assert "What each choice does" not in titles  # of one strategy, no level is compared


def renamed(one: RunResult) -> RunResult:
    """The same, with a name that wants to be markup wherever there is a name."""
    if one.name == "before":
        return one
    return replace(
        one,
        name=f"{one.name} {EVIL}",
        configuration=f"{one.configuration} {EVIL}",
        trained=f"{one.trained} {EVIL}",
        holding=f"{one.holding} {EVIL}",
        alignment=one.alignment if one.transfer else f"{one.alignment} {EVIL}",
        failure=one.failure and f"{one.failure} {EVIL}",
    )


def test_the_page_runs_and_loads_nothing_foreign(tmp_path: Path) -> None:
    levels = tuple(replace(one, name=f"{one.label} {EVIL}") for one in STUDY.trained)
    study = replace(STUDY, trained=levels, transfer=None)
    synthesis = synthesised(study, [renamed(one) for one in everything()], HALVES, len(CELLS))
    written = write_page(page_of(synthesis, EVIL), tmp_path / "report.html")
    text = written.read_text(encoding="utf-8")
    assert EVIL not in text
    loads = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)|@import""", text)
    assert loads
    assert all((a or b).startswith(("#", "data:image/png;base64,")) for a, b in loads)
    assert list(tmp_path.iterdir()) == [written]
    with opened(written) as (page, complaints):
        assert complaints == []
        assert page.locator("script").count() == 1
        assert EVIL in page.locator("h1").text_content()  # type: ignore[operator]
        assert f"projector {EVIL}" in page.locator("td").all_text_contents()
        drawn = page.locator("svg text").all_text_contents()
        assert any(f"projector {EVIL}"[:43] in label for label in drawn)
        assert any(f"holding: ewc {EVIL}" == label for label in drawn)
