"""Curves over sites: bands and tests over concepts."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.metrics.bootstrap import Bootstrap

FEW = Bootstrap(n_resamples=200)


def curve(
    values: npt.NDArray[Any], per_concept: int = 1, **controls: npt.NDArray[Any]
) -> SiteCurve:
    n_items, n_places = values.shape
    return SiteCurve(
        measure="effect",
        places=tuple(Place(f"lm.resid.{n}", "last") for n in range(n_places)),
        concepts=tuple(n // per_concept for n in range(n_items)),
        values=values,
        controls=controls,
    )


def test_band_and_test_have_the_promised_error_rates() -> None:
    rng = np.random.default_rng(0)
    n_missed = n_significant = 0
    n_runs, n_concepts, n_places = 120, 20, 12
    for run in range(n_runs):
        common = rng.normal(size=(n_concepts, 1))
        values = 1 + common + rng.normal(size=(n_concepts, n_places))
        points = curve(values).points(Bootstrap(n_resamples=200, seed=run))
        missed = [not p.estimate.low <= 1 <= p.estimate.high for p in points]  # type: ignore[operator]
        n_missed += any(missed)
        points = curve(values - 1).points(FEW)
        n_significant += any(p.p_value is not None and p.p_value <= 0.05 for p in points)
    # Binomial with 120 runs and a rate of .05: 12 or more errors have probability .02.
    assert n_missed <= 12
    assert n_significant <= 12


def test_an_effect_is_found_at_its_place_only() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(24, 6))
    values[:, 3] += 3
    points = curve(values).points()
    assert [p.p_value is not None and p.p_value < 0.01 for p in points] == [
        n == 3 for n in range(6)
    ]
    low = points[3].difference.low
    assert low is not None
    assert low > 0


def test_the_unit_is_the_concept_not_the_item() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal(size=(8, 3))
    repeated = curve(np.repeat(means, 50, axis=0), per_concept=50)
    for first, many in zip(curve(means).points(), repeated.points(), strict=True):
        assert many.estimate.value == pytest.approx(first.estimate.value)
        assert many.estimate.low == pytest.approx(first.estimate.low)
        assert many.p_value == first.p_value
        assert many.estimate.n_groups == 8


def test_undefined_values_are_left_out_and_counted() -> None:
    values = np.arange(12.0).reshape(6, 2)
    values[4:, 1] = np.nan
    points = curve(values).points()
    assert points[1].estimate.value == pytest.approx(values[:4, 1].mean())
    assert (points[1].estimate.n, points[1].estimate.n_undefined) == (4, 2)
    nothing = curve(np.full((6, 2), np.nan)).points()
    assert all(p.estimate.value is None and p.p_value is None for p in nothing)
    few = curve(np.array([[1.0], [2.0]])).points()
    assert few[0].estimate.value == 1.5
    assert few[0].estimate.low is None
    assert few[0].p_value is None


def test_the_first_control_is_the_reference() -> None:
    rng = np.random.default_rng(3)
    control = rng.normal(size=(20, 4))
    points = curve(control + 0.5, noise=control, zero=control * 0).points()
    for point in points:
        assert point.difference.value == pytest.approx(0.5)
        assert point.control is not None
        assert point.p_value == pytest.approx(1 / 2001, abs=1e-3)


def test_parts_of_a_curve_keep_items_and_controls_together() -> None:
    values = np.arange(12.0).reshape(4, 3)
    whole = curve(values, zero=values * 0)
    part = whole.only(np.array([True, False, True, False]))
    assert part.concepts == (0, 2)
    np.testing.assert_array_equal(part.values, values[[0, 2]])
    assert whole.at(sites=["lm.resid.1"]).values.tolist() == values[:, 1:2].tolist()
    assert whole.at(span="audio").places == ()
    table = whole.data().columns
    assert table["value"] == values.ravel().tolist()
    assert list(table) == ["item", "concept", "site", "span", "value", "zero"]


@given(st.integers(3, 8), st.integers(1, 4), st.integers(0, 1000))
def test_order_of_items_does_not_matter(n_concepts: int, n_places: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2 * n_concepts, n_places))
    whole = curve(values, per_concept=2)
    order = [*range(0, 2 * n_concepts, 2), *range(1, 2 * n_concepts, 2)]
    other = SiteCurve(
        measure="effect",
        places=whole.places,
        concepts=tuple(whole.concepts[n] for n in order),
        values=values[order],
        controls={},
    )
    for first, second in zip(whole.points(FEW), other.points(FEW), strict=True):
        assert first.estimate.value == pytest.approx(second.estimate.value)
        assert first.p_value == second.p_value


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        curve(np.zeros((3, 2)), noise=np.zeros((3, 1)))


def test_a_curve_is_displayed_and_drawn() -> None:
    rng = np.random.default_rng(4)
    whole = curve(rng.normal(size=(6, 5)), noise=rng.normal(size=(6, 5)))
    (table,), (sentence,) = whole.displayed()
    assert len(table.rows) == 5
    assert "6 concepts" in sentence
    axes = whole.plot()
    assert [line.get_label() for line in axes.get_lines()][1:] == ["last", "last, control"]
