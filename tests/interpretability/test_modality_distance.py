"""Distance of two modalities: known geometry, unbiasedness, matched concepts, undefined cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.modality_distance import ModalityDistance, compare_modalities
from audioprobe.interpretability.probe_estimates import ProbeSettings
from audioprobe.metrics.bootstrap import Bootstrap


def drawn(seed: int, n_items: int = 20, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_items, width))


def compare(first: np.ndarray, second: np.ndarray, **options: object) -> ModalityDistance:
    arguments = {"settings": ProbeSettings(bootstrap=Bootstrap(n_resamples=100))} | options
    return compare_modalities(first, second, **arguments)  # type: ignore[arg-type]


def test_equal_modalities_match_and_cannot_be_separated() -> None:
    states = drawn(0)
    result = compare(states, states)
    assert result.centroid_distance == 0.0
    assert result.squared_distance.value == 0.0
    assert result.separability.value == pytest.approx(0.5)
    assert result.matched_cosine.value == 1.0
    assert result.retrieval.value == 1.0
    assert result.chance_retrieval == 1 / 20


def test_opposite_modalities_have_the_largest_distance() -> None:
    states = np.array([[1.0, 0.01 * n] for n in range(-6, 6)])
    result = compare(states, -states)
    assert result.centroid_distance == pytest.approx(2.0, abs=0.01)
    assert result.squared_distance.value == pytest.approx(4.0, abs=0.01)
    assert result.separability.value == 1.0
    assert result.matched_cosine.value == pytest.approx(-1.0)
    assert result.retrieval.value == 0.0


def test_offset_separates_modalities_and_centring_restores_the_matches() -> None:
    states = drawn(0)
    result = compare(states + 3, states + 0.1 * drawn(1) - 3)
    assert (result.squared_distance.low or 0) > 1
    assert result.separability.value == 1.0
    assert (result.matched_cosine.value or 0) < 0
    assert (result.cosine_difference.low or 0) > 0
    assert (result.retrieval.value or 0) > 0.8


def test_values_agree_with_loops_over_pairs() -> None:
    first, second = drawn(0, 8), drawn(1, 8) + drawn(0, 8) + 0.5
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
    pairs = [(i, j) for i in range(8) for j in range(8) if i != j]
    result = compare(first, second)
    squared = np.mean([(x[i] - y[i]) @ (x[j] - y[j]) for i, j in pairs])
    unmatched = np.mean([x[i] @ y[j] for i, j in pairs])
    assert result.squared_distance.value == pytest.approx(squared)
    assert result.unmatched_cosine.value == pytest.approx(unmatched)
    matched = np.mean([x[i] @ y[i] for i in range(8)])
    assert result.cosine_difference.value == pytest.approx(matched - unmatched)
    centred = [v - v.mean(axis=0) for v in (x, y)]
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in centred)
    hits = [*((a @ b.T).argmax(axis=1) == range(8)), *((b @ a.T).argmax(axis=1) == range(8))]
    assert result.retrieval.value == pytest.approx(np.mean(hits))


def test_only_the_plain_distance_of_equal_distributions_is_above_zero() -> None:
    results = [compare(drawn(seed), drawn(seed + 500)) for seed in range(30)]
    assert min(r.centroid_distance or 0 for r in results) > 0.15
    squared = [r.squared_distance.value or 0 for r in results]
    assert np.mean(squared) == pytest.approx(0.0, abs=0.02)
    assert min(squared) < 0 < max(squared)
    separability = [r.separability.value for r in results if r.separability.value is not None]
    assert len(separability) == 30
    assert np.mean(separability) == pytest.approx(0.5, abs=0.06)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.floats(-20, 20))
def test_distances_are_symmetric_and_invariant_to_rotation_and_scale(
    seed: int, exponent: float
) -> None:
    first, second = drawn(seed), drawn(seed) + drawn(seed + 1) + 1
    turn, _ = np.linalg.qr(drawn(seed + 2, 12, 12))
    result, other = compare(first, second), compare(second, first)
    turned = compare(first @ turn * 10.0**exponent, second @ turn * 10.0**exponent)
    for again in (other, turned):
        assert again.centroid_distance == pytest.approx(result.centroid_distance)
        for name in ("squared_distance", "matched_cosine", "unmatched_cosine", "retrieval"):
            expected = getattr(result, name).value
            assert getattr(again, name).value == pytest.approx(expected, abs=1e-9)


def test_items_are_averaged_by_concept_and_unshared_concepts_counted() -> None:
    names = [f"c{n:02}" for n in range(20)]
    states, noise = drawn(0), drawn(1)
    clips = np.concatenate([states + noise, states - noise])
    result = compare(
        states,
        np.concatenate([clips, drawn(2, 1)]),
        first_concepts=names,
        second_concepts=[*names, *names, "only audio"],
    )
    assert result.n_left_out == 1
    assert result.matched_cosine.value == pytest.approx(1.0)
    assert result.matched_cosine.n_groups == 20


def test_zero_states_have_no_cosine_and_are_not_counted_as_zero() -> None:
    states = drawn(0) * (np.arange(20) > 1)[:, None]
    result = compare(states, drawn(1))
    assert result.centroid_distance is None
    assert result.retrieval.value is None
    assert result.retrieval.method == "2 concepts have a state of norm 0"
    assert result.separability.value is not None
    assert "undefined" in repr(result)


def test_invalid_states_are_rejected() -> None:
    with pytest.raises(InvalidInputError, match=r"same space, got shapes \(20, 12\) and \(20, 11"):
        compare(drawn(0), drawn(0)[:, 1:])
    with pytest.raises(InvalidInputError, match="at least two concepts"):
        compare(drawn(0, 1), drawn(0, 1))
