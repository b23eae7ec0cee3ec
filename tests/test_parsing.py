"""Texts that Python's parsers cannot handle give a `ValueError`."""

import pytest

from audioprobe.parsing import parse_json, parse_toml


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, "[1", "", "9" * 5000])
def test_damaged_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|line 1|Exceeds the limit"):
        parse_json(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a = " + "{a = " * 50_000, "a = [1", "a"])
def test_damaged_toml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|line 1|end of document"):
        parse_toml(text)


def test_nested_tables_are_limited() -> None:
    assert parse_toml("a." * 50 + "b = [[1], {c = 2}]")["a"]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_toml("a." * 200 + "b = 1")


def test_valid_texts_are_parsed() -> None:
    assert parse_json(b'{"a": [1, null]}') == {"a": [1, None]}
    assert parse_json('{"a": 1}', object_pairs_hook=list) == [("a", 1)]
    assert parse_toml('a = "x"\n[b]\nc = [1, 2]') == {"a": "x", "b": {"c": [1, 2]}}
