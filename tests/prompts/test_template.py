"""Prompt files: read strictly, filled strictly, and never executed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.prompts.template import Template, read_templates

PLACES = st.text(alphabet="abcdefg_", min_size=1, max_size=6)


def test_places_are_filled_with_texts_as_they_are() -> None:
    template = Template("x", 1, "Is it {label}? {{sic}} {label}, {other}.")
    assert template.places == ("label", "other")
    filled = template.fill({"label": "{other} {0}", "other": "b", "unused": ""})
    assert filled == "Is it {other} {0}? {sic} {other} {0}, b."


@given(PLACES, st.text(), st.text(alphabet=st.characters(exclude_characters="{}")))
def test_any_value_comes_out_unchanged(place: str, value: str, around: str) -> None:
    assert Template("x", 1, f"{around}. {{{place}}}").fill({place: value}) == f"{around}. {value}"


def test_a_place_without_a_value_is_an_error_that_suggests_one() -> None:
    with pytest.raises(InvalidInputError, match=r"into \{lables\}\. Did you mean 'labels'"):
        Template("x", 1, "{lables}").fill({"labels": "a", "descriptions": "b"})


@pytest.mark.parametrize("text", ["{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{", " "])
def test_places_that_could_reach_into_objects_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        Template("x", 1, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt = 3", "nothing but tables"),
        ("[[prompt]]\nname='a'\nversion=1", "text differ"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='b'\nnotes=''", "notes differ"),
        ("[[prompt]]\nname='a'\nversion='1'\ntext='b'", "whole number"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='b'\n" * 2, "there twice"),
        ("[[prompt]]\nname='a'\nversion=1\ntext='{0}'", "prompt 1: Prompt 'a': a place is"),
        ("[[prompt", "not readable as TOML"),
    ],
)
def test_files_are_read_strictly(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        read_templates(file)
