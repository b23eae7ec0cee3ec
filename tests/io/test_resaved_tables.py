"""Published tables that a spreadsheet has saved: read correctly or refused with the row."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.datasets.layouts import audioset, edansa, esc50, fsd50k, urbansound8k

from audioprobe.datasets import EDANSA, ESC50, FSD50K, InMemoryDataset, UrbanSound8K
from audioprobe.datasets.audioset import read_segments
from audioprobe.errors import InvalidInputError
from audioprobe.types import Clip

Build = Callable[[Path], InMemoryDataset]

DATASETS: dict[str, tuple[Callable[[Path], Path], Build, str]] = {
    "esc50": (esc50, ESC50, "meta/esc50.csv"),
    "urbansound8k": (urbansound8k, UrbanSound8K, "metadata/UrbanSound8K.csv"),
    "fsd50k": (fsd50k, FSD50K, "FSD50K.ground_truth/dev.csv"),
    "edansa": (edansa, EDANSA, "labels.csv"),
}


def contents(data: InMemoryDataset) -> list[tuple[object, ...]]:
    return [
        (split, clip.id, clip.path, clip.labels, clip.group)
        for split in data.splits
        for clip in data.listed(split)
    ]


def rewritten(path: Path, change: Callable[[str, str], str], **options: str) -> None:
    """Rewrite a table with every cell changed by column."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    changed = [[change(n, c) for n, c in zip(header, row, strict=True)] for row in rows]
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as stream:
        writer = csv.writer(stream, delimiter=options.pop("delimiter", ","))
        writer.writerows([[options.get(name, name) for name in header], *changed])


def floats(_: str, cell: str) -> str:
    return f"{cell}.0" if cell.isdigit() else cell


def capitals(_: str, cell: str) -> str:
    return cell.upper() if cell in ("True", "False", "train", "valid", "test", "val") else cell


def spaced(_: str, cell: str) -> str:
    return f" {cell} "


def same(_: str, cell: str) -> str:
    return cell


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("change", [floats, capitals, spaced])
def test_resaved_cells_give_the_same_clips(
    tmp_path: Path, name: str, change: Callable[[str, str], str]
) -> None:
    make, build, table = DATASETS[name]
    folder = make(tmp_path)
    before = contents(build(folder))
    rewritten(folder / table, change)
    assert contents(build(folder)) == before


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_delimiters_and_encodings_give_the_same_clips(
    tmp_path: Path, name: str, delimiter: str, encoding: str
) -> None:
    make, build, table = DATASETS[name]
    folder = make(tmp_path)
    before = contents(build(folder))
    rewritten(folder / table, same, encoding=encoding, delimiter=delimiter)
    assert contents(build(folder)) == before


def test_spreadsheet_flags_select_the_same_rows(tmp_path: Path) -> None:
    for flag in ("TRUE", "true", "1", "1.0", "Yes"):
        rewritten(esc50(tmp_path) / "meta/esc50.csv", lambda _, c: flag if c == "True" else c)  # noqa: B023
        assert ESC50(tmp_path, esc10=True).labels == ("dog",)
    rewritten(urbansound8k(tmp_path) / "metadata/UrbanSound8K.csv", floats, salience="Salience")
    assert UrbanSound8K(tmp_path, foreground=True).splits == ("fold-5",)


