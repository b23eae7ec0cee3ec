"""Tables, conclusions and page of a study show the numbers of its analysis."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.browser import check_page, draw_charts, opened
from tests.experiments.finetuning.study_records import (
    CAUSE,
    FAILED,
    RUNS,
    STRATEGY_RUNS,
    STUDY,
    before,
    complete,
    record,
    result,
    typical,
)

from audioprobe.experiments.finetuning.analysis import StudySummary, summarize
from audioprobe.experiments.finetuning.comparison import MEASURES, PairedDifference
from audioprobe.experiments.finetuning.conclusions import (
    NO_DATA,
    conclusions_table,
    significance_table,
)
from audioprobe.experiments.finetuning.findings import study_facts, study_provenance
from audioprobe.experiments.finetuning.report import build_report
from audioprobe.experiments.finetuning.samples import study_browser
from audioprobe.experiments.finetuning.storage import RunResult
from audioprobe.experiments.finetuning.tables import (
    ablations_table,
    before_table,
    correlations_table,
    drift_table,
    effects_table,
    failures_table,
    generalization_table,
    headline,
    progress_text,
    seeds_table,
    settings_table,
    strategies_table,
    transfer_table,
)
from audioprobe.io.text_table import Table
from audioprobe.reports.charts import Chart
from audioprobe.reports.html import to_html, write_page
from audioprobe.types import Estimate

FILES = ("measurements.parquet", "summary.md")
EVIL = "<script>alert(1)</script>$x^2$"
UP, DOWN, UNCLEAR = (
    Estimate(value=value, n=10, low=value - 0.1, high=value + 0.1) for value in (0.3, -0.3, 0.05)
)


@pytest.fixture(scope="module")
def summary() -> StudySummary:
    return summarize(complete())


def rows_of(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def unsigned(text: str) -> str:
    return text.removeprefix("+")


def test_strategies_table_shows_every_difference(summary: StudySummary) -> None:
    rows = rows_of(strategies_table(summary))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    for row, (strategy, changes) in zip(rows, summary.changes.items(), strict=True):
        for measure in MEASURES:
            difference = changes[measure]
            assert unsigned(row[measure]) == str(difference.estimate)
            assert row[measure].startswith("+") or (difference.estimate.value or 0) < 0
            assert float(row[f"{measure}, p"]) == pytest.approx(difference.p_value, rel=0.01)
        assert row["Pareto front"] == ("yes" if strategy in summary.front else "no")
        failed = "--".join(strategy) == FAILED.rsplit("--", 1)[0]
        assert (row["seeds"], row["failed"]) == (("1 of 2", "1") if failed else ("2 of 2", "0"))
        assert row["stopped early"] == str(int(strategy[1] == "ewc"))


def test_seeds_table_shows_failed_runs_as_missing(summary: StudySummary) -> None:
    rows = rows_of(seeds_table(summary))
    assert len(rows) == len(STRATEGY_RUNS)
    for row in rows:
        strategy = row["trainable"], row["regularization"], row["alignment"]
        for measure in MEASURES:
            value = summary.changes[strategy][measure].by_seed.get(int(row["seed"]))
            assert row[measure] == ("–" if value is None else f"{value:+.3f}")
    assert "–" in {row["in-domain AUC"] for row in rows}


def test_failed_strategy_is_undefined_and_not_zero() -> None:
    lost = STRATEGY_RUNS[1].configuration
    runs = [
        result(run, failure=CAUSE) if run.configuration == lost else typical(run)
        for run in STRATEGY_RUNS
    ]
    summary = summarize(record(runs))
    row = rows_of(strategies_table(summary))[1]
    assert {row[measure] for measure in MEASURES} == {"undefined"}
    assert {row[f"{measure}, p"] for measure in MEASURES} == {"–"}
    assert (row["seeds"], row["failed"], row["Pareto front"]) == ("0 of 2", "2", "–")
    assert set(headline(summary).rows[2][1:]) == {"undefined"}
    failed = [(run.name, CAUSE) for run in STRATEGY_RUNS if run.configuration == lost]
    assert list(failures_table(summary).rows) == failed
    assert progress_text(summary).startswith("12 of 20 training runs have finished, 2 of them fail")


def test_effects_ablations_and_correlations_are_shown(summary: StudySummary) -> None:
    effects = rows_of(effects_table(summary))
    for row, effect in zip(effects, summary.effects, strict=True):
        assert (row["measure"], row["level"]) == (effect["measure"], effect[row["factor"]])
        assert row["baseline"] == effect.baseline[row["factor"]]
        estimate = replace(effect.estimate, n_undefined=0)
        assert unsigned(row["effect"]) == str(estimate)
        if effect.corrected is None:
            assert row["p, corrected"] == "–"
        else:
            assert float(row["p, corrected"]) == pytest.approx(effect.corrected, rel=0.01)
    assert {(row["factor"], row["baseline"]) for row in effects} == {
        ("trainable", "projector"),
        ("trainable", "projector+lora"),  # of text, which the projector cannot change
        ("regularization", "none"),
        ("alignment", "none"),
    }
    ablations = rows_of(ablations_table(summary))
    assert ablations
    for row, difference in zip(ablations, summary.ablations, strict=True):
        assert row["measure"] == difference["measure"]
        assert row["level"] == difference[row["factor"]]
        assert row["baseline"] == difference.baseline[row["factor"]]
        assert unsigned(row["difference"]) == str(replace(difference.estimate, n_undefined=0))
        seeds = [f"{value:+.3f}" for value in difference.by_seed.values() if value is not None]
        assert row["each seed"] == " ".join(seeds)
    for row, correlation in zip(
        rows_of(correlations_table(summary)), summary.correlations, strict=True
    ):
        assert row["rank correlation"] == str(correlation.rho)
    drift = rows_of(drift_table(summary))
    assert drift[0]["weight change: projector"] == "0.0105"
    assert {"similarity: audio", "similarity: text"} < drift[0].keys()


def test_confounded_effect_says_why_it_is_undefined() -> None:
    same = dict(zip(STUDY.labels["regularization"], STUDY.labels["alignment"], strict=True))
    runs = [run for run in STRATEGY_RUNS if same[run.regularization] == run.alignment]
    rows = rows_of(effects_table(summarize(record([typical(run) for run in runs]))))
    texts = {row["level"]: row["effect"] for row in rows}
    assert texts["ewc"] == texts["contrastive"] == "undefined: confounded with other factors"
    assert {row["p"] for row in rows if row["effect"].startswith("undefined")} == {"–"}


def test_transfer_and_model_before_are_shown(summary: StudySummary) -> None:
    for row, (change, control) in zip(
        rows_of(transfer_table(summary)), summary.transfer, strict=True
    ):
        key = change["subset"], change["measure"]
        assert row["accuracy"] == str(summary.transfer_accuracy[change["arm"], *key])
        assert row["accuracy before"] == str(summary.transfer_accuracy["", *key])
        assert unsigned(row["change"]) == str(change.estimate)
        assert unsigned(row["minus control"]) == ("–" if control is None else str(control.estimate))
    values = [row["before fine-tuning"] for row in rows_of(before_table(summary))]
    assert values == [str(summary.before[measure]) for measure in MEASURES]
    first, *others = headline(summary).rows
    assert first[:2] == ("before", str(summary.before["in-domain AUC"]))
    assert len(others) == len(summary.strategies)


def answer(summary: StudySummary, question: str) -> str:
    (text,) = [a for q, a in conclusions_table(summary).rows if question in q]
    return text


def with_difference(
    summary: StudySummary, measure: str, estimate: Estimate, corrected: float | None = None
) -> StudySummary:
    def changed(difference: PairedDifference) -> PairedDifference:
        if difference["measure"] != measure:
            return difference
        return replace(difference, estimate=estimate, by_seed={}, corrected=corrected)

    return replace(
        summary,
        changes={
            strategy: {name: changed(d) for name, d in differences.items()}
            for strategy, differences in summary.changes.items()
        },
        ablations=tuple(map(changed, summary.ablations)),
    )


@pytest.mark.parametrize(
    ("estimate", "better", "worse"), [(UP, 6, 0), (DOWN, 0, 6), (UNCLEAR, 0, 0)]
)
def test_conclusions_count_consistent_changes(
    summary: StudySummary, estimate: Estimate, better: int, worse: int
) -> None:
    text = answer(with_difference(summary, "in-domain AUC", estimate), "gained")
    assert re.findall(r"\d+", text)[:4] == [str(better), "6", str(worse), str(6 - better - worse)]
    text = answer(with_difference(summary, "text loss", estimate), "forgetting")
    n_trained = 4  # strategies that train the language model
    expected = {UP: (n_trained, 0), DOWN: (0, n_trained), UNCLEAR: (0, 0)}[estimate]
    assert re.findall(r"\d+", text)[:3] == [str(n_trained), *map(str, expected)]


def test_conclusions_without_runs_say_so() -> None:
    assert {text for _, text in conclusions_table(summarize(record([]))).rows} == {NO_DATA}


@pytest.mark.parametrize(
    ("estimate", "corrected", "mark"),
    [(UP, 0.01, "↑"), (DOWN, 0.01, "↓"), (UP, 0.2, "n.s."), (UNCLEAR, 0.01, "n.s.")],
)
def test_significance_needs_interval_and_corrected_test(
    summary: StudySummary, estimate: Estimate, corrected: float, mark: str
) -> None:
    changed = replace(
        with_difference(summary, "text loss", estimate, corrected=corrected), effects=()
    )
    (row,) = [row for row in rows_of(significance_table(changed)) if row["level"] == "all+llm"]
    assert row["text loss"] == (mark if mark == "n.s." else f"{mark} ablation 2/2")
    assert row["baseline"] == "projector"


@pytest.mark.parametrize(
    ("corrected", "mark"), [(0.01, "↑ average"), (0.2, "n.s."), (None, "n.s.")]
)
def test_average_effects_need_a_corrected_test(
    summary: StudySummary, corrected: float | None, mark: str
) -> None:
    effect = PairedDifference(
        columns={"alignment": "contrastive", "measure": "audio accuracy"},
        baseline={"alignment": "none"},
        estimate=UP,
        p_value=corrected,
        n_runs=4,
        by_seed={},
        corrected=corrected,
    )
    changed = replace(summary, effects=(effect,), ablations=())
    (row,) = rows_of(significance_table(changed))
    assert (row["level"], row["audio accuracy"], row["in-domain AUC"]) == ("contrastive", mark, "–")
    assert ("contrastive" in answer(changed, "Which alignment")) == (mark != "n.s.")


def test_page_has_all_sections_in_order(summary: StudySummary) -> None:
    page = build_report(summary, "made up", FILES)
    assert [section.title for section in page.sections] == [
        "Conclusions",
        "Before fine-tuning",
        "Gain and forgetting",
        "Samples",
        "Changes by measure",
        "Ablations",
        "Factor effects",
        "Transfer",
        "Training",
        "Weights and representations",
        "Failed runs",
        "Provenance and files",
    ]
    assert page.findings[-1] == "20 of 20 training runs have finished, 1 of them failed."
    assert 3 <= len(page.findings) <= 5
    charts = {
        section.title: [item for item in section.items if isinstance(item, Chart)]
        for section in page.sections
    }
    assert len(charts["Changes by measure"]) == len(MEASURES)
    assert [chart.open for chart in charts["Changes by measure"]] == [True] + [False] * 6
    assert len(charts["Factor effects"]) == len(MEASURES)
    assert len(charts["Weights and representations"]) == 2
    changes, minus_control = (str(chart.spec) for chart in charts["Transfer"])
    for change, control in summary.transfer:
        assert f"'{change.estimate.value:+z.2f}'" in changes
        assert control is None or f"'{control.estimate.value:+z.2f}'" in minus_control
    assert "control: shuffled" in changes
    assert "control: shuffled" not in minus_control
    failures = next(section for section in page.sections if section.title == "Failed runs")
    assert CAUSE in to_html(replace(page, sections=[failures]))
    settings = {row["setting"]: row["value"] for row in rows_of(settings_table(summary))}
    assert settings["finished runs"] == "20 of 20"
    assert settings["hours, if runs were sequential"] == "3.18"


def test_page_of_an_incomplete_study_is_preliminary() -> None:
    summary = summarize(record([]))
    page = build_report(summary, "made up", FILES)
    assert page.findings == ["0 of 20 training runs have finished; all results are preliminary."]
    assert page.chart is None
    assert [s.title for s in page.sections] == [
        "Conclusions",
        "Before fine-tuning",
        "Samples",
        "Provenance and files",
    ]
    for table in (strategies_table, effects_table, correlations_table, transfer_table):
        assert table(summary).rows == ()
    assert generalization_table(summary).rows == failures_table(summary).rows == ()
    one_run = summarize(record([typical(STRATEGY_RUNS[0])]))
    assert progress_text(one_run).startswith("1 of 20 training runs have finished; ")
    assert not one_run.transfer
    assert not one_run.effects
    assert not one_run.ablations


def renamed(run: RunResult) -> RunResult:
    """Return the result with markup in every name."""
    return replace(
        run,
        name=f"{run.name} {EVIL}",
        trainable=f"{run.trainable} {EVIL}",
        regularization=f"{run.regularization} {EVIL}",
        alignment=f"{run.alignment} {EVIL}",
        failure=run.failure and f"{run.failure} {EVIL}",
    )


@pytest.mark.slow
def test_page_escapes_names_and_loads_nothing(tmp_path: Path) -> None:
    levels = tuple(replace(level, name=f"{level.label} {EVIL}") for level in STUDY.trainable)
    study = replace(STUDY, trainable=levels, transfer=None)
    runs = [renamed(run) for run in complete().runs]
    assert len(runs) == len(RUNS)
    summary = summarize(record(runs, first=before(), study=study))
    written = write_page(build_report(summary, EVIL, FILES), tmp_path / "report.html")
    text = written.read_text(encoding="utf-8")
    assert EVIL not in text
    with opened(written) as (page, complaints):
        draw_charts(page)
        assert complaints == []
        assert page.locator("script:not([type])").count() == 1
        loads = page.locator("[src], [href]").evaluate_all(
            "all => all.map(e => e.getAttribute('src') ?? e.getAttribute('href'))"
        )
        assert all(load.startswith(("#", "data:text/csv;")) or load in FILES for load in loads)
        assert EVIL in page.locator("h1").text_content()  # type: ignore[operator]
        assert f"projector {EVIL}" in page.locator("td").all_text_contents()
        labels = page.locator("svg text").all_text_contents()
        assert any(f"regularization: ewc {EVIL}"[:40] in label for label in labels)


@pytest.mark.slow
def test_page_is_accessible_in_all_widths(summary: StudySummary, tmp_path: Path) -> None:
    check_page(write_page(build_report(summary, "made up", FILES), tmp_path / "report.html"))


def test_samples_have_the_captions_and_answers_of_each_strategy(summary: StudySummary) -> None:
    browser = study_browser(summary.record, "measurements.parquet")
    data: Any = browser.data
    finished = [run for run in summary.record.runs if not run.failure]
    strategies = {(*run.strategy, run.arm) for run in finished}
    assert len(data["names"]) == 1 + len(strategies)
    assert data["names"][0] == "before"
    assert f"the other {len(finished) - len(strategies)} runs" in browser.notes[1]
    measured = {
        (m.measure, m.item)
        for run in (summary.record.before, *finished)
        for m in run.measurements
        if m.measure.endswith((" AUC", "accuracy"))
    }
    assert len(data["samples"]) == len(measured)
    correctness = [
        sample["answers"][0][3] for sample in data["samples"] if sample["set"] == "questions, text"
    ]
    answered = [c for c in correctness if c in ("right", "wrong")]
    share = answered.count("right") / len(answered)
    assert summary.before["text accuracy"].value == pytest.approx(share)


def test_facts_and_provenance_come_from_the_manifest() -> None:
    model = {
        "kind": "language_model",
        "name": "LTU tiny",
        "revision": "abc",
        "options": {"sha256": "0123456789abcdef" * 4},
        "parts": {},
    }
    starts = [
        {"time": "2026-11-26T02:01:21+00:00", "versions": {"numpy": "2.3.5"}},
        {"time": "2026-11-27T02:01:21+00:00", "versions": {"numpy": "2.3.6"}},
    ]
    manifest = {"pinned": {"model": model, "questions": "d1"}, "starts": starts}
    summary = summarize(replace(record([typical(STRATEGY_RUNS[0])]), manifest=manifest))
    facts = dict(study_facts(summary))
    assert facts["Model"] == "LTU tiny, revision abc, SHA-256 0123456789abcdef…"
    assert facts["Date"] == "2026-11-27 02:01:21 UTC"
    assert "4 text passages" in facts["Data"]
    rows = dict(study_provenance(summary))
    assert rows["language model: sha256"] == "0123456789abcdef" * 4
    assert (rows["first start"], rows["starts"]) == ("2026-11-26 02:01:21 UTC", "2")
    assert rows["version of numpy"] == "2.3.6"
    assert rows["questions (digest)"] == "d1"


def test_facts_of_a_study_without_a_manifest_say_unknown() -> None:
    summary = summarize(record([]))
    assert dict(study_facts(summary))["Date"] == "unknown"
    assert "language model: sha256" not in dict(study_provenance(summary))
