"""Means and paired differences of items over seeds, with intervals over seeds and concepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import TypeAlias

import numpy as np

from audioprobe.experiments.architectures.items import AnswerItem, ArmMeasure, Items
from audioprobe.experiments.architectures.storage import ArmResult
from audioprobe.metrics.bootstrap import DECIMALS, Bootstrap, Statistic
from audioprobe.metrics.crossed import Replicate, crossed_bootstrap
from audioprobe.metrics.paired import sign_flips
from audioprobe.metrics.vectorized_metrics import ratio
from audioprobe.types import Estimate, Float64Array

ItemsBySeed: TypeAlias = Mapping[int, Items]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedMean:
    """Mean of a measure over seeds.

    Attributes:
        estimate: mean over seeds of the value of each seed; `n` counts the items with a value. The
            interval resamples seeds and groups (concepts or scenes) independently.
        by_seed: value of each seed; None if it is undefined.
        n_items: number of items of all seeds.
        n_invalid: number of items without a value that did not fail, such as invalid answers.
        n_failed: number of items that failed.
    """

    estimate: Estimate
    by_seed: Mapping[int, float | None]
    n_items: int
    n_invalid: int = 0
    n_failed: int = 0

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds; None with fewer than two values."""
        values = [value for value in self.by_seed.values() if value is not None]
        return stdev(values) if len(values) > 1 else None


def seed_mean(items: ItemsBySeed, bootstrap: Bootstrap, unit: str = "concepts") -> SeedMean:
    """Return the mean over seeds of the mean of the items of each seed.

    In a seed, the mean is over strata: with the strata of questions with the answers yes and no, it
    is the balanced accuracy. Seeds without items are left out.

    Args:
        items: items by seed.
        bootstrap: settings of the interval.
        unit: plural name of the groups of the items.
    """
    replicates = {
        seed: Replicate(mean_over_strata(of_seed), [item.group for item in of_seed])
        for seed, of_seed in items.items()
        if of_seed
    }
    return summarize_replicates(replicates, [*items.values()], bootstrap, unit)


def seed_contrast(
    first: ItemsBySeed, second: ItemsBySeed, bootstrap: Bootstrap, unit: str = "concepts"
) -> SeedMean:
    """Return the mean over seeds of the first minus the second mean, of different items.

    Both have the same groups, which are resampled together. Seeds without items in one are left
    out.
    """
    replicates = {
        seed: _contrast(items, second[seed])
        for seed, items in first.items()
        if items and second.get(seed)
    }
    used = [side[seed] for seed in replicates for side in (first, second)]
    return summarize_replicates(replicates, used, bootstrap, unit)


def summarize_replicates(
    replicates: Mapping[int, Replicate], items: Sequence[Items], bootstrap: Bootstrap, unit: str
) -> SeedMean:
    """Return the mean of a statistic over seeds, and the numbers of items.

    Args:
        replicates: statistic of each seed, with the groups of its items.
        items: all items, to count those without a value.
        bootstrap: settings of the interval.
        unit: plural name of the groups.
    """
    every = [item for of_seed in items for item in of_seed]
    n_undefined = sum(item.value is None for item in every)
    n_failed = sum(item.failed for item in every)
    estimate = crossed_bootstrap(list(replicates.values()), bootstrap, unit=unit)
    return SeedMean(
        estimate=replace(
            estimate,
            n=len(every) - n_undefined if estimate.value is not None else 0,
            n_undefined=n_undefined if estimate.value is not None else len(every),
        ),
        by_seed={seed: _value(replicate) for seed, replicate in replicates.items()},
        n_items=len(every),
        n_invalid=sum(item.value is None and not item.failed for item in every),
        n_failed=n_failed,
    )


