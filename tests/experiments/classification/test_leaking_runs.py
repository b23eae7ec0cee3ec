"""A run refuses splits that know of each other, and labels that are none of its data."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.datasets.layouts import table

from audioprobe.datasets.recordings import FOLDER
from audioprobe.errors import InvalidInputError
from audioprobe.experiments.classification.config import read_classification
from audioprobe.experiments.classification.run import ClassificationRun

CONFIG = """
kind = "classification"

[model]
name = "scripted:a crow"

[scorer]
name = "keyword"

[[evaluation_sets]]
name = "test"
dataset = {{ name = "manifest", options = {{ table = "{table}", folder = "{folder}" }} }}
split = "test"
labels = ["{label}"]
{tuned}

[[evaluation_sets]]
name = "valid"
dataset = {{ name = "manifest", options = {{ table = "{table}", folder = "{folder}" }} }}
split = "valid"

[[prompt_levels]]
prompt = "caption"
"""


def run(home: Path, rows: Sequence[tuple[str, ...]], *, tuned: bool, label: str = "crow") -> None:
    clips = table(home / "clips.csv", ("path", "labels", "group", "split"), rows)
    text = CONFIG.format(
        table=clips,
        folder=FOLDER,
        label=label,
        tuned='thresholds_from = "valid"' if tuned else "",
    )
    path = home / "leaks.toml"
    path.write_text(text)
    ClassificationRun(read_classification(path), text)(home / "run")


APART = [("crow.flac", "crow", "north", "test"), ("door.flac", "crow", "south", "valid")]
SAME_SITE = [("crow.flac", "crow", "north", "test"), ("door.flac", "crow", "north", "valid")]
SAME_SOUND = [("crow.flac", "crow", "north", "test"), ("./crow.flac", "crow", "south", "valid")]


def test_splits_that_are_apart_are_taken(tmp_path: Path) -> None:
    run(tmp_path, APART, tuned=True)


@pytest.mark.parametrize("rows", [SAME_SITE, SAME_SOUND])
def test_thresholds_are_not_tuned_on_what_they_are_used_on(
    tmp_path: Path, rows: Sequence[tuple[str, ...]]
) -> None:
    (tmp_path / "untuned").mkdir()
    run(tmp_path / "untuned", rows, tuned=False)
    with pytest.raises(InvalidInputError, match="in more than one split"):
        run(tmp_path, rows, tuned=True)


def test_a_label_that_the_data_lack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no label 'crwo'\. Did you mean 'crow'"):
        run(tmp_path, APART, tuned=False, label="crwo")
