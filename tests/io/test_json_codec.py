"""What is written comes back equal, and what cannot is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.types import ComponentInfo, Estimate, Float64Array

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
    values: Float64Array


@given(name=texts, options=st.dictionaries(texts, options, max_size=4))
def test_component_infos_come_back_equal(name: str, options: dict[str, object]) -> None:
    info = ComponentInfo("k", name, "r", options, {"part": ComponentInfo("k", "inner")})  # type: ignore[arg-type]
    assert from_json(ComponentInfo, to_json(info)) == info


@given(value=st.one_of(st.none(), numbers), n=st.integers(0, 10))
def test_an_undefined_number_comes_back_undefined_and_not_as_zero(
    value: float | None, n: int
) -> None:
    estimate = Estimate(value=value, n=n)
    assert from_json(Estimate, to_json(estimate)) == estimate


@given(pair=st.tuples(st.integers(), texts), maybe=st.one_of(st.none(), numbers))
def test_a_mixed_dataclass_comes_back_equal(pair: tuple[int, str], maybe: float | None) -> None:
    value = Everything(pair, "b", Path("x/y.wav"), maybe, {"m": ComponentInfo("k", "n")})
    assert from_json(Everything, to_json(value)) == value


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3)])
def test_arrays_keep_values_type_and_shape(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    copy = from_json(WithArray, to_json(WithArray(values))).values
    assert copy.dtype == values.dtype
    np.testing.assert_array_equal(copy, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_json_cannot_hold_is_refused(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        to_json(Estimate(value=bad, n=1))
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        to_json(WithArray(np.array([bad])))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"value": 1', "complete"),
        ("[1]", "expected Estimate"),
        ('{"value": 1.0}', "these keys differ"),
        (
            to_json(Estimate(value=1.0, n=1)).replace('"n": 1', '"n": "one"'),
            r"Estimate\.n: expected",
        ),
    ],
)
def test_a_text_that_is_something_else_is_refused_with_the_place(text: str, words: str) -> None:
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
def test_an_array_that_was_tampered_with_is_refused(array: str) -> None:
    with pytest.raises(InvalidInputError, match=r"WithArray\.values"):
        from_json(WithArray, f'{{"values": {array}}}')


def test_a_text_of_nothing_but_brackets_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Not JSON"):
        from_json(Estimate, "[" * 200_000)


def test_objects_are_not_data() -> None:
    with pytest.raises(InvalidInputError, match="not data"):
        to_json(ComponentInfo("k", "n", options={"o": object()}))  # type: ignore[dict-item]
