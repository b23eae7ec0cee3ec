"""Curves in files: what is written is read again, and damage is reported."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.curve_files import (
    ARRAYS,
    CURVES,
    load_curves,
    load_provenance,
    save_curves,
)
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.types import Float64Array

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=True, allow_infinity=False)


@st.composite
def site_curves(draw: st.DrawFn) -> SiteCurve:
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, 3)))
    values = arrays(np.float64, shape, elements=NUMBERS)
    has_items = draw(st.booleans())
    return SiteCurve(
        measure=draw(NAMES),
        places=tuple(Place(draw(NAMES), draw(NAMES)) for _ in range(shape[1])),
        concepts=tuple(draw(NAMES) for _ in range(shape[0])),
        values=draw(values),
        controls=draw(st.dictionaries(NAMES, values, max_size=2)),
        neutral=draw(st.floats(-1, 1)),
        items=tuple(draw(NAMES) for _ in range(shape[0])) if has_items else (),
    )


def curve(values: Float64Array) -> SiteCurve:
    n_items, n_places = values.shape
    places = tuple(Place(f"lm.resid.{n}", "last") for n in range(n_places))
    concepts = tuple(f"c{n}" for n in range(n_items))
    return SiteCurve(measure="effect", places=places, concepts=concepts, values=values, controls={})


@settings(max_examples=40)
@given(st.dictionaries(NAMES, site_curves(), max_size=3))
def test_curves_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, curves: dict[str, SiteCurve]
) -> None:
    folder = tmp_path_factory.mktemp("curves")
    save_curves(curves, folder, {"model": "mini", "seeds": [0, 1]})
    loaded = load_curves(folder)
    assert list(loaded) == list(curves)
    assert load_provenance(folder) == {"model": "mini", "seeds": [0, 1]}
    for name, original in curves.items():
        for field in ("measure", "places", "concepts", "neutral", "items"):
            assert getattr(loaded[name], field) == getattr(original, field)
        assert list(loaded[name].controls) == list(original.controls)
        np.testing.assert_array_equal(loaded[name].values, original.values)
        for control, values in original.controls.items():
            np.testing.assert_array_equal(loaded[name].controls[control], values)


def test_a_column_of_a_larger_array_is_stored_correctly(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float64).reshape(3, 4)
    save_curves({"part": curve(values).at(sites=["lm.resid.1", "lm.resid.3"])}, tmp_path)
    np.testing.assert_array_equal(load_curves(tmp_path)["part"].values, values[:, [1, 3]])


def test_concepts_and_provenance_must_fit_json(tmp_path: Path) -> None:
    numbered = curve(np.zeros((2, 1)))
    object.__setattr__(numbered, "concepts", (0, 1))
    with pytest.raises(InvalidInputError, match="texts as concepts"):
        save_curves({"curve": numbered}, tmp_path)
    with pytest.raises(InvalidInputError, match="plain JSON data without NaN"):
        save_curves({}, tmp_path, {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_missing_and_damaged_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=CURVES):
        load_curves(tmp_path)
    save_curves({"curve": curve(np.zeros((2, 1)))}, tmp_path)
    (tmp_path / ARRAYS).write_bytes(b"nonsense")
    with pytest.raises(InvalidInputError, match="Compute the curves again"):
        load_curves(tmp_path)
    save_curves({"curve": curve(np.zeros((2, 1)))}, tmp_path)
    save_curves({"curve": curve(np.zeros((2, 2)))}, tmp_path / "other")
    (tmp_path / "other" / ARRAYS).replace(tmp_path / ARRAYS)
    with pytest.raises(InvalidInputError, match="damaged"):
        load_curves(tmp_path)
    content = json.loads((tmp_path / CURVES).read_text())
    (tmp_path / CURVES).write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(InvalidInputError, match="format 99"):
        load_curves(tmp_path)
