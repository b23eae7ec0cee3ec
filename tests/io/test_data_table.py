"""Tidy tables of data: the same values in Arrow, pandas and Parquet."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.io import parquet
from audioprobe.io.data_table import DataTable
from audioprobe.io.parquet import read_parquet, write_batches

TABLE = DataTable(
    {"clip": ["a", "b"], "score": [0.5, None], "present": [True, None], "all": [[1.0, 2.0], None]}
)
texts = st.one_of(st.none(), st.text(st.characters(codec="utf-8")))


@given(st.lists(st.tuples(texts, st.one_of(st.none(), st.floats(allow_nan=False)))))
def test_arrow_has_the_values_of_the_rows(rows: list[tuple[str | None, float | None]]) -> None:
    table = DataTable.from_rows(("text", "value"), rows)
    assert len(table) == len(rows)
    assert [tuple(row.values()) for row in table.to_arrow().to_pylist()] == rows


def test_parquet_keeps_missing_values_and_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    first, again = (TABLE.to_parquet(tmp_path / name) for name in ("1.parquet", "2.parquet"))
    assert first.read_bytes() == again.read_bytes()
    assert [row["score"] for row in read_parquet(first)] == [0.5, None]
    assert [row["all"] for row in read_parquet(first)] == [[1.0, 2.0], None]


def test_parquet_in_batches_is_that_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = {"clip": "string", "group": "null", "score": "double", "present": "bool"}
    rows = [(f"clip {n}", None, n / 7, [None, True, False][n % 3]) for n in range(10)]
    table = DataTable.from_rows(tuple(types), rows)
    whole = table.to_parquet(tmp_path / "whole.parquet")
    for name, size in (("batches", 100), ("groups", 4)):
        monkeypatch.setattr(parquet, "ROW_GROUP", size)
        batches = (
            {column: values[start : start + 3] for column, values in table.columns.items()}
            for start in range(0, 10, 3)
        )
        path = write_batches(tmp_path / name, types, batches)
        assert read_parquet(path) == read_parquet(whole)
        assert (path.read_bytes() == whole.read_bytes()) == (size == 100)
    empty = write_batches(tmp_path / "empty", types, [])
    assert read_parquet(empty) == []


def test_missing_values_are_missing_in_pandas() -> None:
    frame = TABLE.to_pandas()
    assert frame.score.isna().tolist() == [False, True]
    assert frame.present.isna().tolist() == [False, True]


def test_joined_tables_have_their_origin_in_the_first_columns() -> None:
    joined = DataTable.joined([({"model": "x"}, TABLE), ({"model": "y"}, TABLE)])
    assert list(joined.columns) == ["model", *TABLE.columns]
    assert joined.columns["model"] == ["x", "x", "y", "y"]
    assert joined.columns["clip"] == ["a", "b", "a", "b"]


def test_columns_of_different_length_are_an_error() -> None:
    with pytest.raises(InvalidInputError, match="equal length"):
        DataTable({"a": [1], "b": []})


def test_repr_is_short_and_html_is_escaped() -> None:
    table = DataTable({"text": ["<b>"] * 100})
    assert len(repr(table).splitlines()) <= 20
    assert "<b>" not in table._repr_html_()
