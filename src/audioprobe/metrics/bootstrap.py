"""Bootstrap confidence intervals, with groups and strata.

Conventions:
    A statistic is a function of counts, shape (n_resamples, n_items): how often each item is in a
    resample. It returns the value of each resample, shape (n_resamples,), NaN if it is undefined.
    Undefined resamples are excluded from the interval, and the `method` of the estimate states
    their number. Two statistics that are computed from the same counts are paired.

    Items of a group (a site, a recorder, a concept) are not independent and are drawn together: the
    interval generalises to other groups, not to other items of the same groups.

    Values and intervals are rounded to `DECIMALS`, because the last digits of a sum differ between
    processors, and must not decide whether an interval contains 0.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.grouping import Grouping, grouped
from audioprobe.metrics.resampling import GroupSampler
from audioprobe.types import BoolArray, Estimate, Float64Array

Statistic: TypeAlias = Callable[[Float64Array], Float64Array]
Method = Literal["percentile", "bca"]

DECIMALS = 12
"""Number of decimals to which values and intervals are rounded."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Settings of bootstrap confidence intervals.

    Attributes:
        n_resamples: number of resamples; with 2,000, the first two digits of a 95 % interval hardly
            depend on the seed.
        level: confidence level, in (0, 1).
        method: "percentile" uses quantiles of the resampled values; "bca" corrects these quantiles
            for bias and acceleration (Efron 1987).
        seed: random seed of the resamples.
    """

    n_resamples: int = 2000
    level: float = 0.95
    method: Method = "percentile"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_resamples < 1 or not 0 < self.level < 1 or self.method not in get_args(Method):
            raise InvalidInputError(
                "A bootstrap needs n_resamples >= 1, 0 < level < 1 and method 'percentile' or "
                f"'bca', got n_resamples={self.n_resamples}, level={self.level} and "
                f"method={self.method!r}."
            )

    def estimate(
        self,
        statistic: Statistic,
        n_items: int,
        *,
        groups: Sequence[Hashable] | None = None,
        strata: Sequence[Hashable] | None = None,
        present: BoolArray | None = None,
        point: Estimate | None = None,
        unit: str = "",
    ) -> Estimate:
        """Return the value of a statistic over all items, with its confidence interval.

        Args:
            statistic: function of counts, shape (n_resamples, n_items), such as
                `vectorized_metrics.mean(values)`.
            n_items: number of items.
            groups: group of each item, such as a site; None makes each item its own group.
            strata: stratum of each item. Each resample has the original number of groups of every
                stratum, so that no resample lacks a rare class. Strata with a single group are
                merged.
            present: whether each item has each label, shape (n_items,) or (n_items, n_labels); None
                if the statistic does not depend on labels.
            point: estimate from which `n` and `n_undefined` of the result are copied, such as a
                macro mean, which counts labels; None counts the items.
            unit: plural name of the groups; "" means "groups", or "items" if `groups` is None.

        Returns:
            The value is None if there are no items or the statistic is undefined. There is no
            interval, and `method` states the reason, if there is a single group, if no label occurs
            in two groups and is absent in two, or if most resamples are undefined.

        Raises:
            InvalidInputError: if the number of groups or strata differs from the number of items,
                or a group is in two strata.
        """
        (estimate,) = self.estimates(
            lambda counts: statistic(counts)[:, None],
            n_items,
            [point],
            present=[present],
            groups=groups,
            strata=strata,
            unit=unit,
        )
        return estimate

    def estimates(
        self,
        statistic: Statistic,
        n_items: int,
        points: Sequence[Estimate | None],
        *,
        present: Sequence[BoolArray | None],
        groups: Sequence[Hashable] | None = None,
        strata: Sequence[Hashable] | None = None,
        unit: str = "",
    ) -> tuple[Estimate, ...]:
        """Return several values over all items, with intervals from the same resamples.

        Each equals the result of `estimate`, but resamples are drawn only once. See there for the
        other arguments and for errors.

        Args:
            statistic: function of counts, shape (n_resamples, n_items), that returns the values of
                each resample, shape (n_resamples, n_values).
            n_items: number of items.
            points: for each value, the estimate from which `n` and `n_undefined` are copied.
            present: for each value, whether each item has each of the labels that it depends on.
            groups: group of each item.
            strata: stratum of each item.
            unit: plural name of the groups.
        """
        if not n_items:
            return tuple(_without_value(point, 0, "no items") for point in points)
        sampler = GroupSampler.of(grouped(n_items, groups, unit), strata)
        method = f"{self.method} bootstrap of {sampler}"
        estimates, columns = [], []
        values = statistic(np.ones((1, n_items)))[0].tolist()
        for number, (value, point, labels) in enumerate(zip(values, points, present, strict=True)):
            if math.isnan(value):
                estimates.append(_without_value(point, n_items, method))
                continue
            if not (reason := sampler.reason_for_no_interval(labels)):
                columns.append(number)
            n, n_undefined = (point.n, point.n_undefined) if point else (n_items, 0)
            note = f"no interval: {reason}" if reason else method
            rounded = round(value, DECIMALS)
            estimates.append(Estimate(value=rounded, n=n, n_undefined=n_undefined, method=note))
        if columns:
            resampled, jackknife = self._resampled(statistic, sampler, columns)
            for row, column in enumerate(columns):
                estimates[column] = self._with_interval(
                    estimates[column], sampler.grouping, resampled[row], jackknife[row]
                )
        return tuple(estimates)

    def _resampled(
        self, statistic: Statistic, sampler: GroupSampler, columns: list[int]
    ) -> tuple[Float64Array, Float64Array]:
        """Return values of each resample, and values without each group (empty for "percentile").

        Both arrays have one row per column of the results of `statistic`.
        """

        def computed(chunks: Iterator[Float64Array]) -> Float64Array:
            values = list(map(statistic, chunks))  # a loop's variable would keep the last chunk
            return np.ascontiguousarray(np.concatenate(values)[:, columns].T)

        resampled = computed(sampler.resamples(self.n_resamples, self.seed)).round(DECIMALS)
        if self.method == "percentile":
            return resampled, np.empty((len(columns), 0))
        return resampled, computed(sampler.leave_one_out())

    def _with_interval(
        self,
        estimate: Estimate,
        grouping: Grouping,
        resampled: Float64Array,
        jackknife: Float64Array,
    ) -> Estimate:
        """Return the estimate with its interval, or with the reason why it has none."""
        defined = resampled[~np.isnan(resampled)]
        n_undefined = len(resampled) - len(defined)
        if 2 * n_undefined > len(resampled):
            reason = f"{n_undefined} of {len(resampled)} resamples are undefined"
            return replace(estimate, method=f"no interval: {reason}")
        settings = f"{self.n_resamples} resamples, seed {self.seed}, {self.level:.0%}"
        settings += f", {n_undefined} resamples undefined and left out" if n_undefined else ""
        ends = ((1 - self.level) / 2, (1 + self.level) / 2)
        if self.method == "bca" and estimate.value is not None:
            ends = _bca_quantiles(ends, estimate.value, defined, jackknife)
        low, high = np.quantile(defined, ends).round(DECIMALS).tolist()
        return replace(
            estimate,
            low=low,
            high=high,
            method=f"{estimate.method}, {settings}",
            n_groups=grouping.n_groups,
            unit=grouping.unit,
        )

    def resamples(
        self, n_items: int, *, groups: Sequence[Hashable] | None = None
    ) -> Iterator[Float64Array]:
        """Yield how often each resample contains each item, in chunks of shape (n, n_items).

        The chunks have `n_resamples` rows in total. See `estimate` for the arguments.
        """
        return GroupSampler.of(grouped(n_items, groups), None).resamples(
            self.n_resamples, self.seed
        )


def _without_value(point: Estimate | None, n_items: int, method: str) -> Estimate:
    n, n_undefined = (point.n, point.n_undefined) if point else (0, n_items)
    return Estimate(value=None, n=n, n_undefined=n_undefined, method=method)


def _bca_quantiles(
    ends: tuple[float, float], value: float, resampled: Float64Array, jackknife: Float64Array
) -> tuple[float, float]:
    """Return the lower and upper quantile level of the BCa interval (Efron 1987).

    Args:
        ends: quantile levels before the correction, such as (0.025, 0.975).
        value: value of the statistic over all items.
        resampled: values of the bootstrap resamples.
        jackknife: values without each group, from which the acceleration is computed.
    """
    below = float(np.mean(resampled < value) + np.mean(resampled == value) / 2)
    # The normal quantile is infinite at 0 and 1: stay half a resample away from both.
    margin = 0.5 / len(resampled)
    bias = _NORMAL.inv_cdf(min(max(below, margin), 1 - margin))
    influence = np.nanmean(jackknife) - jackknife[~np.isnan(jackknife)]
    spread = float(np.sum(influence**2)) ** 1.5
    acceleration = float(np.sum(influence**3)) / (6 * spread) if spread else 0.0

    def corrected(end: float) -> float:
        score = bias + _NORMAL.inv_cdf(end)
        return _NORMAL.cdf(bias + score / (1 - acceleration * score))

    return corrected(ends[0]), corrected(ends[1])
