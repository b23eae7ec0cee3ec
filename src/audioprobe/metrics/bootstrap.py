"""Intervals by resampling: what else could have been measured, had other clips been recorded?

Conventions:
    A statistic is a function of counts, which say how often each item is in a resample: numbers of
    shape (n_resamples, n_items). It returns shape (n_resamples,), with NaN where a resample leaves
    it undefined; such resamples are left out of the interval and counted in its method. So many
    resamples are computed at once, and two statistics of the same counts are paired.

    Items that share a group (a site, a recorder, a concept) are drawn together, for they are not
    independent: the interval then tells of other groups, not of other items of the same ones.

    Values and intervals are rounded to `DECIMALS`: processors add the terms of a sum in different
    orders, and what differs below that digit must not decide whether an interval contains 0, or how
    a bound is printed.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.grouping import Grouping, drawn_within, grouped, has_both
from audioprobe.types import BoolArray, Estimate, Float64Array

Statistic: TypeAlias = Callable[[Float64Array], Float64Array]
Method = Literal["percentile", "bca"]

DECIMALS = 12
"""Statistics of resamples are equal where they agree to so many decimals."""

_CHUNK = 4_000_000  # counts in memory at once
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are computed.

    Attributes:
        n_resamples: how many; 2,000 settle the second digit of a 95 % interval.
        level: share of the resamples in the interval, in (0, 1).
        method: "percentile" takes quantiles of the resamples; "bca" corrects them for bias and
            acceleration (Efron 1987), for which the statistic is also taken without each group.
        seed: of the resamples.
    """

    n_resamples: int = 2000
    level: float = 0.95
    method: Method = "percentile"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_resamples < 1 or not 0 < self.level < 1 or self.method not in get_args(Method):
            raise InvalidInputError(
                "A bootstrap needs n_resamples >= 1, 0 < level < 1 and the method percentile or "
                f"bca, got {self.n_resamples}, {self.level} and {self.method!r}."
            )

    def estimate(
        self,
        statistic: Statistic,
        n_items: int,
        *,
        groups: Sequence[Hashable] | None = None,
        strata: Sequence[Hashable] | None = None,
        present: BoolArray | None = None,
        unit: str = "",
    ) -> Estimate:
        """A statistic of all items, with its interval.

        Args:
            statistic: of counts; see the conventions above.
            n_items: how many there are.
            groups: of each item; None lets each be its own.
            strata: of each item, to be drawn within: each resample has as many groups of every
                stratum as there are, so that none of a rare class is without any. Strata of a
                single group are merged, see `grouping.drawn_within`.
            present: whether each item has each label, shape (n_items,) or (n_items, n_labels), for
                a statistic of labels; None for any other.
            unit: what the groups are, in the plural; "" is "groups", or "items" without groups.

        Returns:
            Its value is None where there are no items, or their statistic is undefined. It has no
            interval, and `method` says why, where there is a single group, where no label of
            `present` is both present and absent in two groups, or where the statistic is undefined
            in more than half of the resamples.

        Raises:
            InvalidInputError: if groups or strata are not one per item, or a group is in two
                strata.
        """
        if not n_items:
            return Estimate(value=None, n=0, method="no items")
        drawn = _Draws.of(grouped(n_items, groups, unit), strata)
        value = round(float(statistic(np.ones((1, n_items)))[0]), DECIMALS)
        what = f"{self.method} bootstrap of {drawn}"
        if np.isnan(value):
            return Estimate(value=None, n=0, n_undefined=n_items, method=what)
        if drawn.groups.n_groups < 2:
            return Estimate(value=value, n=n_items, method="no interval: a single group")
        if present is not None and not has_both(drawn.groups, present):
            why = "no interval: no label is in two groups and missing in two"
            return Estimate(value=value, n=n_items, method=why)
        counted = drawn.resamples(self.n_resamples, self.seed)
        found = np.concatenate([statistic(counts) for counts in counted]).round(DECIMALS)
        defined = found[~np.isnan(found)]
        n_undefined = len(found) - len(defined)
        if 2 * n_undefined > len(found):
            why = f"no interval: {n_undefined} of {len(found)} resamples are undefined"
            return Estimate(value=value, n=n_items, method=why)
        what += f", {self.n_resamples} resamples, seed {self.seed}, {self.level:.0%}"
        what += f", {n_undefined} resamples undefined and left out" if n_undefined else ""
        ends = ((1 - self.level) / 2, (1 + self.level) / 2)
        if self.method == "bca":
            without = np.concatenate([statistic(counts) for counts in drawn.left_out()])
            ends = _corrected(ends, value, defined, without)
        low, high = np.quantile(defined, ends).round(DECIMALS).tolist()
        of = drawn.groups
        return Estimate(
            value=value,
            n=n_items,
            n_undefined=0,
            low=low,
            high=high,
            method=what,
            n_groups=of.n_groups,
            unit=of.unit,
        )

    def resamples(
        self,
        n_items: int,
        *,
        groups: Sequence[Hashable] | None = None,
        strata: Sequence[Hashable] | None = None,
    ) -> Iterator[Float64Array]:
        """The counts themselves, in chunks of shape (some, n_items); in all `n_resamples` rows.

        Raises:
            InvalidInputError: as `estimate`.
        """
        return _Draws.of(grouped(n_items, groups), strata).resamples(self.n_resamples, self.seed)

    def around(
        self,
        point: Estimate,
        statistic: Statistic,
        n_items: int,
        *,
        groups: Sequence[Hashable] | None = None,
        strata: Sequence[Hashable] | None = None,
        present: BoolArray | None = None,
        unit: str = "",
    ) -> Estimate:
        """As `estimate`, counted like an estimate that has no interval yet.

        A macro mean rests on labels, and its interval on clips.

        Args:
            point: whose `n` and `n_undefined` are kept.
            statistic: as for `estimate`, like the other arguments.
            n_items: of the statistic.
            groups: of each item.
            strata: of each item.
            present: whether each item has each label.
            unit: what the groups are.

        Raises:
            InvalidInputError: as `estimate`.
        """
        found = self.estimate(
            statistic, n_items, groups=groups, strata=strata, present=present, unit=unit
        )
        return replace(found, n=point.n, n_undefined=point.n_undefined)


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """What is drawn: groups of items, those of each stratum apart."""

    groups: Grouping
    strata: tuple[np.ndarray, ...]
    n_merged: int

    @classmethod
    def of(cls, groups: Grouping, strata: Sequence[Hashable] | None) -> "_Draws":
        return cls(groups, *drawn_within(groups, strata))

    def __str__(self) -> str:
        merged = f", {self.n_merged} strata of a single group merged" if self.n_merged else ""
        return f"{self.groups}{merged}"

    def resamples(self, n: int, seed: int) -> Iterator[Float64Array]:
        """Counts in chunks, the same whatever their size."""
        # A generator for each stratum: their draws do not depend on what is drawn beside them.
        rngs = [np.random.default_rng([seed, number]) for number in range(len(self.strata))]
        for rows in self._chunks(n):
            counts = np.zeros((rows, self.groups.n_groups))
            for rng, some in zip(rngs, self.strata, strict=True):
                shares = np.full(len(some), 1 / len(some))
                counts[:, some] = rng.multinomial(len(some), shares, size=rows)
            yield counts[:, self.groups.of_item]

    def left_out(self) -> Iterator[Float64Array]:
        """Counts without each group in turn, in chunks."""
        at = 0
        for rows in self._chunks(self.groups.n_groups):
            kept = self.groups.of_item != np.arange(at, at + rows)[:, None]
            yield kept.astype(np.float64)
            at += rows

    def _chunks(self, n: int) -> Iterator[int]:
        most = max(1, _CHUNK // len(self.groups.of_item))
        for at in range(0, n, most):
            yield min(most, n - at)


def _corrected(
    ends: tuple[float, float], value: float, resampled: Float64Array, without: Float64Array
) -> tuple[float, float]:
    """BCa: the quantiles to take instead, by bias and acceleration (Efron 1987)."""
    below = float(np.mean(resampled < value) + np.mean(resampled == value) / 2)
    # A share of 0 or 1 has no normal score: half a resample stays on either side.
    margin = 0.5 / len(resampled)
    bias = _NORMAL.inv_cdf(min(max(below, margin), 1 - margin))
    pull = np.nanmean(without) - without[~np.isnan(without)]
    spread = float(np.sum(pull**2)) ** 1.5
    acceleration = float(np.sum(pull**3)) / (6 * spread) if spread else 0.0

    def moved(end: float) -> float:
        score = bias + _NORMAL.inv_cdf(end)
        return _NORMAL.cdf(bias + score / (1 - acceleration * score))

    return moved(ends[0]), moved(ends[1])
