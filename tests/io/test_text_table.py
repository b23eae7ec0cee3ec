"""Cells are escaped in every output format."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.io.text_table import Table, printable

cells = st.text(max_size=30)


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_terminal_tables_have_no_control_characters(rows: list[tuple[str, str]]) -> None:
    shown = Table(("a", "b"), tuple(rows)).to_text()
    assert all(character.isprintable() or character == "\n" for character in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("[bold]markup[/bold] [link=x]y[/link]", "[bold]markup[/bold] [link=x]y[/link]"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("two\nlines", "two lines"),
        ("bad\udcff name", "bad\\udcff name"),
        ("Krähe 🐦", "Krähe 🐦"),
    ],
)
def test_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown in Table(("x",), ((text,),)).to_text()


def exact(cell: str) -> str:
    """What the documentation of `to_csv` says programs should do."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell


formulas = st.text("=+-@'\t\r1a(", max_size=6)


@given(st.lists(st.tuples(cells | formulas, cells), max_size=5))
def test_csv_round_trip_without_apostrophes(rows: list[tuple[str, str]]) -> None:
    text = Table(("a", "b"), tuple(rows)).to_csv()
    result = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [tuple(map(exact, row)) for row in result] == rows


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "=A1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", '=HYPERLINK("x")', "-2+cmd|' /C calc'!A0",
     "-SUM(A1)", "+A1*2", "-x!A1", "-'x'", "@a.wav"],
)  # fmt: skip
def test_formulas_in_csv_get_an_apostrophe(formula: str) -> None:
    table = Table(("caption", "score"), ((formula, "-0.5"),), numeric=(1,))
    (row,) = list(csv.reader(io.StringIO(table.to_csv(), newline="")))[1:]
    assert row == [f"'{formula}", "-0.5"]


@pytest.mark.parametrize(
    "name", ["-0DdlOuIFUI.wav", "--4gqARaEJE_30", "-a/b c.wav#3.5-6", "-1", "+1", "a=b", "'", "ä"]
)
def test_harmless_ids_in_csv_are_unchanged(name: str) -> None:
    (row,) = list(csv.reader(io.StringIO(Table(("clip",), ((name,),)).to_csv())))[1:]
    assert row == [name]


@given(cells)
def test_markdown_cells_are_escaped(cell: str) -> None:
    lines = Table(("x", "y"), ((cell, "z"),)).to_markdown().splitlines()
    assert len(lines) == 3
    unescaped = lines[2].replace("\\\\", "").replace("\\|", "")
    assert unescaped.count("|") == 3


def test_hidden_rows_are_counted() -> None:
    table = Table(("x",), tuple((str(n),) for n in range(30)))
    assert table.to_text(most=10).endswith("... and 20 more")
    assert "more" not in table.to_text()


@pytest.mark.parametrize("n_columns", range(1, 9))
def test_no_character_is_cut_off_in_narrow_terminals(n_columns: int) -> None:
    row = tuple(f"column{n}abcdefghijklmnopqrstuvwxyz" for n in range(n_columns))
    lines = Table(row, (row,)).to_text(60).splitlines()
    body = lines[[line.strip().startswith("─") for line in lines].index(True) + 1 :]
    letters = sorted("".join(body).replace(" ", ""))
    assert letters == sorted("".join(row))
    assert max(map(len, lines)) <= 60


def test_selected_columns_keep_order_and_alignment() -> None:
    table = Table(("name", "text", "n"), (("crow", "a bird", "2"),), numeric=(2,))
    assert table.only(("n", "name", "else")) == Table(("name", "n"), (("crow", "2"),), numeric=(1,))
