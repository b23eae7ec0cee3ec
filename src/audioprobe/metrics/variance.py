"""Shares of variance: items of clusters that are measured in several variants.

Each item (a question about a concept) has one value per variant (a wording of the question). In a
stratum (such as a relation) all items have the same variants. The sum of squares about the mean of
each stratum is the sum of five parts, because every item has all variants:

- clusters: differences between the means of the clusters (concepts);
- items: differences between the means of the items of a cluster;
- variants: differences between the means of the variants;
- interaction: variants that differ in another way for one cluster than for the others;
- residual: variants that differ in another way for one item than for others of its cluster.

The decomposition is a two-way analysis of variance with nested items and without replication
(Searle, Casella and McCulloch 1992).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.types import Estimate, Float64Array

Component: TypeAlias = Literal["clusters", "items", "variants", "interaction", "residual"]
COMPONENTS: tuple[Component, ...] = get_args(Component)

_ROUNDING = 1e-9  # a smaller sum of squares is a rounding error


@dataclass(frozen=True, slots=True)
class VarianceShare:
    """Share of a part in the total sum of squares.

    Attributes:
        share: share in [0, 1]; the interval resamples clusters. The value is None if all values of
            each stratum are equal.
        chance: expected share if the values of each stratum were assigned to items and variants at
            random: the degrees of freedom of the part divided by those of the total, weighted by
            the sums of squares of the strata. None if all values of each stratum are equal.
    """

    share: Estimate
    chance: float | None


def variance_shares(
    values: Sequence[Sequence[float]],
    clusters: Sequence[Hashable],
    strata: Sequence[Hashable],
    bootstrap: Bootstrap,
    *,
    unit: str = "",
) -> dict[Component, VarianceShare]:
    """Return the share of each part in the variance of the values.

    Args:
        values: for each item, its value in each variant; in one stratum all items have equally
            many.
        clusters: cluster of each item.
        strata: stratum of each item; clusters may have items in several strata.
        bootstrap: settings of the intervals.
        unit: plural name of the clusters.

    Raises:
        InvalidInputError: if the arguments differ in length, or the items of a stratum have
            different numbers of variants.
    """
    if not len(values) == len(clusters) == len(strata):
        raise InvalidInputError(
            f"Expected values, a cluster and a stratum per item, got {len(values)}, "
            f"{len(clusters)} and {len(strata)}."
        )
    tables = [
        _Stratum([n for n, other in enumerate(strata) if other == stratum], values, clusters)
        for stratum in dict.fromkeys(strata)
    ]
    weights = [table.sums(np.ones((1, len(values))))["total"][0] for table in tables]
    total = float(sum(weights))

    def share(component: Component) -> VarianceShare:
        def statistic(counts: Float64Array) -> Float64Array:
            sums = [table.sums(counts) for table in tables]
            part, whole = np.zeros(len(counts)), np.zeros(len(counts))
            for of_stratum in sums:
                part += of_stratum[component]
                whole += of_stratum["total"]
            return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > _ROUNDING)

        estimate = bootstrap.estimate(statistic, len(values), groups=clusters, unit=unit)
        if total <= _ROUNDING:
            return VarianceShare(estimate, None)
        expected = (
            weight * table.degrees[component] / sum(table.degrees.values())
            for table, weight in zip(tables, weights, strict=True)
            if weight > _ROUNDING
        )
        return VarianceShare(estimate, float(sum(expected)) / total)

    return {component: share(component) for component in COMPONENTS}


class _Stratum:
    """Values of the items of one stratum, prepared for sums of squares of many resamples.

    Args:
        positions: positions of the items of the stratum.
        values: values of all items.
        clusters: clusters of all items.

    Attributes:
        degrees: degrees of freedom of each part; they add up to the number of values minus one.
    """

    def __init__(
        self,
        positions: Sequence[int],
        values: Sequence[Sequence[float]],
        clusters: Sequence[Hashable],
    ) -> None:
        sizes = {len(values[n]) for n in positions}
        if len(sizes) != 1:
            raise InvalidInputError(
                f"Expected equally many variants for all items of a stratum, got {sorted(sizes)}."
            )
        self._positions = list(positions)
        self._table = np.array([values[n] for n in positions], dtype=np.float64)
        numbers: dict[Hashable, int] = {}
        of_item = np.array([numbers.setdefault(clusters[n], len(numbers)) for n in positions])
        sums = np.zeros((len(numbers), self._table.shape[1]))
        np.add.at(sums, of_item, self._table)
        self._cells = (sums / np.bincount(of_item)[:, None])[of_item]  # of each item's cluster
        n_items, n_variants = self._table.shape
        n_clusters = len(numbers)
        self.degrees: Mapping[Component, int] = {
            "clusters": n_clusters - 1,
            "items": n_items - n_clusters,
            "variants": n_variants - 1,
            "interaction": (n_clusters - 1) * (n_variants - 1),
            "residual": (n_items - n_clusters) * (n_variants - 1),
        }

    def sums(self, counts: Float64Array) -> dict[str, Float64Array]:
        """Return the sum of squares of each part and of the total in each resample.

        Args:
            counts: how often each resample contains each item of all strata, shape (n_resamples,
                n_items); equal for all items of a cluster.
        """
        counts = counts[:, self._positions]
        table, cells = self._table, self._cells
        n_variants = table.shape[1]
        items, clusters = table.mean(axis=1), cells.mean(axis=1)
        n_items = counts.sum(axis=1)
        present = np.maximum(n_items, 1)  # all sums are 0 in a resample without items
        mean = counts @ items / present
        by_variant = counts @ table / present[:, None]
        variants = n_items * ((by_variant**2).sum(axis=1) - n_variants * mean**2)
        between_cells = counts @ (cells**2).sum(axis=1) - n_variants * (counts @ clusters**2)
        deviations = table - items[:, None] - cells + clusters[:, None]
        return {
            "clusters": n_variants * (counts @ clusters**2 - n_items * mean**2),
            "items": n_variants * (counts @ (items - clusters) ** 2),
            "variants": variants,
            "interaction": between_cells - variants,
            "residual": counts @ (deviations**2).sum(axis=1),
            "total": counts @ (table**2).sum(axis=1) - n_items * n_variants * mean**2,
        }
