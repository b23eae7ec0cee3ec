"""Similarity of layers: known answers, size of the permutation test, concepts, undefined pairs."""

from collections.abc import Callable

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.similarity import LayerSimilarity, compare_layers
from audioprobe.metrics.similarity import SimilarityMeasure, linear_cka, mutual_knn, rsa

MEASURES: tuple[SimilarityMeasure, ...] = ("cka", "rsa", "mutual-knn")


def drawn(seed: int, n_items: int = 20, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_items, width))


def compare(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray], **options: object
) -> LayerSimilarity:
    return compare_layers(first, second, **{"n_permutations": 99, "k": 4} | options)  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", MEASURES)
def test_rotated_layer_is_found_among_unrelated_ones(measure: SimilarityMeasure) -> None:
    turn, _ = np.linalg.qr(drawn(9, 8, 8))
    text = {f"layer {n}": drawn(n) for n in range(3)}
    audio = {"early": drawn(7), "late": 5 * text["layer 1"] @ turn}
    result = compare(text, audio, measure=measure)
    assert len(result.pairs) == 6
    assert result.best is not None
    assert (result.best.first, result.best.second) == ("layer 1", "late")
    assert result.best.value == pytest.approx(1.0)
    assert result.best.corrected_p_value == 1 / 100
    others = [pair for pair in result.pairs if pair is not result.best]
    assert all((pair.corrected_p_value or 0) > 0.05 for pair in others)


def test_values_are_those_of_the_measures_and_p_values_are_ordered() -> None:
    first, second = {"a": drawn(0), "b": drawn(1)}, {"c": drawn(2, width=3) + drawn(0)[:, :3]}
    measures: dict[SimilarityMeasure, Callable[[np.ndarray, np.ndarray], float | None]] = {
        "cka": lambda x, y: linear_cka(x, y, unbiased=True),
        "rsa": rsa,
        "mutual-knn": lambda x, y: mutual_knn(x, y, k=4),
    }
    for measure, of_pair in measures.items():
        for pair in compare(first, second, measure=measure).pairs:
            assert pair.value == pytest.approx(of_pair(first[pair.first], second[pair.second]))
            assert pair.value is not None
            assert pair.p_value is not None
            assert pair.corrected_p_value is not None
            assert pair.p_value <= pair.corrected_p_value
            assert pair.threshold is not None
            assert (pair.value > pair.threshold) == (pair.corrected_p_value <= 0.05)
            assert pair.excess == pytest.approx(pair.value - (pair.null_mean or 0.0))


def test_permutation_null_of_one_pair_agrees_with_permuted_states() -> None:
    first, second = drawn(0), drawn(1) + drawn(0)
    (pair,) = compare({"a": first}, {"b": second}, measure="rsa", n_permutations=50, seed=3).pairs
    rng = np.random.default_rng(3)
    orders = [np.arange(20), *(rng.permutation(20) for _ in range(50))]
    null = [rsa(first[order], second) or np.nan for order in orders]
    assert pair.null_mean == pytest.approx(np.mean(null))
    assert pair.p_value == pytest.approx(np.mean(np.array(null) >= null[0]))
    assert pair.null_quantile == pytest.approx(sorted(null)[48])


@pytest.mark.parametrize("measure", MEASURES)
def test_best_of_many_unrelated_layers_is_rarely_significant(measure: SimilarityMeasure) -> None:
    smallest, uncorrected = [], []
    for seed in range(150):
        text, audio = (
            {str(n): drawn(1000 * side + 10 * seed + n, 12, 3 + 20 * n) for n in range(3)}
            for side in (1, 2)
        )
        pairs = compare(text, audio, measure=measure, n_permutations=39).pairs
        smallest.append(min(p.corrected_p_value or 0 for p in pairs))
        uncorrected.append(min(p.p_value or 0 for p in pairs))
    assert 0 < np.mean(np.array(smallest) <= 0.1) < 0.18  # 0.1 is expected
    assert np.mean(np.array(uncorrected) <= 0.1) > 0.3  # without the maximum: far too many


def test_items_of_a_concept_are_averaged_and_unshared_concepts_counted() -> None:
    names = [f"c{n:02}" for n in range(12)]
    text, audio = drawn(0, 12), drawn(1, 12) + drawn(0, 12)
    order = np.random.default_rng(0).permutation(24)
    clips = np.concatenate([audio + drawn(5, 12), audio - drawn(5, 12)])[order]
    clip_concepts = [(names * 2)[n] for n in order]
    result = compare(
        {"a": np.concatenate([text, drawn(8, 2)])},
        {"b": clips},
        first_concepts=[*names, "only text", "only text"],
        second_concepts=clip_concepts,
    )
    assert result.n_concepts == 12
    assert result.n_left_out == 1
    expected = compare({"a": text}, {"b": audio})
    assert result.pairs[0].value == pytest.approx(expected.pairs[0].value)
    assert result.pairs[0].p_value == expected.pairs[0].p_value


def test_constant_layer_is_undefined_and_others_stay_tested() -> None:
    text = {"embedding": np.ones((20, 8)), "late": drawn(0)}
    result = compare(text, text, pairing="same")
    constant, late = result.pairs
    assert constant.value is None
    assert constant.corrected_p_value is None
    assert late.value == pytest.approx(1.0)
    assert result.best == late
    assert "–" in repr(result)
    nothing = compare({"a": np.ones((20, 8))}, {"a": drawn(0)})
    assert nothing.pairs[0].p_value is None
    assert nothing.best is None


def test_tidy_table_has_a_row_per_pair() -> None:
    columns = compare({"a": drawn(0), "b": drawn(1)}, {"c": drawn(2)}).data().columns
    assert columns["measure"] == ["cka", "cka"]
    assert columns["first"] == ["a", "b"]
    assert list(columns)[-2:] == ["p_value", "corrected_p_value"]


def test_invalid_arguments_are_rejected() -> None:
    layer = {"a": drawn(0)}
    with pytest.raises(InvalidInputError, match="one item per concept on both sides, got 20 and 9"):
        compare(layer, {"a": drawn(0, 9)})
    with pytest.raises(InvalidInputError, match=r"same items in all layers .* got \[19, 20\]"):
        compare({"a": drawn(0), "b": drawn(0, 19)}, layer)
    with pytest.raises(InvalidInputError, match="concepts of both sides"):
        compare(layer, layer, first_concepts=list(range(20)))
    with pytest.raises(InvalidInputError, match="no concept that both sides have"):
        compare(layer, layer, first_concepts=["x"] * 20, second_concepts=["y"] * 20)
    with pytest.raises(InvalidInputError, match="a concept for each item, got missing"):
        compare(layer, layer, first_concepts=[None] * 20, second_concepts=["y"] * 20)
    with pytest.raises(InvalidInputError, match=r"only one side has \['a', 'b'\]"):
        compare(layer, {"b": drawn(0)}, pairing="same")
    with pytest.raises(InvalidInputError, match="n_permutations >= 1"):
        compare(layer, layer, n_permutations=0)
    with pytest.raises(InvalidInputError, match="k=19 for 20 items"):
        compare(layer, layer, measure="mutual-knn", k=19)