def mean_over_strata(items: Items) -> Statistic:
    """Return a function that computes the mean over strata of the means of their valid items.

    It is NaN in a resample without a valid item of a stratum.
    """
    valid = np.array([item.value is not None for item in items], dtype=np.float64)
    values = np.array([item.value or 0.0 for item in items])
    strata = [item.stratum for item in items]
    parts = [
        ratio(values * member, valid * member)
        for name in dict.fromkeys(strata)
        for member in [np.array([stratum == name for stratum in strata], dtype=np.float64)]
    ]

    def statistic(counts: Float64Array) -> Float64Array:
        return np.asarray(np.mean([part(counts) for part in parts], axis=0), dtype=np.float64)

    return statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDifference:
    """Difference of a measure between two arms, on the same seeds and questions.

    Attributes:
        first: name of the first arm.
        second: name of the second arm, whose values are subtracted.
        measure: name of the measure.
        mean: mean difference over the seeds that both arms have.
        p_value: two-sided p-value of sign flips of concepts (or scenes); None if it is undefined.
        corrected: p-value after Holm's correction; None if it was not corrected.
    """

    first: str
    second: str
    measure: str
    mean: SeedMean
    p_value: float | None
    corrected: float | None = None


def arm_difference(
    first: Mapping[int, ArmResult],
    second: Mapping[int, ArmResult],
    measure: ArmMeasure,
    bootstrap: Bootstrap,
) -> ArmDifference | None:
    """Return the difference of two arms, paired by seed and question; None without a common seed.

    Args:
        first: results of the first arm by seed.
        second: results of the second arm.
        measure: the measure.
        bootstrap: settings of the interval; its seed is also the seed of the test.
    """
    items = {
        seed: paired_items(measure.items(result), measure.items(second[seed]))
        for seed, result in first.items()
        if seed in second
    }
    if not any(items.values()):
        return None
    return ArmDifference(
        first=next(iter(first.values())).arm,
        second=next(iter(second.values())).arm,
        measure=measure.name,
        mean=seed_mean(items, bootstrap, measure.unit),
        p_value=sign_flip_p_value(items, bootstrap.seed, measure.unit),
    )


def paired_items(first: Items, second: Items) -> list[AnswerItem]:
    """Return the differences of two lists of items, first minus second.

    The difference is undefined if a value is undefined, or a question is in one list only.
    """
    sides = [{item.key: item for item in items} for items in (first, second)]
    pairs = []
    for key in {**sides[0], **sides[1]}:
        known = [side[key] for side in sides if key in side]
        values = [item.value for item in known if item.value is not None]
        difference = values[0] - values[1] if len(values) == 2 else None
        failed = any(item.failed for item in known)
        pairs.append(known[0]._replace(value=difference, failed=failed))
    return pairs


def sign_flip_p_value(items: ItemsBySeed, seed: int, unit: str) -> float | None:
    """Return the p-value of the mean over seeds of paired differences.

    Differences of a group (a concept) change their sign together, in all seeds and strata. None if
    the mean is undefined, or there is a single group.
    """
    weighted: list[float] = []
    groups: list[str] = []
    by_seed = [of_seed for of_seed in items.values() if of_seed]
    for of_seed in by_seed:
        strata = list(dict.fromkeys(item.stratum for item in of_seed))
        for stratum in strata:
            members = [i for i in of_seed if i.stratum == stratum and i.value is not None]
            if not members:
                return None
            share = 1 / (len(members) * len(strata) * len(by_seed))
            weighted += [share * item.value for item in members if item.value is not None]
            groups += [item.group for item in members]
    if not weighted:
        return None
    # Scaled, so that the mean of all values is the mean over seeds.
    values = np.array(weighted) * len(weighted)
    return sign_flips(values, groups=groups, seed=seed, unit=unit).p_value


def _contrast(first: Items, second: Items) -> Replicate:
    statistics = mean_over_strata(first), mean_over_strata(second)

    def difference(counts: Float64Array) -> Float64Array:
        return statistics[0](counts[:, : len(first)]) - statistics[1](counts[:, len(first) :])

    return Replicate(difference, [item.group for item in (*first, *second)])


def _value(replicate: Replicate) -> float | None:
    value = round(float(replicate.statistic(np.ones((1, len(replicate.groups))))[0]), DECIMALS)
    return None if np.isnan(value) else value
