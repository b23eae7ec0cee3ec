"""Text tables as spreadsheets save them, and errors with the row."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.io.tables import DELIMITERS, read_rows
from audioprobe.texts import nfc

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(str.strip)
cells = texts.filter(lambda text: text.isprintable())


def rows_of(path: Path, content: str | bytes, *columns: str) -> list[dict[str, object]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [dict(row) for row in read_rows(path, columns)]


CROW = [{"path": "a.wav", "labels": "crow"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,labels\na.wav,crow\n"),
        ("a.csv", "\ufeffpath,labels\r\na.wav,crow\r\n"),
        ("a.csv", "path;labels\na.wav;crow\n"),
        ("a.csv", "path\tlabels\na.wav\tcrow\n"),
        ("a.csv", "path|labels\na.wav|crow\n"),
        ("a.csv", "sep=;\r\npath;labels\r\na.wav;crow\r\n"),
        ("a.csv", "sep=,\npath,labels\na.wav,crow\n"),
        ("a.tsv", "path,labels\na.wav,crow\n"),
        ("a.txt", "path\tlabels\na.wav\tcrow\n"),
        ("a.csv", "path,labels\ra.wav,crow\r"),
        ("a.csv", "\npath,labels\n,\n\na.wav,crow\n,\n"),
        ("a.csv", "path, labels\n a.wav , crow \n"),
        ("a.csv", 'path, labels\na.wav, "crow"\n'),
        ("a.csv", "path,labels,\na.wav,crow,\n"),
        ("a.csv", "path,labels\na.wav,crow,,\n"),
        ("a.csv", ",path,labels\n0,a.wav,crow\n"),
        ("a.csv", "path,labels\na.wav,crow\n".encode("utf-16")),
        ("a.CSV", "path,labels\na.wav,crow"),
        ("a.csv", "PATH,Labels\na.wav,crow\n"),
        ("a.jsonl", '{"path": "a.wav", "labels": "crow"}\r\n\r\n'),
        ("a.jsonl", '\ufeff{" path": " a.wav", "labels": "crow "}'),
    ],
)
def test_formats_of_common_programs(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert rows_of(tmp_path / name, content, "path", "labels") == CROW


@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=4),
    comma=st.sampled_from(DELIMITERS),
)
def test_any_printable_cell_is_preserved(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], comma: str
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=comma, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "labels"), *(("x", first + second) for first, second in rows)])
    rows_read = rows_of(
        tmp_path_factory.getbasetemp() / "h.csv", stream.getvalue(), "path", "labels"
    )
    expected = [nfc((a + b).strip()) for a, b in rows]
    assert [row["labels"] for row in rows_read] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "path,labels,labels\na.wav,crow,rain\n", "row 1: .*'labels' .*columns 2 and 3"),
        ("a.csv", "path,labels,start\na.wav,crow,0\n\nb.wav,crow,0,5\n", "row 4: .*expected 3.*4"),
        ("a.csv", "path,labels\na.wav\n", "row 2: .*expected 2.*got 1"),
        ("a.csv", 'path,labels\na.wav,"crow" x\n', "line 2: "),
        ("a.csv", 'path,labels\na.wav,"crow\n', "line 2: "),
        ("a.csv", "path,labels\na.wav,Grünspecht\n".encode("cp1252"), "line 2: .*UTF-8.*Grünspe"),
        ("a.csv", "path,labels\na.wav,x\n".encode("utf-16-le"), "zero bytes"),
        ("a.csv", b"PK\3\4\0\0\0\0", "zero bytes"),
        ("a.xlsx", b"PK\3\4\0\0", "expected a table.*Save the sheet as CSV"),
        ("a.csv", f"path,{'x' * 201}\na.wav,crow\n", "at most 200 characters, got 201 .*header"),
        ("a.csv", "", "at least one row"),
        ("a.csv", "file,labels\na.wav,crow\n", "row 1: expected the columns path"),
        ("a.jsonl", '{"path": "a"}\n{"path": "b", "path": "c"}', "line 2: .*'path' .*columns"),
        ("a.jsonl", '{"path": "a"}\n\n{"path"', "line 3: cannot be read as JSON"),
        ("a.jsonl", '{"path": "a"}\n[["path", "a"]]', "line 2: expected a JSON object"),
        ("a.jsonl", '{"path": "a"}\n{"file": "a"}', "line 2: expected the columns path"),
    ],
)  # fmt: skip
def test_invalid_tables_are_refused_by_row(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        rows_of(tmp_path / name, content, "path")


@pytest.mark.parametrize("line_end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_json_lines_end_at_line_feeds_alone(tmp_path: Path, line_end: str) -> None:
    line = json.dumps({"path": "a.wav", "labels": f"a{line_end}b"}, ensure_ascii=False)
    content = line if line_end > " " else json.dumps({"path": "a.wav", "labels": f"a{line_end}b"})
    (row,) = rows_of(tmp_path / "a.jsonl", f"{content}\n")
    assert row["labels"] == f"a{line_end}b"


def test_items_of_lists_are_normalized_like_cells(tmp_path: Path) -> None:
    content = '{"labels": ["crow ", null, " ", NaN, "rain"], "start": NaN}'
    assert rows_of(tmp_path / "a.jsonl", content) == [{"labels": ["crow", "rain"], "start": None}]


@pytest.mark.parametrize("start", ["1e10", "-1e10", "1e308"])
def test_times_beyond_any_recording_are_refused(tmp_path: Path, start: str) -> None:
    (tmp_path / "a.csv").write_text(f"path,start\na.wav,{start}\n")
    (row,) = read_rows(tmp_path / "a.csv")
    with pytest.raises(InvalidInputError, match="row 2: column 'start': expected at most"):
        row.seconds("start")


def test_quotes_in_tab_separated_tables_may_be_text(tmp_path: Path) -> None:
    content = 'path\tlabels\na.wav\t"chip" call\nb.wav\t"chip\nc.wav\tchip"\n'
    labels = [row["labels"] for row in rows_of(tmp_path / "a.txt", content)]
    assert labels == ['"chip" call', '"chip', 'chip"']
