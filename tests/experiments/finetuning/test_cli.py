"""The commands `run` and `report` with a fine-tuning study, in one and in two processes."""

import json
from pathlib import Path

import pytest
import tomli_w
from tests.datasets.layouts import audioset, edansa
from tests.experiments.finetuning.tiny_study import config
from tests.finetuning.together import run_together
from tests.processes import run_cli

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.components import SHIPPED_CONFIGS
from audioprobe.experiments.finetuning.build import build_materials
from audioprobe.experiments.finetuning.config import StudyConfig, read_study
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.io.config import parse_config, read_toml

ONE_LEVEL = {
    "trainable": [{"modules": "projector+lora", "learning_rate": 1e-3}],
    "regularization": [{}],
    "alignment": [{}],
}
QUESTION = "Is audio accuracy below text accuracy"


def write_config(folder: Path, **changes: object) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tomli_w.dumps({**config(folder), **changes}), encoding="utf-8")
    return path


def test_dry_run_lists_every_run(tmp_path: Path) -> None:
    done = run_cli("run", str(write_config(tmp_path, seeds=[0, 1])), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "train: 8 clips of 8 labels" in done.stdout
    assert "all+llm--none--none (2 seeds)" in done.stdout
    assert "transfer--text (2 seeds)" in done.stdout
    assert "16 training runs" in done.stdout


@pytest.mark.slow
def test_run_writes_tables_and_report(tmp_path: Path) -> None:
    path, folder = write_config(tmp_path, **ONE_LEVEL), tmp_path / "run"
    done = run_cli("run", str(path), "--out", str(folder), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert QUESTION in done.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "projector+lora" in page
    assert "Transfer" in page
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("## Conclusions")
    check_report_from_stored_results(folder, tmp_path)


def check_report_from_stored_results(folder: Path, home: Path) -> None:
    """The report of a copy of the results is the same to the byte."""
    copy, out = home / "copy", home / "again" / "here"
    (copy / "runs").mkdir(parents=True)
    stored = ["config.toml", "manifest.json"]
    stored += [f"runs/{path.name}" for path in (folder / "runs").iterdir()]
    for name in stored:
        (copy / name).write_bytes((folder / name).read_bytes())
    done = run_cli("report", str(copy), "--out", str(out), "--name", "tiny")
    assert done.returncode == 0, done.stderr
    assert QUESTION in done.stdout
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "summary.md", "strategies.tex"} <= names
    for name in names:
        assert (out / name).read_bytes() == (folder / name).read_bytes(), name
    assert {path.name for path in copy.iterdir()} == {"runs", "config.toml", "manifest.json"}


def test_report_of_another_folder_is_refused(tmp_path: Path) -> None:
    done = run_cli("report", str(tmp_path))
    assert done.returncode != 0
    assert str(tmp_path) in done.stderr


@pytest.mark.slow
def test_two_processes_train_together_and_the_first_evaluates(tmp_path: Path) -> None:
    """As `accelerate launch` starts them; the second is late for the first result."""
    path = write_config(tmp_path, **ONE_LEVEL, clips_per_step=1)
    folder = tmp_path / "run"
    late = ("-m", "tests.experiments.finetuning.late_process")
    outputs = run_together(*late, "run", str(path), "--out", str(folder), "--workers", "1")
    assert sum("All results are in" in text for text in outputs) == 1
    runs = {path.stem: json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")}
    assert len(runs) == 6  # before, one strategy, four arms
    first = runs["projector+lora--none--none--0"]
    assert not first["failure"]
    assert sum(m["measure"] == "training loss" for m in first["measurements"]) == 2
    refused = tmp_path / "refused"
    with pytest.raises(AssertionError, match="2 processes train together"):
        run_together("-m", "audioprobe", "run", str(path), "--out", str(refused), "--workers", "2")


def test_study_of_larger_models_reads_published_layouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EDANSA and AudioSet with a few clips each."""
    monkeypatch.chdir(tmp_path)
    edansa(tmp_path / "data" / "EDANSA-2019", per_split=500)
    folder = tmp_path / "data" / "audioset"
    folder.mkdir(parents=True)
    audioset(folder)
    study = read_study("finetuning-edansa")
    assert len({run.trainable for run in training_runs(study)}) == 5
    tables = read_toml(SHIPPED_CONFIGS / "finetuning-edansa.toml")
    del tables["transfer"]  # a few clips have too few kinds of concepts
    recordings = {"dataset": {"name": "recordings"}}
    tables |= {
        "pretraining_domain": {**recordings, "half": "first"},
        "rehearsal": {**recordings, "half": "second"},
        "out_of_domain": {**recordings, "half": "first"},
    }
    materials = build_materials(parse_config(StudyConfig, tables, "edansa"))
    assert "bird" in {label for clip in materials.clips["train"] for label in clip.labels or ()}
    assert materials.probe.questions


def test_model_other_than_an_ltu_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    path = write_config(tmp_path, model={"name": str(tmp_path / "other")})
    done = run_cli("run", str(path), "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "needs an LTU" in done.stderr


def test_base_of_another_size_is_refused(tmp_path: Path) -> None:
    tables = config(tmp_path)
    name = tables["model"]["name"]  # type: ignore[index]
    tables["model"] = {"name": name, "base": "HuggingFaceTB/SmolLM2-135M-Instruct"}
    path = tmp_path / "tiny.toml"
    path.write_text(tomli_w.dumps(tables), encoding="utf-8")
    done = run_cli("run", str(path), "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "hidden_size 576" in done.stderr
    with pytest.raises(InvalidInputError, match="finetuning-stduy"):
        read_study("finetuning-stduy")
