"""EDANSA with the published table: rows, splits, labels and hierarchy."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.layouts import edansa, edansa_table

from audioprobe.datasets import EDANSA
from audioprobe.datasets.edansa import edansa_labels, edansa_parents
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.hierarchy import Hierarchy
from audioprobe.results.targets import targets_of

SPLITS = ("train", "valid", "test")
ROWS = 10_771
# Positives of all rows in train, valid and test.
POSITIVES = {
    "Anth": (1817, 817, 442), "Grous": (213, 84, 137), "Car": (2, 0, 0), "Corv": (16, 9, 0),
    "Fly": (1, 0, 61), "Helo": (4, 0, 2), "Sil": (1022, 140, 359), "Wind": (2740, 745, 1254),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edansa_table(tmp_path_factory.mktemp("edansa"))


@cache
def everything(table: Path, **options: object) -> EDANSA:
    """The data set with all rows and column names."""
    options = {"shortest": 0, "unlabelled": True, "names": "columns"} | options
    return EDANSA(table.parent, **options)  # type: ignore[arg-type]


def test_every_row_is_a_clip_or_left_out(table: Path) -> None:
    complete, default = everything(table), EDANSA(table.parent)
    sizes = {split: len(complete.listed(split)) for split in SPLITS}
    assert sizes == {"train": 6645, "valid": 1873, "test": 2253}
    n_clips = sum(len(default.listed(split)) for split in SPLITS)
    causes = list(default.left_out.values())
    assert n_clips + len(causes) == ROWS
    assert (causes.count("shorter than 2 s"), causes.count("no label is set")) == (117, 2)
    assert not complete.left_out


def test_positives_per_label_and_split(table: Path) -> None:
    data = everything(table)
    counts = [data.counts(split) for split in SPLITS]
    assert len(data.labels) == 28
    for label, expected in POSITIVES.items():
        assert tuple(count[label] for count in counts) == expected, label


def test_sites_are_in_one_split_in_both_versions(table: Path) -> None:
    for sites in ("release", "baseline"):
        data = everything(table, sites=sites)
        groups = [{clip.group for clip in data.listed(split)} for split in SPLITS]
        assert sum(map(len, groups)) == len(set().union(*groups))
    release, baseline = everything(table), everything(table, sites="baseline")
    tested, validated = release.listed("test"), baseline.listed("valid")
    assert [clip.id for clip in tested] == [clip.id for clip in validated]
    assert {"prudhoe 12", "anwr 50"} <= {clip.group for clip in release.listed("valid")}


def test_labels_are_closed_under_the_hierarchy(table: Path) -> None:
    data, hierarchy = everything(table), Hierarchy(edansa_parents(columns=True))
    clips = [clip for split in SPLITS for clip in data.listed(split)]
    truth = {clip.id: clip.labels or () for clip in clips}
    targets = targets_of(truth, tuple(truth), data.labels)
    assert len(hierarchy.edges) == 24
    assert np.array_equal(hierarchy.closed(targets, data.labels), targets)


def test_parents_match_the_codes() -> None:
    by_code = {label.code: label for label in edansa_labels()}
    for label in edansa_labels():
        digits = label.code.split(".")
        last = max((n for n, digit in enumerate(digits[1:], 1) if digit != "0"), default=0)
        above = ".".join([*digits[:last], *["0"] * (3 - last)])
        assert label.parent == (by_code[above].column if last else ""), label.column


def test_years_can_be_selected(table: Path) -> None:
    left_out = everything(table, years=(2019,)).left_out
    assert len(left_out) == 379
    assert set(left_out.values()) <= {"recorded in 2018", "recorded in 2020", "recorded in 2021"}


def test_clips_without_a_file_are_missing(tmp_path: Path) -> None:
    data = EDANSA(edansa(tmp_path))
    assert [len(data.clips(split)) for split in SPLITS] == [2, 2, 2]
    (tmp_path / "data" / data.clips("test")[0].id).unlink()
    again = EDANSA(tmp_path)
    assert (len(again.clips("test")), len(again.missing)) == (1, 1)
    assert again.info.options["missing"] == 1


def test_split_without_files_is_refused(table: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none of the .* files .* exists"):
        EDANSA(table.parent).clips("test")


def test_names_are_unique_plain_text() -> None:
    names = [label.name for label in edansa_labels()]
    assert len(set(names)) == 28
    assert not any(set(name) & set("()/_") for name in names)


@pytest.mark.parametrize("wrong", [{"sites": "mine"}, {"names": "long"}])
def test_unknown_options_are_refused(table: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="sites must be one of"):
        everything(table, **wrong)
