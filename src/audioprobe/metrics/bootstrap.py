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

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.grouping import Grouping, grouped, groups_by_stratum, has_both
from audioprobe.types import BoolArray, Estimate, Float64Array

Statistic: TypeAlias = Callable[[Float64Array], Float64Array]
Method = Literal["percentile", "bca"]

DECIMALS = 12
"""Number of decimals to which values and intervals are rounded."""

_CHUNK = 4_000_000  # largest number of counts in memory
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
        n, n_undefined_items = (point.n, point.n_undefined) if point else (n_items, 0)
        if not n_items:
            return Estimate(value=None, n=n, n_undefined=n_undefined_items, method="no items")
        sampler = _Sampler.of(grouped(n_items, groups, unit), strata)
        grouping = sampler.grouping
        value = round(float(statistic(np.ones((1, n_items)))[0]), DECIMALS)
        method = f"{self.method} bootstrap of {sampler}"
        if np.isnan(value):
            n, n_undefined_items = (n, n_undefined_items) if point else (0, n_items)
            return Estimate(value=None, n=n, n_undefined=n_undefined_items, method=method)
        interval = self._interval(statistic, sampler, value, present)
        if isinstance(interval, str):
            reason = f"no interval: {interval}"
            return Estimate(value=value, n=n, n_undefined=n_undefined_items, method=reason)
        low, high, settings = interval
        return Estimate(
            value=value,
            n=n,
            n_undefined=n_undefined_items,
            low=low,
            high=high,
            method=f"{method}, {settings}",
            n_groups=grouping.n_groups,
            unit=grouping.unit,
        )

    def _interval(
        self, statistic: Statistic, sampler: "_Sampler", value: float, present: BoolArray | None
    ) -> tuple[float, float, str] | str:
        """Return low end, high end and a description of the interval.

        If there is no interval, return a text with the reason instead.
        """
        if sampler.grouping.n_groups < 2:
            return "a single group"
        if present is not None and not has_both(sampler.grouping, present):
            return "no label is in two groups and missing in two"
        chunks = sampler.resamples(self.n_resamples, self.seed)
        resampled = np.concatenate([statistic(counts) for counts in chunks]).round(DECIMALS)
        defined = resampled[~np.isnan(resampled)]
        n_undefined = len(resampled) - len(defined)
        if 2 * n_undefined > len(resampled):
            return f"{n_undefined} of {len(resampled)} resamples are undefined"
        settings = f"{self.n_resamples} resamples, seed {self.seed}, {self.level:.0%}"
        settings += f", {n_undefined} resamples undefined and left out" if n_undefined else ""
        ends = ((1 - self.level) / 2, (1 + self.level) / 2)
        if self.method == "bca":
            jackknife = np.concatenate([statistic(counts) for counts in sampler.leave_one_out()])
            ends = _bca_quantiles(ends, value, defined, jackknife)
        low, high = np.quantile(defined, ends).round(DECIMALS).tolist()
        return low, high, settings

    def resamples(
        self, n_items: int, *, groups: Sequence[Hashable] | None = None
    ) -> Iterator[Float64Array]:
        """Yield how often each resample contains each item, in chunks of shape (n, n_items).

        The chunks have `n_resamples` rows in total. See `estimate` for the arguments.
        """
        return _Sampler.of(grouped(n_items, groups), None).resamples(self.n_resamples, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Sampler:
    """Sampler that draws groups of items at random, separately in each stratum."""

    grouping: Grouping
    strata: tuple[np.ndarray, ...]
    n_merged: int

    @classmethod
    def of(cls, grouping: Grouping, strata: Sequence[Hashable] | None) -> "_Sampler":
        return cls(grouping, *groups_by_stratum(grouping, strata))

    def __str__(self) -> str:
        merged = f", {self.n_merged} strata of a single group merged" if self.n_merged else ""
        return f"{self.grouping}{merged}"

    def resamples(self, n: int, seed: int) -> Iterator[Float64Array]:
        """Yield how often each resample contains each item, in chunks of shape (n, n_items).

        The draws in a stratum do not depend on the chunk size or on the other strata.
        """
        rngs = [np.random.default_rng([seed, number]) for number in range(len(self.strata))]
        for n_rows in self._chunk_sizes(n):
            counts = np.zeros((n_rows, self.grouping.n_groups))
            for rng, members in zip(rngs, self.strata, strict=True):
                shares = np.full(len(members), 1 / len(members))
                counts[:, members] = rng.multinomial(len(members), shares, size=n_rows)
            yield counts[:, self.grouping.of_item]

    def leave_one_out(self) -> Iterator[Float64Array]:
        """Yield the counts of the jackknife, in chunks of shape (n, n_items).

        There is one row per group: 0 for the items of this group, 1 for the other items.
        """
        start = 0
        for n_rows in self._chunk_sizes(self.grouping.n_groups):
            removed = np.arange(start, start + n_rows)[:, None]
            yield (self.grouping.of_item != removed).astype(np.float64)
            start += n_rows

    def _chunk_sizes(self, n: int) -> Iterator[int]:
        largest = max(1, _CHUNK // len(self.grouping.of_item))
        for start in range(0, n, largest):
            yield min(largest, n - start)


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
