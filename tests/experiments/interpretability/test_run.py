"""A whole study of tiny random models: run, resume, report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from pyarrow import parquet
from tests.browser import draw_charts, opened
from tests.experiments.interpretability.tiny_interpretability import SITES, parsed, settings
from tests.processes import run_cli

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.experiments.interpretability.measurement_jobs import ACTIVATIONS
from audioprobe.experiments.interpretability.measurements import MEASUREMENTS
from audioprobe.experiments.interpretability.outputs import write_outputs
from audioprobe.experiments.interpretability.representations import LINEAR, SIMILARITY, TRANSFER
from audioprobe.experiments.interpretability.run import InterpretabilityRun
from audioprobe.experiments.interpretability.storage import (
    InterpretabilityRecord,
    measurement_folder,
    read_record,
)
from audioprobe.experiments.interpretability.trial_probes import (
    AT_AUDIO,
    AT_LAST,
    STAGES,
    TEXT_AT_LAST,
)
from audioprobe.interpretability.probe_curve import RANDOMIZED
from audioprobe.progress import ProgressEvent


def run(
    folder: Path, tables: dict[str, object], out: Path
) -> tuple[InterpretabilityRecord, list[ProgressEvent], list[str]]:
    """Run a study; return its record, all progress events and all notices."""
    events: list[ProgressEvent] = []
    notices: list[str] = []
    prepared = InterpretabilityRun(parsed(tables), tomli_w.dumps(tables))
    record = prepared(out, events.append, notify=notices.append)
    return record, events, notices


@pytest.mark.parametrize("kind", ["ltu", pytest.param("qwen2-audio", marks=pytest.mark.slow)])
def test_a_study_measures_stores_resumes_and_reports(kind: str, tmp_path: Path) -> None:
    tables, out = settings(tmp_path, kind), tmp_path / "run"
    record, _, _ = run(tmp_path, tables, out)
    check_trials(record, kind)
    check_tables(record, kind)
    files = results(out)
    shutil.rmtree(measurement_folder(out, SIMILARITY))
    again, events, notices = run(tmp_path, tables, out)
    assert results(out) == files  # the measurement that was missing, and nothing else, was made
    assert {event.stage.partition(":")[0] for event in events} <= {"known", "new", SIMILARITY}
    assert any("0 were sent" in notice for notice in notices)
    assert again.trials == record.trials
    shutil.rmtree(out / ACTIVATIONS)  # reports need stored numbers only
    page = tmp_path / "page"
    page.mkdir()
    written = write_outputs(read_record(out), page, "tiny")
    assert list(written)[:3] == ["Conclusions", "Evidence", "Answers"]
    trials = parquet.read_table(page / "trials.parquet").to_pylist()
    assert [row["item"] for row in trials] == [trial.id for trial in record.trials.trials]
    assert len({row["item"] for row in trials}) == len(trials)
    check_page(page / "report.html")


def check_trials(record: InterpretabilityRecord, kind: str) -> None:
    trials = record.trials.trials
    assert {trial.evaluation_set for trial in trials} == {"known", "new"}
    assert {trial.familiar for trial in trials} == {True, False}
    known = {"audio_and_text", "text_only", "held_out"} if kind == "ltu" else set()
    assert {trial.role for trial in trials} - {"unknown"} <= known
    for trial in trials:
        assert trial.text.question.key == trial.audio.question.key
        assert trial.text.question.text.count(trial.text.question.pair.phrase) == 1
        assert len(trial.audio.log_likelihoods) == 2


def check_tables(record: InterpretabilityRecord, kind: str) -> None:
    linear = record.tables[LINEAR].columns
    stages = {pattern.partition(".")[0] for pattern in SITES[kind]}
    assert {str(site).partition(".")[0] for site in linear["site"]} == stages
    rows = set(zip(linear["group"], linear["modality"], linear["label"], strict=True))
    assert {("all", "audio", "class"), ("all", "text", "answer")} <= rows
    n_clips = len({trial.clip for trial in record.trials.trials})
    for n, label in enumerate(linear["label"]):
        total = linear["n_items"][n], linear["n_missing"][n], linear["n_left_out"][n]
        if label == "class" and (linear["group"][n], linear["modality"][n]) == ("all", "audio"):
            assert sum(map(int, map(str, total))) == n_clips
        assert linear["auc"][n] is not None or linear["method"][n]
    assert set(record.tables[TRANSFER].columns["train"]) == {"text", "audio"}
    assert {*record.results, *record.failures} == set(MEASUREMENTS)
    assert set(record.failures) <= {STAGES}  # the study may have too few concepts
    if STAGES in record.results:
        for name in (AT_AUDIO, AT_LAST, TEXT_AT_LAST):
            assert RANDOMIZED in record.curves[name].controls


def check_page(path: Path) -> None:
    with opened(path) as (page, complaints):
        headings = page.locator("h2").all_text_contents()
        assert {"Mechanisms", "Answers", "Linear probe", "Transfer probe"} <= set(headings)
        assert page.locator(".findings li").count() == 3
        assert draw_charts(page) >= 6
        assert complaints == []


def results(out: Path) -> dict[str, object]:
    """Return the content of all results, without times."""
    contents: dict[str, object] = {}
    for path in sorted((out / "results").rglob("*")):
        if path.name == "curves.json":
            content = json.loads(path.read_text())
            del content["provenance"]["start"]
            contents[str(path.relative_to(out))] = content
        elif path.is_file() and not path.name.startswith("answers--"):
            contents[str(path.relative_to(out))] = path.read_bytes()
    return contents


def test_measurements_can_be_added_but_questions_cannot_change(tmp_path: Path) -> None:
    tables, out = settings(tmp_path, max_pairs=3), tmp_path / "run"
    first, _, _ = run(tmp_path, tables | {"measurements": [SIMILARITY]}, out)
    assert list(first.results) == [SIMILARITY]
    second, _, _ = run(tmp_path, tables | {"measurements": [SIMILARITY, LINEAR]}, out)
    assert list(second.results) == [SIMILARITY, LINEAR]
    np.testing.assert_equal(
        dict(second.tables[SIMILARITY].columns), dict(first.tables[SIMILARITY].columns)
    )
    with pytest.raises(InvalidInputError, match="another configuration"):
        run(tmp_path, tables | {"max_pairs": 2}, out)


def test_a_measurement_that_cannot_be_made_does_not_stop_the_others(tmp_path: Path) -> None:
    tables = settings(tmp_path, measurements=[LINEAR, SIMILARITY], max_pairs=3)
    out = tmp_path / "run"
    tables["options"]["sites"] = ["lm.resid.*"]
    (out / ACTIVATIONS / "states-text").mkdir(parents=True)
    (out / ACTIVATIONS / "states-text" / "recording.json").write_text("{}")  # damaged
    record, _, notices = run(tmp_path, tables, out)
    assert set(record.failures) == {LINEAR, SIMILARITY}
    assert "recording.json" in record.failures[LINEAR]
    assert sum("has no result" in notice for notice in notices) == 2
    shutil.rmtree(out / ACTIVATIONS)
    record, _, _ = run(tmp_path, tables, out)
    assert list(record.results) == [LINEAR, SIMILARITY]
    assert not record.failures


def test_models_without_accessible_activations_are_refused(tmp_path: Path) -> None:
    tables = settings(tmp_path) | {"model": {"name": "scripted:Yes."}}
    with pytest.raises(UnsupportedInputError, match="activations are accessible"):
        run(tmp_path, tables, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_command_shows_questions_and_duration_and_reports_again(tmp_path: Path) -> None:
    path, out = tmp_path / "tiny.toml", tmp_path / "run"
    path.write_text(tomli_w.dumps(settings(tmp_path, max_pairs=2, measurements=[SIMILARITY])))
    shown = run_cli("run", str(path), "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "trained in audio and text: 2" in shown.stdout
    assert "forward passes over one prompt" in shown.stdout
    assert "hours at 0.2 s per prompt" in shown.stdout
    done = run_cli("run", str(path), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "Unfamiliar sound" in done.stdout
    again = run_cli("report", str(out), "--out", str(tmp_path / "again"), "--name", "tiny")
    assert again.returncode == 0, again.stderr
    for name in ("summary.md", "trials.parquet", "similarity.parquet", "report.html"):
        old, new = ((folder / name).read_bytes() for folder in (out, tmp_path / "again"))
        assert old == new, name
    shutil.rmtree(out / "results")
    refused = run_cli("report", str(out))
    assert refused.returncode == 2
    assert "Continue with" in refused.stderr
