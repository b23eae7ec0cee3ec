"""Strategies that differ in one choice alone, compared on the same items and seeds.

What these say needs no assumption that effects add up; but there are few of them, and each speaks
of its own surroundings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.paired_difference import (
    MEASURES,
    OF_WORDS,
    Measure,
    PairedDifference,
    changes,
)
from audioprobe.experiments.finetuning.run_result import RunResult, by_levels
from audioprobe.experiments.finetuning.strategy_summary import FACTORS, reads_anew
from audioprobe.metrics.multiple_testing import holm


@dataclass(frozen=True, slots=True)
class Ablation:
    """A strategy minus the one that differs from it in one choice.

    Attributes:
        factor: in which they differ.
        level: of the first.
        baseline: of the second: the first level of the factor.
        beside: levels that they share, of the other factors.
        seeds: that both were trained by, in order.
        changes: first minus second; without those that neither can change.
        corrected: p-values among all pairs of the study, by measure (Holm).
    """

    factor: str
    level: str
    baseline: str
    beside: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: dict[Measure, PairedDifference]
    corrected: dict[Measure, float | None]


def matched_of(study: StudyConfig, trainings: Sequence[RunResult]) -> tuple[Ablation, ...]:
    """All pairs that differ in one choice, against the first level of that factor.

    Args:
        study: whose levels they have.
        trainings: without those of invented classes.
    """
    found = list(_pairs(study, trainings))
    for measure in MEASURES:
        told = [one for one in found if measure in one.changes]
        p_values = holm([one.changes[measure].p_value for one in told])
        for one, p_value in zip(told, p_values, strict=True):
            one.corrected[measure] = p_value
    return tuple(found)


def _pairs(study: StudyConfig, trainings: Sequence[RunResult]) -> Iterator[Ablation]:
    groups = by_levels(trainings)
    for place, factor in enumerate(FACTORS):
        baseline = study.labels[factor][0]
        for levels, group in groups.items():
            other = groups.get((*levels[:place], baseline, *levels[place + 1 :]))
            if other is not None and other is not group:
                yield _matched(study, factor, group, other)


def _matched(
    study: StudyConfig, factor: str, group: Sequence[RunResult], other: Sequence[RunResult]
) -> Ablation:
    first, second = group[0], other[0]
    by_seed = {one.seed: one.measured for one in other}
    both = [(one.seed, by_seed[one.seed], one.measured) for one in group if one.seed in by_seed]
    pairs = [None if was is None or now is None else (was, now) for _, was, now in both]
    reads = any(reads_anew(study, one.trained) for one in (first, second))
    changed = changes(pairs, study.bootstrap)
    return Ablation(
        factor,
        getattr(first, factor),
        getattr(second, factor),
        tuple(getattr(first, name) for name in FACTORS if name != factor),
        tuple(seed for seed, _, _ in both),
        {m: change for m, change in changed.items() if reads or m not in OF_WORDS},
        {},
    )
