"""Manifests in all table formats, with errors that name the row."""

import json
from pathlib import Path

import pytest
from tests.datasets.layouts import sound, table

from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError
from audioprobe.io.parquet import write_parquet

HEADER = ("path", "labels", "start", "end", "group", "split")
ROWS = (
    ("a.wav", "crow;rain", "", "", "north", "test"),
    ("a.wav", "rain", "0.05", "0.1", "north", "test"),
    ("b.wav", "", "", "", "", "train"),
)


def summary(data: Manifest) -> list[tuple[object, ...]]:
    clips = [clip for split in data.splits for clip in data.clips(split)]
    return [(c.id, c.labels, c.start, c.duration, c.group) for c in clips]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sound(tmp_path / "a.wav")
    sound(tmp_path / "b.wav")
    return tmp_path


EXPECTED = [
    ("a.wav", ("crow", "rain"), 0.0, None, "north"),
    ("a.wav#0.05", ("rain",), 0.05, 0.05, "north"),
    ("b.wav", (), 0.0, None, None),
]


def test_csv_and_tsv(folder: Path) -> None:
    path = table(folder / "clips.csv", HEADER, ROWS)
    (folder / "clips.tsv").write_text(path.read_text().replace(",", "\t"))
    for name in ("clips.csv", "clips.tsv"):
        data = Manifest(folder / name)
        assert summary(data) == EXPECTED
        assert (data.splits, data.labels) == (("test", "train"), ("crow", "rain"))


def test_json_lines_and_parquet(folder: Path) -> None:
    rows: list[dict[str, object]] = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    rows[0]["labels"] = ["crow", "rain"]
    (folder / "clips.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    columns = {name: [row[n] for row in ROWS] for n, name in enumerate(HEADER)}
    write_parquet(folder / "clips.parquet", columns)
    for name in ("clips.jsonl", "clips.parquet"):
        assert summary(Manifest(folder / name)) == EXPECTED


def test_clips_without_a_label_column_are_unlabelled(folder: Path) -> None:
    data = Manifest(table(folder / "clips.csv", ("path",), [("a.wav",)]))
    assert data.clips("all")[0].labels is None


def test_columns_can_be_passed(folder: Path) -> None:
    path = table(folder / "clips.csv", ("file", "species"), [("a.wav", "crow|rain")])
    data = Manifest(path, columns={"path": "file", "labels": "species"}, separator="|")
    assert data.clips("all")[0].labels == ("crow", "rain")


def test_clip_without_file_is_missing(folder: Path) -> None:
    data = Manifest(table(folder / "clips.csv", ("path",), [("a.wav",), ("gone.wav",)]))
    assert [clip.id for clip in data.clips("all")] == ["a.wav"]
    assert list(data.missing) == ["gone.wav"]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (("file",), ("a.wav",), r"row 1: expected the column path"),
        (("path", "start"), ("a.wav", "soon"), r"row 2: column 'start': expected seconds"),
        (("path", "start"), ("a.wav", "-1"), r"row 2: .*start >= 0"),
        (("path", "start", "end"), ("a.wav", "2", "1"), r"row 2: .*duration > 0"),
        (("path", "end", "duration"), ("a.wav", "2", "1"), r"row 2: expected an end or a duration"),
        (("path", "labels"), ("", "crow"), r"row 2: expected a path .* 'path', got ''"),
        (("path", "labels"), ("a.wav", "cow"), r"'cow'"),
        (("path",), ("a.wav", "more"), r"row 2: expected 1 cells"),
    ],
)
def test_invalid_rows_are_refused_by_number(
    folder: Path, header: tuple[str, ...], row: tuple[str, ...], message: str
) -> None:
    path = table(folder / "clips.csv", header, [row])
    with pytest.raises(InvalidInputError, match=message):
        Manifest(path, labels=["crow"])


@pytest.mark.parametrize(
    ("name", "content"),
    [("clips.jsonl", "{"), ("clips.jsonl", "[1]"), ("clips.parquet", "?"), ("clips.xlsx", "?"),
     ("clips.csv", "path\n")],
)  # fmt: skip
def test_invalid_files_are_refused(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(InvalidInputError, match=name):
        Manifest(folder / name)