@pytest.mark.parametrize(
    ("name", "column", "cell"),
    [
        ("esc50", "fold", ""), ("esc50", "fold", "one"), ("esc50", "category", ""),
        ("esc50", "filename", ""), ("esc50", "src_file", "1E+05"), ("esc50", "fold", "1.5"),
        ("urbansound8k", "fold", ""), ("urbansound8k", "class", ""),
        ("urbansound8k", "fsID", "1,2E+05"), ("urbansound8k", "fold", "NaN"),
        ("fsd50k", "split", ""), ("fsd50k", "split", "dev"), ("fsd50k", "labels", ""),
        ("fsd50k", "fname", ""), ("edansa", "set", "validation"), ("edansa", "set", ""),
        ("edansa", "Anth", ""), ("edansa", "Anth", "2"), ("edansa", "Length", "00:10.0"),
        ("edansa", "Clip Path", ""), ("edansa", "Site ID", ""),
    ],
)  # fmt: skip
def test_invalid_cells_are_refused_with_file_and_row(
    tmp_path: Path, name: str, column: str, cell: str
) -> None:
    make, build, table = DATASETS[name]
    folder = make(tmp_path)
    rewritten(folder / table, lambda n, c: cell if n == column else c)
    with pytest.raises(InvalidInputError) as refusal:
        build(folder)
    assert f"{folder / table}, row 2: " in str(refusal.value)


@pytest.mark.parametrize("name", DATASETS)
def test_repeated_row_is_refused_with_both_rows(tmp_path: Path, name: str) -> None:
    make, build, table = DATASETS[name]
    path = make(tmp_path) / table
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*rows[:3], rows[1]]), encoding="utf-8")
    with pytest.raises(InvalidInputError) as refusal:
        build(tmp_path)
    assert "row 4: " in str(refusal.value)
    assert "row 2." in str(refusal.value)


def test_esc10_without_clips_is_refused(tmp_path: Path) -> None:
    rewritten(esc50(tmp_path) / "meta/esc50.csv", lambda n, c: "False" if n == "esc10" else c)
    with pytest.raises(InvalidInputError, match=r"at least one clip, got none.*esc10=True"):
        ESC50(tmp_path, esc10=True)


def test_data_set_without_clips_is_refused_with_causes() -> None:
    with pytest.raises(InvalidInputError, match=r"2 rows are left out, short.* \(2 rows\)"):
        InMemoryDataset("mine", {"a": [], "b": []}, ["crow"], left_out={"x": "short", "y": "short"})


def test_empty_split_is_allowed() -> None:
    data = InMemoryDataset(
        "mine", {"a": [], "b": [Clip(id="one", path=Path("one.wav"), labels=("crow",))]}, ["crow"]
    )
    assert data.splits == ("a", "b")


def test_years_are_read_from_other_date_formats(tmp_path: Path) -> None:
    folder = edansa(tmp_path)
    rewritten(folder / "labels.csv", lambda n, c: "2019-05-20" if n == "Date" else c)
    assert not EDANSA(folder, years=[2019]).left_out
    rewritten(folder / "labels.csv", lambda n, c: "5/20/19" if n == "Date" else c)
    assert EDANSA(folder).splits == ("train", "valid", "test")
    with pytest.raises(InvalidInputError, match="row 2: column 'Date'"):
        EDANSA(folder, years=[2019])


def test_segments_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = audioset(tmp_path) / "eval_segments.csv"
    before = read_segments(path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert read_segments(path) == before
    path.write_text("y1234567890,0,10,/m/06mb1\r\n,,,\r\n", encoding="utf-8")
    assert read_segments(path) == [("y1234567890", 0.0, 10.0, ("/m/06mb1",))]


@pytest.mark.parametrize(
    "line",
    ["#NAME?,30,40,/m/06mb1", "-1.2E+10,30,40,/m/06mb1", "y1234567890,nan,10,/m/06mb1",
     "y1234567890,10,0,/m/06mb1", "y1234567890;0;10;/m/06mb1", "y1234567890,0,inf,/m/06mb1"],
)  # fmt: skip
def test_damaged_segments_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "eval_segments.csv"
    path.write_text(f"# YTID, start_seconds\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="line 2: "):
        read_segments(path)


def test_repeated_segment_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "eval_segments.csv"
    path.write_text("y1234567890, 0.000, 10.000, /m/06mb1\n" * 2, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"line 2: .* got the segment of line 1"):
        read_segments(path)
