"""Columns, labels and times of manifests: accepted variants and refused ambiguities."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.layouts import table

from audioprobe.datasets.manifest import Manifest
from audioprobe.errors import InvalidInputError
from audioprobe.io.parquet import write_parquet


def clips(path: Path, content: str, **options: object) -> list[tuple[object, ...]]:
    path.write_text(content, encoding="utf-8")
    data = Manifest(path, **options)  # type: ignore[arg-type]
    return [
        (clip.id, clip.labels, clip.start, clip.duration, clip.group, split)
        for split in data.splits
        for clip in data.listed(split)
    ]


PLAIN = [("a.wav#3", ("crow",), 3.0, 3.0, "north", "test")]


@pytest.mark.parametrize(
    "header",
    [
        "path,labels,start,end,group,split",
        "Path,Labels,Start,End,Group,Split",
        " path, labels , start,end ,group, split ",
        "path,label,starts,ends,groups,splits",
        "PATH,LABEL,start_time,end_time,GROUP,Split",
        "path,labels,start_s,end_s,group,split",
        "path,labels,Start (s),End (s),group,split",
        "path,labels,StartTime,EndTime,group,split",
        "path,labels,start_time_seconds,end_time_seconds,group,split",
        "path,labels,start_sec,End Times (sec),group,split",
    ],
)
def test_column_name_variants_are_accepted(tmp_path: Path, header: str) -> None:
    assert clips(tmp_path / "t.csv", f"{header}\na.wav,crow,3,6,north,test\n") == PLAIN


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("filename,species,onset,offset,site,fold",
         {"path": "filename", "labels": "species", "start": "onset", "end": "offset",
          "group": "site", "split": "fold"}),
        ("File Name,Category,Begin Time,Stop,Recorder,set",
         {"path": "File Name", "labels": "Category", "start": "Begin Time", "end": "Stop",
          "group": "Recorder", "split": "set"}),
        ("path,labels,offset,end,group,split", {"start": "offset"}),
        ("path,class,start,end,group,split", {"labels": "class"}),
    ],
)  # fmt: skip
def test_column_synonyms_are_refused_with_the_mapping(
    tmp_path: Path, header: str, expected: dict[str, str]
) -> None:
    content = f"{header}\na.wav,crow,3,6,north,test\n"
    with pytest.raises(InvalidInputError) as refusal:
        clips(tmp_path / "t.csv", content)
    match = re.search(r"columns=(\{.*?\})", str(refusal.value))
    assert match is not None
    assert f"{tmp_path / 't.csv'}, row 1: " in str(refusal.value)
    columns = ast.literal_eval(match[1])
    assert columns == expected
    assert clips(tmp_path / "t.csv", content, columns=columns) == PLAIN


def test_column_can_be_declared_absent(tmp_path: Path) -> None:
    content = "path,labels,site\na.wav,crow,north\n"
    for columns in ({"group": ""}, {"path": "path"}):
        assert clips(tmp_path / "t.csv", content, columns=columns)[0][4] is None
    with pytest.raises(InvalidInputError, match=r'columns=\{"path": "path", "labels": "species"\}'):
        clips(tmp_path / "t.csv", "path,species\na.wav,crow\n", columns={"path": "path"})
    rows_read = clips(
        tmp_path / "t.csv", "path,species\na.wav,crow\n", columns={"path": "path", "labels": ""}
    )
    assert rows_read[0][1] is None


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,labels,Labels", "one column for 'labels', got 'labels' and 'Labels'"),
        ("path,start_ms,x", "start, end and duration in seconds, got the column 'start_ms'"),
        ("path,Begin (ms),x", "in seconds, got the column 'Begin"),
        ("x,y,z", "got x, y, z without 'path'"),
    ],
)
def test_ambiguous_columns_are_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        clips(tmp_path / "t.csv", f"{header}\na.wav,1,2\n")


@pytest.mark.parametrize("columns", [{"paths": "path"}, {"path": "file"}, {"labels": "label"}])
def test_unknown_columns_are_refused(tmp_path: Path, columns: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match=r"Did you mean|is not among path, labels"):
        clips(tmp_path / "t.csv", "path,labels\na.wav,crow\n", columns=columns)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("crow", ("crow",)), ("crow; rain ;;crow", ("crow", "rain")), ("", ()), ("NaN", None),
        ("NA", None), ("None", None), ("<NA>", None), ("null", None), ("none", ("none",)),
        ("['crow', 'rain']", ("crow", "rain")), ('["crow", "rain", null]', ("crow", "rain")),
        ("[]", ()), ("[noise]", ("[noise]",)), ("Male speech, man speaking",) * 2,
        ("Kra\u0308he", ("Krähe",)),
    ],
)  # fmt: skip
def test_labels_of_a_cell(tmp_path: Path, cell: str, labels: object) -> None:
    path = table(tmp_path / "t.csv", ("path", "labels"), [("a.wav", cell)])
    expected = (labels,) if isinstance(labels, str) else labels
    assert Manifest(path).listed("all")[0].labels == expected


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["crow|rain"], r"row 2: .*separator='\|'"),
        (["crow", "rain", "crow, rain"], r"row 4: .*separator=','"),
        (["['crow' 'rain']"], "row 2: .*or a list"),
        (["crow", "Crow"], "'Crow' and 'crow' differ only in case"),
    ],
)
def test_ambiguous_labels_are_refused(tmp_path: Path, cells: list[str], message: str) -> None:
    rows = [(f"{n}.wav", cell) for n, cell in enumerate(cells)]
    path = table(tmp_path / "t.csv", ("path", "labels"), rows)
    with pytest.raises(InvalidInputError, match=message):
        Manifest(path)


def test_separator_and_labels_resolve_ambiguity(tmp_path: Path) -> None:
    rows = [("a.wav", "crow"), ("b.wav", "rain"), ("c.wav", "crow, rain"), ("d.wav", "a|b")]
    path = table(tmp_path / "t.csv", ("path", "labels"), rows)
    assert Manifest(path, separator=";").labels == ("a|b", "crow", "crow, rain", "rain")
    path = table(tmp_path / "t.csv", ("path", "labels"), rows[:3])
    assert Manifest(path, separator=",").labels == ("crow", "rain")
    path = table(tmp_path / "t.csv", ("path", "labels"), [("a.wav", "A"), ("b.wav", "a")])
    assert Manifest(path, labels=["a", "A"]).counts("all") == {"a": 1, "A": 1}
    with pytest.raises(InvalidInputError, match=r"row 3: expected a label .* got 'a'"):
        Manifest(path, labels=["A", "b"])


@pytest.mark.parametrize(
    ("content", "start"),
    [
        ("path;start\na.wav;0,5\n", 0.5), ("path;start\na.wav;12,345\n", 12.345),
        ('path,start\na.wav,"0,5"\n', 0.5), ("path\tstart\na.wav\t0,125\n", 0.125),
        ('path,start\na.wav,"3601,002"\n', 3601.002), ("path,start\na.wav,1e-3\n", 0.001),
        ("path,start\na.wav,NaN\n", 0.0), ("path,start\na.wav,.5\n", 0.5),
    ],
)  # fmt: skip
def test_seconds_with_decimal_comma(tmp_path: Path, content: str, start: float) -> None:
    assert clips(tmp_path / "t.csv", content)[0][2] == start


@pytest.mark.parametrize(
    "cell", ["12,345", "1.234,5", "1_0", "00:01", "inf", "0x10", "true", "1 s", "-1", "1,2,3"]
)
def test_invalid_seconds_are_refused(tmp_path: Path, cell: str) -> None:
    path = table(tmp_path / "t.csv", ("path", "start"), [("a.wav", "1"), ("a.wav", cell)])
    with pytest.raises(InvalidInputError, match="row 3: "):
        Manifest(path)


def test_missing_values_of_pandas(tmp_path: Path) -> None:
    nan = float("nan")
    write_parquet(
        tmp_path / "t.parquet",
        {
            "path": ["a.wav", "b.wav", "c.wav"],
            "labels": [["crow ", None], None, ["crow"]],
            "start": [nan, 1.5, None],
            "group": ["NA", None, "north"],
        },
    )
    data = Manifest(tmp_path / "t.parquet")
    content = [(clip.labels, clip.start, clip.group) for clip in data.listed("all")]
    assert content == [(("crow",), 0.0, None), (None, 1.5, None), (("crow",), 0.0, "north")]


def test_splits_that_differ_in_case_are_refused(tmp_path: Path) -> None:
    content = "path,split\na.wav,train\nb.wav,train \nc.wav,NaN\n"
    assert [row[5] for row in clips(tmp_path / "t.csv", content)] == ["train", "train", "all"]
    with pytest.raises(InvalidInputError, match="'Train' and 'train'"):
        clips(tmp_path / "t.csv", content.replace("train ", "Train"))


ONE_CLIP_PER_ROW = "path,labels,start,end\n"


@given(st.lists(st.integers(0, 10**11), min_size=2, max_size=8, unique=True))
def test_starts_a_microsecond_apart_are_separate_clips(
    tmp_path_factory: pytest.TempPathFactory, starts: list[int]
) -> None:
    rows = "".join(f"a.wav,crow,{n / 1e6:.6f},\n" for n in starts)
    rows_read = clips(tmp_path_factory.getbasetemp() / "t.csv", ONE_CLIP_PER_ROW + rows)
    assert len({row[0] for row in rows_read}) == len(starts)
    times = [float(str(row[0]).partition("#")[2] or 0) for row in rows_read]
    assert times == pytest.approx([n / 1e6 for n in starts], abs=1e-9)


def test_rows_of_one_segment_are_merged(tmp_path: Path) -> None:
    rows = (
        "a.wav,crow,3,6\na.wav,rain,3.0000,6\na.wav,crow,3,6\na.wav,rain,3,7\n"
        "a.wav,wind,4,6\na.wav,frog,0,6\na.wav,,,\n"
    )
    rows_read = clips(tmp_path / "t.csv", ONE_CLIP_PER_ROW + rows)
    assert [row[:2] for row in rows_read] == [
        ("a.wav#3-6", ("crow", "rain")), ("a.wav#3-7", ("rain",)), ("a.wav#4", ("wind",)),
        ("a.wav#0-6", ("frog",)), ("a.wav", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            "path,labels,group",
            "a.wav,crow,x\na.wav,rain,y\n",
            r"row 3: expected the group 'x' .*row 2, got 'y'",
        ),
        (
            "path,labels,split",
            "a.wav,crow,x\na.wav,rain,y\n",
            r"row 3: expected the split 'x' .*row 2, got 'y'",
        ),
        (
            "path,labels,id",
            "a.wav,crow,x\nb.wav,rain,x\n",
            r"row 3: expected a unique id, .*row 2 has the id 'x'",
        ),
    ],
)
def test_contradicting_rows_are_refused(
    tmp_path: Path, header: str, rows: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        clips(tmp_path / "t.csv", f"{header}\n{rows}")


def test_files_are_found_by_windows_paths_and_unicode_forms(tmp_path: Path) -> None:
    (tmp_path / "crow").mkdir()
    for name in ("crow/one.wav", "Kra\u0308he.wav", "A.wav"):
        (tmp_path / name).touch()
    rows = [("crow\\one.wav",), ("Krähe.wav",), ("a.WAV",), ("C:\\data\\x.wav",)]
    data = Manifest(table(tmp_path / "t.csv", ("path",), rows))
    assert [clip.id for clip in data.clips("all")] == ["crow\\one.wav", "Krähe.wav"]
    assert all(clip.path is not None and clip.path.is_file() for clip in data.clips("all"))
    assert "'A.wav'" in data.missing["a.WAV"]
    assert "folder=" in data.missing["C:\\data\\x.wav"]
