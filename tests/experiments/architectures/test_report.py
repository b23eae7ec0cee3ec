"""Tables, report and files of a study of architectures show the numbers of its analysis."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.browser import check_page, draw_charts, opened
from tests.experiments.architectures.arm_results import (
    complete,
    config,
    record,
    relation,
    result,
    scene,
    trial,
    typical,
)

from audioprobe.experiments.architectures.analysis import ArchitecturesSummary, summarize
from audioprobe.experiments.architectures.items import QuestionGroup
from audioprobe.experiments.architectures.location import LOCATIONS
from audioprobe.experiments.architectures.outputs import write_outputs
from audioprobe.experiments.architectures.report import build_report
from audioprobe.experiments.architectures.run_tables import costs_of
from audioprobe.experiments.architectures.storage import ArchitecturesRecord
from audioprobe.experiments.architectures.tables import all_tables, without_counts
from audioprobe.io.data_table import DataTable
from audioprobe.io.parquet import read_parquet
from audioprobe.io.text_table import Table
from audioprobe.reports.charts import Chart
from audioprobe.reports.html import to_html, write_page

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def summary() -> ArchitecturesSummary:
    return summarize(complete())


@pytest.fixture(scope="module")
def tables(summary: ArchitecturesSummary) -> dict[str, Table]:
    return all_tables(summary)


def rows_of(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_primary_table_shows_values_and_corrected_differences(
    summary: ArchitecturesSummary, tables: dict[str, Table]
) -> None:
    rows = {row["arm"]: row for row in rows_of(tables["Primary"])}
    assert list(rows) == ["linear", "mlp", "controller", "cascade", "blind", "true-tags"]
    assert rows["linear"]["minus linear"] == "–"
    for name, row in rows.items():
        mean, difference = summary.primary(name), summary.difference(name)
        assert row["accuracy in audio, held-out relations"] == without_counts(mean.estimate)
        assert (row["questions"], row["seeds"]) == ("64", "2 of 2")
        if difference is not None:
            assert row["minus linear"] == without_counts(difference.mean.estimate)
            assert float(row["p (Holm), arms"]) == pytest.approx(difference.corrected, rel=0.01)


def test_accuracy_table_has_every_group_of_questions(
    summary: ArchitecturesSummary, tables: dict[str, Table]
) -> None:
    rows = rows_of(tables["Accuracy"])
    assert len(rows) == len(summary.accuracies) == 6 * 19
    row = next(r for r in rows if r["clips"] == "recordings" and r["relations"] == "held out")
    mean = summary.accuracies["linear", QuestionGroup("held_out", "audio", "recordings")]
    assert row["balanced accuracy"] == without_counts(mean.estimate)
    assert row["each seed"] == ", ".join(f"{value:.3f}" for value in mean.by_seed.values())


def test_gap_table_has_the_parts(summary: ArchitecturesSummary, tables: dict[str, Table]) -> None:
    row = rows_of(tables["Gap"])[3]
    assert (row["arm"], row["relations"]) == ("linear", "all relations")
    for part in ("perception", "reasoning", "unknown"):
        assert row[part] == without_counts(summary.gaps["linear", "relations", part].estimate)


def test_scene_table_shows_chance(tables: dict[str, Table]) -> None:
    rows = rows_of(tables["Scenes"])
    assert {row["chance"] for row in rows if row["task"] == "number"} == {"0.333"}
    assert {row["chance"] for row in rows if row["task"] == "order"} == {f"{5 / 12:.3f}"}
    assert {row["most frequent answer"] for row in rows} == {"1.000"}  # the first is always right


def test_tools_table_counts_failures_as_wrong(tables: dict[str, Table]) -> None:
    rows = {row["planned tool"]: row for row in rows_of(tables["Tools"])}
    assert rows["all"]["plan right"].startswith("0.750")
    assert rows["all"]["accuracy, invalid as wrong"].startswith("0.250")
    assert rows["count"]["accuracy, invalid as wrong"] == "–"
    assert (rows["all"]["questions"], rows["all"]["failed"]) == ("8", "0")


def test_failures_are_counted_by_cause() -> None:
    trials = [trial(relation("crow", "held_out"), "crow scene", failure="no audio")] * 2
    run = result(trials=trials, scenes=[scene(0, failure="no answer")])
    tables = all_tables(summarize(record([run], config())))
    assert tables["Failures"].rows == (
        ("linear", "no audio", "2"),
        ("linear", "no answer", "1"),
    )
    (row,) = rows_of(tables["Primary"])
    assert row["accuracy in audio, held-out relations"] == "undefined"
    assert (row["questions"], row["invalid"], row["failed"]) == ("2", "0", "2")
    assert len(tables["Missing"].rows) == 11


def test_costs_are_relative_to_the_first_arm() -> None:
    cost = result().cost
    runs = [
        result("linear", n_steps=100, n_questions=1000),
        result(
            "mlp",
            n_steps=50,
            n_questions=500,
            cost=replace(cost, flops=3 * cost.flops),
            seconds_per_step=6.0,
        ),
    ]
    study = record(runs, config())
    costs = costs_of(study, "mlp")
    assert (costs.relative_flops, costs.seconds) == (1.5, 300.0)
    assert costs.training_flops == 2 * 500 * 3 * cost.flops
    rows = rows_of(all_tables(summarize(study))["Costs"])
    assert [row["training FLOPs relative to linear"] for row in rows] == ["1.00", "1.50"]
    alone = record(runs[1:], config())
    assert costs_of(alone, "mlp").relative_flops is None


def test_rates_show_the_chosen_factor_and_divergence(tables: dict[str, Table]) -> None:
    rows = rows_of(tables["Rates"])
    assert [row["arm"] for row in rows] == ["linear"] * 3 + ["mlp"] * 3
    losses = [row["validation loss, nats per token"] for row in rows[:3]]
    assert losses == ["1.5000", "1.2500", "diverged"]
    assert [row["chosen"] for row in rows[:3]] == ["no", "yes", "no"]


def located() -> ArchitecturesRecord:
    """Return a study in which one arm has a codebook, and the stages of one set of clips."""
    book = {"n_codes": 8.0, "in use": 6.0, "perplexity": 4.5, "explained variance": None}
    location = {
        "group": "recordings",
        "answers": "all",
        "n_concepts": 7,
        "lost": "nowhere",
        "difference": 0.4,
        "low": 0.3,
        "high": 0.5,
    }
    depths = {"depth": 0.5, "depth_low": 0.25, "depth_high": 0.75}
    rows = [
        {**location, "stage": "encoder", "presence": "yes", **dict.fromkeys(depths)},
        {**location, "stage": "audio", "presence": "no", **depths},
    ]
    table = DataTable({name: [row[name] for row in rows] for name in rows[0]})
    runs = [typical("linear", 0, 0.8, codebook=book), typical("mlp", 0, 0.8)]
    return replace(record(runs, config()), locations={"linear": {LOCATIONS: table}})


def test_a_learning_rate_at_the_edge_of_those_tried_is_noted(
    summary: ArchitecturesSummary,
) -> None:
    assert not any("lowest or the highest" in note for note in build_report(summary, "", ()).notes)
    runs = [result("linear", rate=3.0), result("mlp", rate=1.0)]
    notes = build_report(summarize(record(runs, config())), "", ()).notes
    assert [note for note in notes if note.endswith("a better one may exist: linear.")]


def test_codes_and_locations_are_shown_where_they_exist(tmp_path: Path) -> None:
    tables = write_outputs(located(), tmp_path, "tiny")
    assert tables["Codes"].rows == (("linear", "8", "6", "4.5", "–"),)
    (row,) = rows_of(tables["Locations"])
    assert (row["encoder"], row["audio"]) == (
        "yes 0.40 [0.30, 0.50]",
        "no from depth 0.50 [0.25, 0.75]",
    )
    assert (row["last"], row["lost"]) == ("–", "nowhere")
    stored = read_parquet(tmp_path / "locations.parquet")
    assert [(r["arm"], r["stage"]) for r in stored] == [("linear", "encoder"), ("linear", "audio")]
    sections = {s.title: s.items for s in build_report(summarize(located()), "tiny", ()).sections}
    chart, _ = sections["Where concepts are lost"]
    assert isinstance(chart, Chart)
    assert chart.table.rows == (
        ("linear, recordings", "0.400 [0.300, 0.500]", "–", "0.400 [0.300, 0.500]", "–"),
    )


def test_report_has_sections_for_results_only(summary: ArchitecturesSummary) -> None:
    titles = [section.title for section in build_report(summary, "tiny", ()).sections]
    assert "Tools" in titles
    assert "Where concepts are lost" not in titles
    partial = summarize(record([typical("mlp", 1, 0.8)], config()))
    page = build_report(partial, "tiny", ())
    assert page.notes[0] == "11 runs have no result; see “Failures and missing runs”."
    assert "(n - 1) / n of the variance" in page.notes[1]
    shown = [section.title for section in page.sections]
    assert "Agreement with the cascade" not in shown
    assert "Failures and missing runs" in shown


def test_report_of_a_run_without_questions_is_written() -> None:
    empty = summarize(record([result("cascade", rate_losses={}, losses=())], config()))
    assert "undefined" in to_html(build_report(empty, "empty", ()))


def test_untrusted_text_is_escaped() -> None:
    trials = [trial(relation("crow", "held_out"), "crow scene", failure=EVIL)]
    study = record([result(trials=trials)], config())
    page = to_html(build_report(summarize(study), EVIL, ()))
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page


def test_all_files_are_written_and_agree(tmp_path: Path, summary: ArchitecturesSummary) -> None:
    tables = write_outputs(summary.record, tmp_path, "tiny")
    text = (tmp_path / "summary.md").read_text("utf-8")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == list(tables)
    assert {f"{title.lower()}.tex" for title in tables} <= {p.name for p in tmp_path.iterdir()}
    trials = read_parquet(tmp_path / "trials.parquet")
    runs = summary.record.results.values()
    assert len(trials) == sum(len(run.trials) for run in runs)
    assert {row["role"] for row in trials if row["relation"] == "identity"} == {None}
    held_out = [r for r in trials if r["role"] == "held_out" and r["condition"] == "audio"]
    assert {row["set"] for row in held_out} == {"synthesised clips", "recordings"}
    scenes = read_parquet(tmp_path / "scenes.parquet")
    assert len(scenes) == sum(len(run.scenes) for run in runs)
    results = read_parquet(tmp_path / "results.parquet")
    row = next(r for r in results if r["arm"] == "mlp" and r["minus"] == "linear")
    difference = summary.difference("mlp")
    assert difference is not None
    assert (row["value"], row["p_holm"]) == (0.0, difference.corrected)
    assert row["each_seed"] == list(difference.mean.by_seed.values())
    html = (tmp_path / "report.html").read_text("utf-8")
    assert all(f"{title.lower()}.tex" in html for title in tables)


@pytest.mark.slow
def test_the_page_is_accessible_and_draws_all_charts(
    tmp_path: Path, summary: ArchitecturesSummary
) -> None:
    page = build_report(summary, "tiny", ())
    path = write_page(page, tmp_path / "report.html")
    check_page(path)
    with opened(path) as (shown, complaints):
        assert draw_charts(shown) == sum(isinstance(item, Chart) for item in page.items)
        assert complaints == []
