"""Classification runs: every part is stored, and a finished run is not repeated."""

import json
from pathlib import Path

import pytest

from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.run import ClassificationCell, ClassificationRun

CONFIG = """
kind = "classification"
seed = 3

[model]
name = "scripted:a crow and some rain"

[scorer]
name = "keyword"

[[evaluation_sets]]
name = "shipped"
dataset = { name = "recordings" }
split = "all"
max_clips = 6

[[evaluation_sets]]
name = "made"
dataset.name = "synthetic"
dataset.options = { n_clips = 5, max_sources = 1, palette = ["crow", "rain"] }
split = "test"
familiar = false

[[prompt_levels]]
prompt = "caption"

[[prompt_levels]]
prompt = "labels"
"""


def run(path: Path, folder: Path) -> list[ClassificationCell]:
    text = path.read_text()
    return ClassificationRun(read_classification(path), text)(folder)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG)
    return path


def test_every_prompt_level_is_run_on_every_clip_and_stored(config: Path, tmp_path: Path) -> None:
    cells = run(config, tmp_path / "run")
    assert [(cell.evaluation_set, cell.prompt_level, cell.familiar) for cell in cells] == [
        ("shipped", "caption", None),
        ("shipped", "labels", None),
        ("made", "caption", False),
        ("made", "labels", False),
    ]
    assert [len(cell.result.clip_ids) for cell in cells] == [6, 6, 5, 5]
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert set(manifest["starts"][0]) == {"time", "versions", "commit", "training clips"}
    assert {name: len(sounds) for name, sounds in manifest["sounds"].items()} == {
        "shipped": 6,
        "made": 5,
    }
    assert len(list((tmp_path / "run/results").glob("*.csv"))) == 4
    assert len((tmp_path / "run/responses.jsonl").read_text().splitlines()) == 22


def test_finished_run_sends_no_prompt_again(config: Path, tmp_path: Path) -> None:
    first = run(config, tmp_path / "run")
    answers = (tmp_path / "run/responses.jsonl").read_bytes()
    again = run(config, tmp_path / "run")
    assert (tmp_path / "run/responses.jsonl").read_bytes() == answers
    assert [cell.result.to_csv() for cell in again] == [cell.result.to_csv() for cell in first]
