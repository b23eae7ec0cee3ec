"""Bootstrap intervals over two crossed factors: replicates (training runs) and groups of items.

Conventions:
    A replicate is a training run with a seed. Its items (answers to questions) belong to groups
    (concepts), which several replicates share. Replicates and groups are resampled independently,
    and an item is in a resample as often as its replicate times its group: the pigeonhole bootstrap
    (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007). The interval generalises
    to other seeds and to other groups.

    Few replicates give short intervals. Of n replicates, a bootstrap estimates (n - 1) / n of the
    variance between them: half of it with 2, two thirds with 3, four fifths with 5. With one
    replicate, the interval is that of the ordinary bootstrap, and describes this one only.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.metrics.bootstrap import DECIMALS, Bootstrap, Statistic
from audioprobe.metrics.grouping import grouped
from audioprobe.types import Estimate, Float64Array

_CHUNK = 4_000_000  # largest number of counts in memory
_REPLICATES = 1  # stream of the random draws of replicates; 0 is that of the groups


@dataclass(frozen=True, slots=True, eq=False)
class Replicate:
    """One of several measurements of a statistic, such as the answers of a training run.

    Attributes:
        statistic: function of counts, shape (n_resamples, n_items); see `metrics.bootstrap`.
        groups: group of each item, such as a concept. Replicates may have different items.
    """

    statistic: Statistic
    groups: Sequence[Hashable]


def crossed_bootstrap(
    replicates: Sequence[Replicate], bootstrap: Bootstrap, *, unit: str = ""
) -> Estimate:
    """Return the mean of a statistic over replicates, with an interval over replicates and groups.

    A resample is undefined if the statistic of any of its replicates is undefined, such as a ratio
    without items.

    Args:
        replicates: the replicates, each with at least one item.
        bootstrap: settings of the interval, which is always a percentile interval.
        unit: plural name of the groups; "" means "groups".

    Returns:
        `n` is the number of items of all replicates, and `n_groups` the number of groups. The value
        is None if there are no replicates, or the statistic of one is undefined. There is no
        interval, and `method` states the reason, if there is a single group, or if most resamples
        are undefined.
    """
    names = [group for replicate in replicates for group in replicate.groups]
    if not names:
        return Estimate(value=None, n=0, method="no items")
    values = [float(r.statistic(np.ones((1, len(r.groups))))[0]) for r in replicates]
    n_undefined = int(np.isnan(values).sum())
    if n_undefined:
        reason = f"undefined in {n_undefined} of {len(values)} replicates"
        return Estimate(value=None, n=0, n_undefined=len(names), method=reason)
    value = round(float(np.mean(values)), DECIMALS)
    grouping = grouped(len(names), names, unit)
    if grouping.n_groups < 2:
        return Estimate(value=value, n=len(names), method="no interval: a single group")
    of_items = np.split(grouping.of_item, np.cumsum([len(r.groups) for r in replicates])[:-1])
    statistics = [
        (replicate.statistic, of_item)
        for replicate, of_item in zip(replicates, of_items, strict=True)
    ]
    resampled = np.concatenate(list(_resampled(statistics, grouping.n_groups, bootstrap)))
    resampled = resampled.round(DECIMALS)
    defined = resampled[~np.isnan(resampled)]
    n_left_out = len(resampled) - len(defined)
    if 2 * n_left_out > len(resampled):
        reason = f"no interval: {n_left_out} of {len(resampled)} resamples are undefined"
        return Estimate(value=value, n=len(names), method=reason)
    ends = ((1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2)
    low, high = np.quantile(defined, ends).round(DECIMALS).tolist()
    method = (
        f"percentile bootstrap of {len(replicates)} replicates and {grouping}, "
        f"{bootstrap.n_resamples} resamples, seed {bootstrap.seed}, {bootstrap.level:.0%}"
    )
    method += f", {n_left_out} resamples undefined and left out" if n_left_out else ""
    return Estimate(
        value=value,
        n=len(names),
        low=low,
        high=high,
        method=method,
        n_groups=grouping.n_groups,
        unit=grouping.unit,
    )


def _resampled(
    statistics: Sequence[tuple[Statistic, np.ndarray]], n_groups: int, bootstrap: Bootstrap
) -> Iterator[Float64Array]:
    """Yield the mean over the drawn replicates in each resample, in chunks.

    Args:
        statistics: statistic of each replicate, and the index of the group of each of its items.
        n_groups: number of groups.
        bootstrap: number of resamples, and seed.
    """
    n = len(statistics)
    rng = np.random.default_rng([bootstrap.seed, _REPLICATES])
    n_rows = max(1, _CHUNK // max(len(of_item) for _, of_item in statistics))
    for chunk in bootstrap.resamples(n_groups):
        for start in range(0, len(chunk), n_rows):
            counts = chunk[start : start + n_rows]
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=len(counts))
            total = np.zeros(len(counts))
            for (statistic, of_item), times in zip(statistics, drawn.T, strict=True):
                rows = np.flatnonzero(times)
                total[rows] += times[rows] * statistic(counts[rows][:, of_item])
            yield total / n
