"""Dataclasses survive the conversion to JSON and back; invalid data are rejected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.io.json_codec import JsonArray, from_json, json_pieces, to_json
from audioprobe.types import ComponentInfo, Estimate

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
options = st.one_of(
    texts,
    st.integers(-(2**40), 2**40),
    numbers,
    st.booleans(),
    st.none(),
    st.lists(texts).map(tuple),
)


@dataclass(frozen=True)
class Everything:
    pair: tuple[int, str]
    kind: Literal["a", "b"]
    path: Path
    maybe: float | None
    nested: Mapping[str, ComponentInfo] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WithArray:
    values: JsonArray


@given(name=texts, options=st.dictionaries(texts, options, max_size=4))
def test_component_info_round_trip(name: str, options: dict[str, object]) -> None:
    info = ComponentInfo("k", name, "r", options, {"part": ComponentInfo("k", "inner")})  # type: ignore[arg-type]
    assert from_json(ComponentInfo, to_json(info)) == info


@given(value=st.one_of(st.none(), numbers), n=st.integers(0, 10))
def test_undefined_number_stays_undefined(value: float | None, n: int) -> None:
    estimate = Estimate(value=value, n=n)
    assert from_json(Estimate, to_json(estimate)) == estimate


@given(pair=st.tuples(st.integers(), texts), maybe=st.one_of(st.none(), numbers))
def test_nested_dataclass_round_trip(pair: tuple[int, str], maybe: float | None) -> None:
    value = Everything(pair, "b", Path("x/y.wav"), maybe, {"m": ComponentInfo("k", "n")})
    assert from_json(Everything, to_json(value)) == value


def test_lone_surrogates_of_file_names_round_trip() -> None:
    info = ComponentInfo("k", "\udcff.wav")
    assert from_json(ComponentInfo, to_json(info)) == info


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_array_round_trip_keeps_values_type_and_shape(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    copy = from_json(WithArray, to_json(WithArray(values))).values
    assert copy.dtype == values.dtype
    np.testing.assert_array_equal(copy, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_rejected(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        to_json(Estimate(value=bad, n=1))
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        to_json(WithArray(np.array([bad])))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"value": 1', "complete"),
        ("[1]", r"Estimate: .* got \[1\]"),
        ('{"value": 1.0}', "Estimate: the key 'n' is missing"),
        ('{"value": 1.0, "n": 1, "unti": "clips"}', "unknown key 'unti'. Did you mean 'unit'"),
        ('{"value": 1.0, "n": "1"}', "Estimate: n: .*integer, got '1'"),
    ],
)
def test_invalid_json_is_rejected_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        from_json(Estimate, text)


@pytest.mark.parametrize(
    "array",
    [
        '{"dtype": "<i4", "shape": [1], "data": [0.9]}',
        '{"dtype": "O", "shape": [1], "data": [0.9]}',
        '{"dtype": "<f8", "shape": [2], "data": [0.9]}',
        '{"shape": [1], "data": [0.9]}',
        '{"dtype": "<f8", "shape": [1], "data": ["x"]}',
        "[1]",
    ],
)
def test_invalid_array_is_rejected(array: str) -> None:
    with pytest.raises(InvalidInputError, match=r"WithArray: values"):
        from_json(WithArray, f'{{"values": {array}}}')


def test_deeply_nested_json_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="Not valid JSON"):
        from_json(Estimate, "[" * 200_000)


def test_arbitrary_objects_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        to_json(ComponentInfo("k", "n", options={"o": object()}))  # type: ignore[dict-item]


@pytest.mark.parametrize("shape", [(0, 3), (2, 3), (3000, 3)])
def test_pieces_of_json_join_to_the_whole_text(shape: tuple[int, int]) -> None:
    value = WithArray(np.random.default_rng(0).normal(size=shape))
    assert "".join(json_pieces(value)) == to_json(value)


def test_pieces_of_json_reject_numbers_that_are_not_finite() -> None:
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        list(json_pieces(WithArray(np.array([1.0, np.nan]))))
