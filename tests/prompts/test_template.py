"""Prompt files are read strictly and filled strictly."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.prompts import PromptTemplate, read_templates

NAMES = st.text(alphabet="abcdefg_", min_size=1, max_size=6)


def test_placeholders_are_replaced_by_values_without_interpreting_them() -> None:
    template = PromptTemplate("x", 1, "Is it {label}? {{sic}} {label}, {other}.")
    assert template.placeholders == ("label", "other")
    filled = template.fill({"label": "{other} {0}", "other": "b", "unused": ""})
    assert filled == "Is it {other} {0}? {sic} {other} {0}, b."


@given(NAMES, st.text(), st.text(alphabet=st.characters(exclude_characters="{}")))
def test_any_value_is_inserted_unchanged(name: str, value: str, text: str) -> None:
    template = PromptTemplate("x", 1, f"{text}. {{{name}}}")
    assert template.fill({name: value}) == f"{text}. {value}"


def test_a_missing_value_is_an_error_that_suggests_the_nearest_name() -> None:
    with pytest.raises(
        InvalidInputError, match=r"got \{lables\}, without a value.*Did you mean 'labels'"
    ):
        PromptTemplate("x", 1, "{lables}").fill({"labels": "a", "descriptions": "b"})


@pytest.mark.parametrize("text", ["{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{", " "])
def test_placeholders_that_are_not_plain_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        PromptTemplate("x", 1, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt = 3", "prompt"),
        ("prompt = []", "distinct names, got none"),
        ("[[prompt]]\nname='a'\nversion=1", "number 1: the key 'text' is missing"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='b'\nnotes=''", "unknown key 'notes'"),
        ("[[prompt]]\nname='a'\nversion='1'\ntext='b'", "version"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='b'\n" * 2, "distinct names, got a, a"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='{0}'", "number 1: Prompt 'a': expected names"),
        ("[[prompt", "TOML"),
    ],
)
def test_invalid_files_are_refused_with_the_place(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        read_templates(file)
