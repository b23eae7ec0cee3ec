"""Similarity of the layers of two sets of states, tested against permutations of the concepts.

Conventions:
    States of a layer are finite numbers of shape (n_items, width). Items of a concept are averaged
    first, so that the unit of comparison is the concept. Concepts that only one side has are left
    out, and counted.

    A value depends on the number of concepts, and on the width and the noise of the states, so it
    has a meaning only beside its null distribution: the concepts of one side are permuted, in all
    layers alike. The threshold of the maximum over all pairs of layers accounts for the choice of
    the best pair.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.matched_concepts import States, matched_concepts
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.significance import ROUNDING
from audioprobe.metrics.similarity import SimilarityMeasure, relation_matrix
from audioprobe.types import Float64Array

Pairing: TypeAlias = Literal["all", "same"]
"""Which layers are compared: each with each, or those of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPair:
    """Similarity of a layer of the first side and a layer of the second side.

    Attributes:
        first: name of the first layer.
        second: name of the second layer.
        value: similarity; None if it is undefined, as in a layer with equal states.
        null_mean: mean over permutations of the concepts.
        excess: value minus null mean.
        null_quantile: quantile over permutations for this pair alone, at the level of the result.
        threshold: value above which the pair is significant after correction for all pairs.
        p_value: share of permutations with at least this similarity.
        corrected_p_value: share of permutations in which any pair exceeds its null mean by at least
            as many standard deviations as this pair (single-step max-T; Westfall and Young 1993).
    """

    first: str
    second: str
    value: float | None
    null_mean: float | None
    excess: float | None
    null_quantile: float | None
    threshold: float | None
    p_value: float | None
    corrected_p_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LayerSimilarity(TidyData, Displayed):
    """Similarity of pairs of layers.

    Attributes:
        measure: name of the measure.
        pairs: one entry per pair of layers, in the order of the layers.
        n_concepts: number of compared concepts.
        n_left_out: number of concepts that only one side has.
        n_permutations: number of random permutations; the observed order counts as one more.
        level: level of the quantile and of the threshold.
    """

    measure: SimilarityMeasure
    pairs: tuple[LayerPair, ...]
    n_concepts: int
    n_left_out: int
    n_permutations: int
    level: float

    @property
    def best(self) -> LayerPair | None:
        """The pair with the smallest corrected p-value, then the largest excess."""
        ranked = [
            (pair.corrected_p_value, -pair.excess, number)
            for number, pair in enumerate(self.pairs)
            if pair.corrected_p_value is not None and pair.excess is not None
        ]
        return self.pairs[min(ranked)[2]] if ranked else None

    def data(self) -> DataTable:
        """Return a table with one row per pair of layers."""
        names = [field.name for field in fields(LayerPair)]
        rows = [(self.measure, *(getattr(p, name) for name in names)) for p in self.pairs]
        return DataTable.from_rows(("measure", *names), rows)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per pair, and a sentence with the numbers of the test."""
        rows = tuple(
            (
                p.first,
                p.second,
                *map(_cell, (p.value, p.null_mean, p.threshold)),
                *map(_cell, (p.p_value, p.corrected_p_value)),
            )
            for p in self.pairs
        )
        header = ("first", "second", self.measure, "null", "threshold", "p", "corrected p")
        sentence = (
            f"{self.n_concepts} concepts, {self.n_left_out} left out; {self.n_permutations} "
            f"permutations; p-values are corrected for {len(self.pairs)} pairs by the maximum."
        )
        return (Table(header, rows, (2, 3, 4, 5, 6)),), (sentence,)


def compare_layers(
    first: States,
    second: States,
    *,
    measure: SimilarityMeasure = "cka",
    first_concepts: Sequence[Hashable] | None = None,
    second_concepts: Sequence[Hashable] | None = None,
    pairing: Pairing = "all",
    k: int = 10,
    n_permutations: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> LayerSimilarity:
    """Compare layers of two sides, such as text and audio states of the same concepts.

    The null hypothesis is that the concepts of both sides are matched at random. The maximum over
    pairs follows Westfall and Young (1993): the similarity of each pair is standardized by the mean
    and the standard deviation over its permutations, so that layers of different width or noise
    have the same weight.

    Args:
        first: states by layer of the first side; all layers have the same items.
        second: states by layer of the second side; widths may differ.
        measure: "cka" (unbiased linear CKA), "rsa" (cosine distances) or "mutual-knn".
        first_concepts: concept of each item of the first side; None means that both sides have one
            item per concept in the same order.
        second_concepts: concept of each item of the second side; required with `first_concepts`.
        pairing: "all" compares each layer with each, "same" layers of the same name.
        k: number of neighbours of "mutual-knn", less than the number of concepts minus 1.
        n_permutations: number of random permutations of the concepts, at least 1.
        level: level of the quantile and of the threshold, in (0, 1).
        seed: random seed of the permutations.

    Raises:
        InvalidInputError: if an argument is out of range, a layer has no states, the numbers of
            items differ, or there are too few concepts for the measure.
    """
    if n_permutations < 1 or not 0 < level < 1 or pairing not in get_args(Pairing):
        raise InvalidInputError(
            "Expected n_permutations >= 1, 0 < level < 1 and pairing 'all' or 'same', got "
            f"{n_permutations}, {level} and {pairing!r}."
        )
    (left, right), n_left_out = matched_concepts(first, second, first_concepts, second_concepts)
    compared = _pairs(tuple(left), tuple(right), pairing)
    a, b = (
        {name: relation_matrix(values, measure, k=k) for name, values in side.items()}
        for side in (left, right)
    )
    defined = [(x, y) for x, y in compared if a[x] is not None and b[y] is not None]
    values = _permuted(a, b, defined, n_permutations=n_permutations, seed=seed)
    tested = dict(zip(defined, _tested(values, defined, level), strict=True))
    return LayerSimilarity(
        measure=measure,
        pairs=tuple(tested.get(pair) or _undefined_pair(*pair) for pair in compared),
        n_concepts=len(next(iter(left.values()))),
        n_left_out=n_left_out,
        n_permutations=n_permutations,
        level=level,
    )


def _pairs(
    first: tuple[str, ...], second: tuple[str, ...], pairing: Pairing
) -> list[tuple[str, str]]:
    if pairing == "all":
        return [(a, b) for a in first for b in second]
    if set(first) != set(second):
        differing = sorted(set(first) ^ set(second))
        raise InvalidInputError(
            f"Layers of the same name need both sides, but only one side has {differing}. Remove "
            "these layers, or compare all pairs."
        )
    return [(name, name) for name in first]


def _permuted(
    first: Mapping[str, Float64Array | None],
    second: Mapping[str, Float64Array | None],
    pairs: Sequence[tuple[str, str]],
    *,
    n_permutations: int,
    seed: int,
) -> Float64Array:
    """Return the similarity of each pair, shape (1 + n_permutations, n_pairs).

    The first row is the observed order of the concepts.
    """
    if not pairs:
        return np.empty((1 + n_permutations, 0))
    rows, columns = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    a = np.stack([matrix for name in rows if (matrix := first[name]) is not None])
    b = np.stack([matrix.ravel() for name in columns if (matrix := second[name]) is not None])
    at = [rows.index(x) for x, _ in pairs], [columns.index(y) for _, y in pairs]
    rng, order = np.random.default_rng(seed), np.arange(a.shape[1])
    values = np.empty((1 + n_permutations, len(pairs)))
    for number in range(len(values)):
        shuffled = a[:, order[:, None], order].reshape(len(a), -1)
        values[number] = (shuffled @ b.T)[at]
        order = rng.permutation(a.shape[1])
    return values


def _tested(
    values: Float64Array, pairs: Sequence[tuple[str, str]], level: float
) -> list[LayerPair]:
    """Return values, null distributions and p-values; the first row of `values` is observed."""
    if not pairs:
        return []
    means, deviations = values.mean(axis=0), values.std(axis=0)
    is_constant = deviations <= ROUNDING
    scores = np.where(is_constant, 0.0, values - means) / np.where(is_constant, 1.0, deviations)
    largest = scores.max(axis=1)
    quantiles = np.quantile(values, level, axis=0, method="higher")
    limit = np.quantile(largest, level, method="higher")
    return [
        LayerPair(
            first=first,
            second=second,
            value=float(values[0, n]),
            null_mean=float(means[n]),
            excess=float(values[0, n] - means[n]),
            null_quantile=float(quantiles[n]),
            threshold=float(means[n] + limit * deviations[n]),
            p_value=float(np.mean(values[:, n] >= values[0, n] - ROUNDING)),
            corrected_p_value=float(np.mean(largest >= scores[0, n] - ROUNDING)),
        )
        for n, (first, second) in enumerate(pairs)
    ]


def _undefined_pair(first: str, second: str) -> LayerPair:
    return LayerPair(
        first=first, second=second, value=None, null_mean=None, excess=None, null_quantile=None,
        threshold=None, p_value=None, corrected_p_value=None,
    )  # fmt: skip


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
