"""Distance of two modalities in the same space: means, separability and matched pairs.

Conventions:
    States are finite numbers of shape (n_items, width), at one site for text and for audio. Items
    of a concept are averaged first; intervals resample concepts. Vectors are divided by their norm
    before distances and cosines are computed.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.linear_probe import linear_probe
from audioprobe.interpretability.matched_concepts import matched_concepts
from audioprobe.interpretability.probe_estimates import (
    DEFAULT_SETTINGS,
    ProbeSettings,
    measures_table,
    undefined,
)
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.ranked_labels import quotient
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModalityDistance(Displayed):
    """Distance of the states of two modalities, over the concepts that both have.

    All estimates but `separability` are undefined if a concept has a state of norm 0.

    Attributes:
        centroid_distance: distance of the centroids of the normalized states, in [0, 2] (Liang et
            al., "Mind the gap", NeurIPS 2022). With n concepts it is above 0 by chance.
        squared_distance: unbiased estimate of the square of this distance between populations; 0 is
            expected, and negative values are possible, for modalities with the same mean.
        separability: AUC of a linear classifier of the modality on other concepts; 0.5 if the
            modalities are not linearly separable.
        matched_cosine: mean cosine of the two states of a concept.
        unmatched_cosine: mean cosine of states of two different concepts, one of each modality.
        cosine_difference: matched minus unmatched cosine.
        retrieval: share of states whose nearest state of the other modality is that of the same
            concept, by cosine after the centroid of each modality is subtracted; mean of both
            directions.
        chance_retrieval: retrieval of random states, 1 / number of concepts.
        n_left_out: number of concepts that only one modality has.
    """

    centroid_distance: float | None
    squared_distance: Estimate
    separability: Estimate
    matched_cosine: Estimate
    unmatched_cosine: Estimate
    cosine_difference: Estimate
    retrieval: Estimate
    chance_retrieval: float
    n_left_out: int

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per measure, and a sentence with the number of concepts."""
        rows = (
            ("squared distance of centroids", self.squared_distance, 0.0),
            ("linear separability (AUC)", self.separability, 0.5),
            ("cosine, same concept", self.matched_cosine, None),
            ("cosine, different concepts", self.unmatched_cosine, None),
            ("difference of cosines", self.cosine_difference, 0.0),
            ("retrieval after centring", self.retrieval, self.chance_retrieval),
        )
        n = self.matched_cosine.n + self.matched_cosine.n_undefined
        return (measures_table(rows),), (f"{n} concepts, {self.n_left_out} left out.",)


def compare_modalities(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    first_concepts: Sequence[Hashable] | None = None,
    second_concepts: Sequence[Hashable] | None = None,
    settings: ProbeSettings = DEFAULT_SETTINGS,
) -> ModalityDistance:
    """Compute how far apart the states of two modalities are, and whether concepts match.

    Args:
        first: states of the first modality, shape (n_items, width).
        second: states of the second modality, with the same width.
        first_concepts: concept of each item; None means that both modalities have one item per
            concept in the same order.
        second_concepts: concept of each item of the second modality.
        settings: folds, L2 penalty and seed of the classifier, and intervals of all estimates.

    Raises:
        InvalidInputError: if a state is not finite, widths or numbers of items differ, or there are
            fewer than two shared concepts.
    """
    sides, n_left_out = matched_concepts({"": first}, {"": second}, first_concepts, second_concepts)
    a, b = (side[""] for side in sides)
    if a.shape[1] != b.shape[1] or len(a) < 2:
        raise InvalidInputError(
            "Expected states of at least two concepts in the same space, got shapes "
            f"{a.shape} and {b.shape}."
        )
    separability = linear_probe(
        np.concatenate([a, b]),
        [0] * len(a) + [1] * len(b),
        groups=[*range(len(a)), *range(len(b))],
        n_controls=1,
        n_orders=1,
        settings=settings,
    ).auc
    distance, estimates = _normalized_measures(a, b, settings.bootstrap)
    return ModalityDistance(
        centroid_distance=distance,
        squared_distance=estimates[0],
        separability=separability,
        matched_cosine=estimates[1],
        unmatched_cosine=estimates[2],
        cosine_difference=estimates[3],
        retrieval=estimates[4],
        chance_retrieval=1 / len(a),
        n_left_out=n_left_out,
    )


def _normalized_measures(
    first: Float64Array, second: Float64Array, bootstrap: Bootstrap
) -> tuple[float | None, list[Estimate]]:
    """Return the distance of the centroids, and the estimates of `_statistics`."""
    n_concepts = len(first)
    norms = [np.linalg.norm(side, axis=1, keepdims=True) for side in (first, second)]
    n_zero = int(((norms[0] == 0) | (norms[1] == 0)).sum())
    if n_zero:
        return None, [undefined(n_concepts, f"{n_zero} concepts have a state of norm 0")] * 5
    x, y = first / norms[0], second / norms[1]
    estimates = [
        bootstrap.estimate(statistic, n_concepts, groups=list(range(n_concepts)), unit="concepts")
        for statistic in _statistics(x, y)
    ]
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))), estimates


def _statistics(x: Float64Array, y: Float64Array) -> list[Statistic]:
    """Return the statistics of normalized states, in the order of the attributes."""
    cosines, difference = x @ y.T, x - y
    matched, unmatched = mean(np.diag(cosines)), _mean_of_pairs(cosines)

    def gap(counts: Float64Array) -> Float64Array:
        return matched(counts) - unmatched(counts)

    return [
        _mean_of_pairs(difference @ difference.T),
        matched,
        unmatched,
        gap,
        mean(_retrieved(x, y)),
    ]


def _mean_of_pairs(matrix: Float64Array) -> Statistic:
    """Return a function that computes the mean over pairs of different items in every resample.

    Copies of an item in a resample do not count as pairs; with a single item it is undefined.
    """
    diagonal = np.diag(matrix)

    def statistic(counts: Float64Array) -> Float64Array:
        squares = counts**2
        sums = np.einsum("rn,rn->r", counts @ matrix, counts) - squares @ diagonal
        n_pairs = counts.sum(axis=1) ** 2 - squares.sum(axis=1)
        return quotient(sums, n_pairs)

    return statistic


def _retrieved(x: Float64Array, y: Float64Array) -> Float64Array:
    """Return the share of the two directions in which each concept retrieves itself.

    If several states are equally near, each of them counts in part. A concept whose state is the
    centroid itself retrieves all concepts alike.
    """
    centred = [side - side.mean(axis=0) for side in (x, y)]
    norms = [np.linalg.norm(side, axis=1, keepdims=True) for side in centred]
    a, b = (
        np.divide(side, norm, out=np.zeros_like(side), where=norm > 1e-12)
        for side, norm in zip(centred, norms, strict=True)
    )
    cosines = (a @ b.T).round(12)
    shares = []
    for matrix in (cosines, cosines.T):
        is_best = matrix == matrix.max(axis=1, keepdims=True)
        shares.append(np.diag(is_best) / is_best.sum(axis=1))
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)
