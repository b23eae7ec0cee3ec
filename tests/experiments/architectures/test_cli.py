"""The commands `run` and `report` with a study of architectures, and a study that is killed."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.experiments.architectures.test_storage import result
from tests.experiments.architectures.tiny_architectures import (
    ARMS,
    copied,
    settings,
    study,
    without_times,
    write_recipe,
)
from tests.processes import run_cli, start_cli

from audioprobe.cli.architectures import run_architectures
from audioprobe.experiments.architectures.materials import ArmMaterials
from audioprobe.experiments.architectures.questions import evaluation_questions
from audioprobe.experiments.architectures.size import study_size
from audioprobe.experiments.architectures.storage import read_record, store_result
from audioprobe.experiments.placement import Placement

SLOW_ARMS = ("linear", "cascade", "blind")


def write_config(folder: Path, tables: dict[str, Any]) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tomli_w.dumps(tables), encoding="utf-8")
    return path


def test_dry_run_lists_arms_stages_questions_and_duration(
    tiny: ArmMaterials,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    compute = {"name": "compute", **ARMS["cross-attention"], "budget": "compute", "seeds": 1}
    tables = settings(Path(tiny.config.recipe), seeds=2, seconds_per_step=3600.0)
    tables["arms"].append(compute)
    store_result(tmp_path / "run", result("linear", 1))
    path = write_config(tmp_path, tables)
    assert run_architectures(path, tmp_path / "run", Placement(), dry_run=True) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert rows["linear"] == ["tokens", "linear", "2", "1", "2"]
    assert rows["controller"] == ["tools", "2", "2", "2"]
    assert rows["true-tags"] == ["true", "tags", "2", "2", "2"]
    assert rows["compute"] == ["tokens", "cross_attention", "1", "1", "by", "operations"]
    assert "shared stage text: 2 steps, once per seed" in shown
    assert "trials of learning rates: 6, of 1 steps each" in shown  # of three networks
    questions = evaluation_questions(tiny, 0)
    n_questions = len(questions.probe) + len(questions.scenes)
    assert f"questions per run: {n_questions}" in shown
    assert "runs: 15, of which 14 have no result" in shown
    assert "about 38 h 3 min in one process, at 3600 s per step" in shown
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["results"]


@pytest.mark.slow
def test_dry_run_needs_no_recordings(tmp_path: Path) -> None:
    scenes = {"n_train": 10, "recordings": True}
    tables = settings(write_recipe(tmp_path, scenes=scenes), recordings=str(tmp_path / "sounds"))
    done = run_cli("run", str(write_config(tmp_path, tables)), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "questions: not counted, because recordings are missing" in done.stdout
    assert "audioprobe fetch-sounds" in done.stdout
    assert "s per step, without questions" in done.stdout
    refused = run_cli("run", str(write_config(tmp_path, tables)), "--out", str(tmp_path / "run"))
    assert refused.returncode == 2
    assert "fetch-sounds" in refused.stderr


def test_duration_counts_what_is_missing(tiny: ArmMaterials, tmp_path: Path) -> None:
    tables = settings(Path(tiny.config.recipe), "linear", "blind", seeds=2)
    tables |= {"seconds_per_step": 10.0, "seconds_per_question": 1e-9}
    size = study_size(study(tables), tmp_path)
    assert (size.n_steps, dict(size.shared_steps), size.n_trials) == (2, {"text": 2}, 2)
    assert size.seconds == pytest.approx(10 * (2 * 2 + 4 * 2 + 2 * 1))
    store_result(tmp_path, result("linear", 0))
    store_result(tmp_path, result("linear", 1))
    size = study_size(study(tables), tmp_path)
    assert (dict(size.remaining), size.n_trials) == ({"blind": 2}, 0)
    assert size.seconds == pytest.approx(10 * (2 * 2 + 2 * 2))


def stop_when(process: subprocess.Popen[str], path: Path, number: signal.Signals) -> None:
    """Send a signal to a study as soon as a file exists, and wait for its end."""
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0


@pytest.mark.slow
def test_a_study_that_is_killed_continues_with_the_same_results(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    tables = settings(Path(tiny.config.recipe), *SLOW_ARMS)
    path, folder = write_config(tmp_path, tables), copied(tiny, tmp_path / "run")
    command = ("run", str(path), "--out", str(folder), "--workers", "2")
    training = folder / "training"
    for file, number in (
        (training / "shared-0/text/state.pt", signal.SIGKILL),
        (folder / "rate-trials/linear-0-1/audio", signal.SIGKILL),
        (training / "cascade-0/audio/state.pt", signal.SIGINT),
        (folder / "results", signal.SIGKILL),
    ):
        stop_when(start_cli(*command, cwd=tmp_path), file, number)
    stored = {path: path.read_bytes() for path in (folder / "results").glob("*.json*")}
    record = study(tables)(folder, placement=Placement(2))
    assert record.missing == []
    assert all(path.read_bytes() == content for path, content in stored.items())
    alone = study(tables)(copied(tiny, tmp_path / "alone"))
    for run, expected in alone.results.items():
        assert without_times(record.results[run]) == without_times(expected)
    assert read_record(folder).results == record.results


@pytest.mark.slow
def test_run_writes_the_report_and_report_writes_it_again(
    tiny: ArmMaterials, tmp_path: Path
) -> None:
    rates = {"factors": [1.0], "steps": 1, "n_scenes": 3}
    path = write_config(tmp_path, settings(Path(tiny.config.recipe), *SLOW_ARMS, rates=rates))
    folder = copied(tiny, tmp_path / "run")
    done = run_cli("run", str(path), "--out", str(folder), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    (folder / "results" / "blind-0.json.gz").unlink()
    again = run_cli("report", str(folder), "--out", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    assert "runs without a result: blind (seed 0)" in again.stdout
    assert (tmp_path / "again" / "report.html").is_file()
