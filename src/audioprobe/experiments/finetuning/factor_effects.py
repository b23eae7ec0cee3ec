"""What each choice of a study does by itself: effects of the levels of its factors."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.paired_difference import MEASURES, OF_WORDS, Measure
from audioprobe.experiments.finetuning.strategy_summary import FACTORS, StrategySummary
from audioprobe.metrics.effects import Effect, main_effects
from audioprobe.metrics.multiple_testing import holm


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """What a level of a factor does to a measure, all else being equal.

    Attributes:
        effect: against the baseline.
        baseline: the first level of the factor that this measure can tell of.
        corrected: its p-value among all levels of this measure (Holm).
    """

    effect: Effect
    baseline: str
    corrected: float | None


def choices_of(
    tried: Sequence[StrategySummary], study: StudyConfig
) -> dict[Measure, tuple[FactorEffect, ...]]:
    """Effects of all levels, by measure.

    Strategies that leave the language model as it is cannot change what it makes of words. They are
    no part of measures of words: their zeros are there by construction, and an additive model would
    take them for evidence that holding does nothing.

    Args:
        tried: strategies with their replicates.
        study: whose levels they have.
    """
    reading = [one for one in tried if one.reads_anew]
    return {
        measure: _effects(reading if measure in OF_WORDS else tried, measure, study)
        for measure in MEASURES
    }


def _effects(
    tried: Sequence[StrategySummary], measure: Measure, study: StudyConfig
) -> tuple[FactorEffect, ...]:
    runs = [
        (one, seed, value)
        for one in tried
        for seed, value in zip(one.seeds, one.changes[measure].by_seed, strict=True)
    ]
    if not runs:
        return ()
    factors = {name: [getattr(one, name) for one, _, _ in runs] for name in FACTORS}
    baseline = {
        name: next((level for level in study.labels[name] if level in own), own[0])
        for name, own in factors.items()
    }
    found = main_effects(
        factors,
        [value for _, _, value in runs],
        baseline=baseline,
        blocks=[seed for _, seed, _ in runs],
        units=[one.name for one, _, _ in runs],
        level=study.bootstrap.level,
    )
    corrected = holm([effect.p_value for effect in found])
    return tuple(
        FactorEffect(effect, baseline[effect.factor], p)
        for effect, p in zip(found, corrected, strict=True)
    )
