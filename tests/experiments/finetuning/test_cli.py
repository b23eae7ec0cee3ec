"""The command that runs a study of fine-tuning, alone and in processes that train together."""

import json
from pathlib import Path

import pytest
import tomli_w
from tests.datasets.layouts import audioset, edansa
from tests.experiments.finetuning.tiny_study import config, model
from tests.finetuning.together import run_together
from tests.processes import run_cli

from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import SHIPPED
from audioprobe.experiments.finetuning.build import materials_of
from audioprobe.experiments.finetuning.config import StudyConfig, read_study
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.io.config import parse_config, read_toml


def written(folder: Path, **changed: object) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tomli_w.dumps({**config(folder), **changed}), encoding="utf-8")
    return path


def test_a_dry_run_lists_every_training(tmp_path: Path) -> None:
    done = run_cli("run", str(written(tmp_path, seeds=[0, 1])), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "taught: 8 clips of 8 labels" in done.stdout
    assert "all+llm--none--none (2 seeds)" in done.stdout
    assert "transfer--words (2 seeds)" in done.stdout
    assert "16 trainings" in done.stdout


def test_a_run_leaves_tables_and_a_page(tmp_path: Path) -> None:
    small = {"holding": [{}], "alignment": [{}], "trained": config(tmp_path / "x")["trained"][:1]}  # type: ignore[index]
    path = written(tmp_path, **small)
    folder = tmp_path / "run"
    done = run_cli("run", str(path), "--out", str(folder), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "Does sound stay behind words" in done.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "projector+lora--none--none" in page or "projector+lora" in page
    assert "Transfer" in page
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("**What is gained")
    assert (folder / "strategies.tex").is_file()
    _reported_alike(folder, tmp_path)
    refused = run_cli("run", str(path), "--out", str(folder), "--on", "ray")
    assert refused.returncode != 0
    assert "leave out --on" in refused.stderr


def _reported_alike(folder: Path, home: Path) -> None:
    """The report of a run, computed elsewhere from what it keeps, is the same to the byte."""
    moved, out = home / "moved", home / "again" / "here"
    (moved / "cells").mkdir(parents=True)
    for name in ("config.toml", "manifest.json", *(f.name for f in (folder / "cells").iterdir())):
        place = "cells" if (folder / "cells" / name).is_file() else ""
        (moved / place / name).write_bytes((folder / place / name).read_bytes())
    done = run_cli("report", str(moved), "--out", str(out), "--name", "tiny")
    assert done.returncode == 0, done.stderr
    assert "Does sound stay behind words" in done.stdout
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "summary.md", "strategies.tex"} <= names
    for name in names:
        assert (out / name).read_bytes() == (folder / name).read_bytes(), name
    assert {path.name for path in moved.iterdir()} == {"cells", "config.toml", "manifest.json"}


def test_a_report_of_no_study_is_refused(tmp_path: Path) -> None:
    done = run_cli("report", str(tmp_path))
    assert done.returncode != 0
    assert "not the folder of a run" in done.stderr


def test_two_processes_train_together_and_the_first_measures(tmp_path: Path) -> None:
    """As `accelerate launch` starts them."""
    few = config(tmp_path / "x")
    trained = few["trained"][:1]  # type: ignore[index]
    path = written(tmp_path, holding=[{}], alignment=[{}], trained=trained, clips=1)
    folder = tmp_path / "run"
    command = ("-m", "audioprobe", "run", str(path), "--out", str(folder), "--workers", "1")
    told = run_together(*command)
    assert sum("everything is in" in text for text in told) == 1
    cells = {file.stem: json.loads(file.read_text()) for file in (folder / "cells").glob("*.json")}
    assert len(cells) == 6  # before, one strategy, four ways to teach
    first = cells["projector+lora--none--none--0"]
    assert first["measured"]["probe"]
    assert not first["failure"]
    assert len(first["losses"]) == 2
    refused = tmp_path / "refused"
    with pytest.raises(AssertionError, match="2 processes train together: give one worker"):
        run_together("-m", "audioprobe", "run", str(path), "--out", str(refused), "--workers", "2")


def test_the_study_of_larger_models_reads_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EDANSA and AudioSet in the layouts that they are published in, with a few clips each."""
    monkeypatch.chdir(tmp_path)
    edansa(tmp_path / "data" / "EDANSA-2019", per_split=500)
    folder = tmp_path / "data" / "audioset"
    folder.mkdir(parents=True)
    audioset(folder)
    study = read_study("finetuning-edansa")
    assert len({cell.trained for cell in training_runs(study)}) == 5
    text = read_toml(SHIPPED / "finetuning-edansa.toml")
    del text["transfer"]  # a few clips are too few kinds of concepts
    for name in ("earlier", "rehearsed"):
        text[name] = {
            "dataset": {"name": "recordings"},
            "half": {"earlier": "first"}.get(name, "second"),
        }
    text["outside"] = text["earlier"]
    made = materials_of(parse_config(StudyConfig, text, "edansa"))
    assert {"bird"} < {label for clip in made.clips["taught"] for label in clip.labels or ()}
    assert made.probe.questions


def test_a_model_that_is_no_ltu_is_refused(tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    path = written(tmp_path, model={"name": str(strange)})
    done = run_cli("run", str(path), "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "no converted LTU" in done.stderr


def test_a_base_of_other_sizes_is_refused(tmp_path: Path) -> None:
    name, _ = model(tmp_path / "one")
    path = written(
        tmp_path, model={"name": str(name), "base": "HuggingFaceTB/SmolLM2-135M-Instruct"}
    )
    done = run_cli("run", str(path), "--out", str(tmp_path / "run"))
    assert done.returncode != 0
    assert "not the base of tiny: hidden_size 576 instead of" in done.stderr
    with pytest.raises(InvalidInputError, match="neither a file nor one of"):
        read_study("finetuning-stduy")
