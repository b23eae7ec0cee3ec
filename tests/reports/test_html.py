"""Report pages: tables that can be saved, explanations, notes, and LaTeX that fits a page."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.io.text_table import Table
from audioprobe.reports.column_help import explain
from audioprobe.reports.html import MAX_ROWS, DataGrid, Links, Page, Section, to_html
from audioprobe.reports.latex import WIDTH, narrow_latex

EVIL = '"><img src=x onerror=alert(1)>'


def page(*items: DataGrid | Links) -> str:
    return to_html(Page(title="t", sections=[Section("s", list(items))]))


def test_saved_table_is_the_table_and_spreadsheets_run_none_of_it() -> None:
    table = Table(("name", "AUC"), (("=1+HYPERLINK(1)", "0.5"), (EVIL, "0.25")), (1,))
    html = page(DataGrid("My table: <x>", table))
    (address, name) = re.findall(r'href="data:text/csv;[^,]*,([^"]+)" download="([^"]+)"', html)[0]
    assert base64.b64decode(address).decode() == table.to_csv()
    assert "'=1+HYPERLINK" in table.to_csv()
    assert name == "my-table-x.csv"


def test_long_table_is_cut_and_says_so() -> None:
    table = Table(("n",), tuple((f"row {n}",) for n in range(MAX_ROWS + 7)))
    html = page(DataGrid("t", table))
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 7} rows" in html
    assert f"row {MAX_ROWS - 1}<" in html
    assert f"row {MAX_ROWS}<" not in html
    (content,) = re.findall(r"data:text/csv;[^,]*,([^\"]+)", html)
    assert f"row {MAX_ROWS + 6}" in base64.b64decode(content).decode()


def test_hostile_cells_captions_and_links_are_escaped() -> None:
    table = Table((EVIL, EVIL), ((EVIL, f"0.5 [0.1, 0.9] {EVIL}"),))
    html = page(DataGrid(EVIL, table), Links(EVIL, ((EVIL, EVIL),)))
    assert "<img" not in html
    assert '<span class="interval">0.5 [0.1, 0.9]</span>' in html


def test_page_without_charts_does_not_contain_the_plotting_library() -> None:
    html = page(DataGrid("table", Table(("a",), (("1",),))))
    assert len(html) < 60_000
    assert "loads nothing from the network" in html


@pytest.mark.parametrize("column", ["AUC", "p (Holm)", "F1, threshold oracle (best)", "d′"])
def test_columns_of_results_are_explained(column: str) -> None:
    assert explain(column)
    assert explain(column) in page(DataGrid("t", Table((column,), (("1",),)))).replace("&#39;", "'")


def test_unknown_column_has_no_explanation() -> None:
    assert explain("my own column") == ""


CELLS = st.text("ab &%_", min_size=1, max_size=30)


@given(st.integers(1, 12).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), min_size=1)))
def test_latex_tables_fit_and_have_all_columns(rows: list[tuple[str, ...]]) -> None:
    header = tuple(f"column {n}" for n in range(len(rows[0])))
    parts = narrow_latex(Table(header, tuple(rows)), 1).split(r"\begin{tabular}")[1:]
    shown = [re.findall(r"column \d+", part) for part in parts]
    if len(header) > 1:
        assert [name for names in shown for name in names[1:]] == list(header[1:])
    for names in shown:
        assert names[0] == "column 0"
        widths = [
            max(len(header[n]), *(len(row[n]) for row in rows)) + 2
            for n in (int(name.split()[1]) for name in names)
        ]
        assert sum(widths) <= WIDTH or len(names) <= 2


def test_numbers_of_groups_are_left_out_of_latex() -> None:
    table = Table(("set", "AUC"), (("a", "0.774 [0.680, 0.904] (24 clips)"), ("b", "undefined")))
    latex = narrow_latex(table)
    assert "0.774 [0.680, 0.904] \\\\" in latex
    assert "24 clips" not in latex
    assert "undefined" in latex
