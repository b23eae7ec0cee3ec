"""Effects of each level of a factor, averaged over strategies, and rank correlations over runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.finetuning.comparison import (
    ALPHA,
    FACTORS,
    MEASURES,
    TEXT_MEASURES,
    Measure,
    PairedDifference,
)
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.storage import StudyTable, group
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import Effect, main_effects
from audioprobe.metrics.significance import holm
from audioprobe.metrics.vectorized_metrics import rank_correlation
from audioprobe.training.trainable import updates_language_model
from audioprobe.types import Estimate

CORRELATED: tuple[Measure, ...] = ("text loss", "in-domain AUC", "audio accuracy")
_MIN_STRATEGIES = 4  # required for a rank correlation


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """Effect of a level on a measure, averaged over the levels of the other factors.

    Attributes:
        measure: name of the measure. The effect is on its change from the model before
            fine-tuning.
        effect: estimated effect of the level, compared with `baseline`.
        baseline: reference level of the factor: its first level with runs that have the measure.
        corrected: p-value after Holm's correction over all levels that were tested for the measure;
            None if undefined.
    """

    measure: Measure
    effect: Effect
    baseline: str
    corrected: float | None

    @property
    def significant(self) -> int:
        """1 or -1 if the corrected p-value is below `ALPHA`, else 0."""
        value = self.effect.estimate.value
        if value is None or self.corrected is None or self.corrected >= ALPHA:
            return 0
        return 1 if value > 0 else -1


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over runs; the bootstrap resamples strategies with all seeds.

    Attributes:
        changed: quantity that changed, such as "weight change: llm".
        measure: measure whose difference from the model before fine-tuning is correlated.
        rho: rank correlation.
        n_runs: number of runs that have both values.
    """

    changed: str
    measure: Measure
    rho: Estimate
    n_runs: int


def factor_effects(
    differences: Sequence[PairedDifference], study: StudyConfig
) -> tuple[FactorEffect, ...]:
    """Estimate the effect of every level by least squares, measure by measure.

    Strategies that do not train the language model cannot change text measures; their differences
    are 0 by construction. They are therefore omitted from text measures.

    Args:
        differences: differences of every strategy from the model before fine-tuning.
        study: configuration of the study, which defines the levels.
    """
    effects: list[FactorEffect] = []
    for measure in MEASURES:
        runs = [
            (difference, seed, value)
            for difference in differences
            if difference["measure"] == measure
            if measure not in TEXT_MEASURES or trains_language_model(study, difference["trainable"])
            for seed, value in difference.by_seed.items()
        ]
        if not runs:
            continue
        factors = {name: [difference[name] for difference, _, _ in runs] for name in FACTORS}
        baseline = {
            name: next((level for level in study.labels[name] if level in levels), levels[0])
            for name, levels in factors.items()
        }
        estimated = main_effects(
            factors,
            [value for _, _, value in runs],
            baseline=baseline,
            blocks=[seed for _, seed, _ in runs],
            units=[difference.strategy for difference, _, _ in runs],
            level=study.bootstrap.level,
        )
        corrected = holm([effect.p_value for effect in estimated])
        effects += [
            FactorEffect(measure, effect, baseline[effect.factor], p_value)
            for effect, p_value in zip(estimated, corrected, strict=True)
        ]
    return tuple(effects)


def rank_correlations(
    table: StudyTable, differences: Sequence[PairedDifference], bootstrap: Bootstrap
) -> tuple[Correlation, ...]:
    """Compute rank correlations of weight and representation changes with measures, over runs."""
    changed: dict[str, dict[tuple[object, ...], float]] = {}
    for (measure, *run), rows in group(table, ("measure", *FACTORS, "seed")).items():
        kind, _, name = str(measure).partition(": ")
        mean = float(np.mean([row.value for row in rows])) if name else 0.0
        if kind == "weight change":
            changed.setdefault(str(measure), {})[tuple(run)] = mean
        elif kind == "similarity":
            changed.setdefault(f"representation change: {name}", {})[tuple(run)] = 1 - mean
    correlations = []
    for name in sorted(changed):
        for measure in CORRELATED:
            both = [
                (difference.strategy, changed[name][key], value)
                for difference in differences
                if difference["measure"] == measure
                for seed, value in difference.by_seed.items()
                if value is not None and (key := (*difference.strategy, seed)) in changed[name]
            ]
            if len({strategy for strategy, _, _ in both}) < _MIN_STRATEGIES:
                continue
            strategies, first, second = zip(*both, strict=True)
            rho = bootstrap.estimate(
                rank_correlation(first, second), len(both), groups=strategies, unit="strategies"
            )
            correlations.append(Correlation(name, measure, rho, len(both)))
    return tuple(correlations)


def trains_language_model(study: StudyConfig, trainable: str) -> bool:
    """Return whether a level trains weights of the language model."""
    return updates_language_model(study.level(trainable).modules)
