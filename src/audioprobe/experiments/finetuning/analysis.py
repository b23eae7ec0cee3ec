"""The questions of a study, answered by a few functions over its tidy table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from audioprobe.concepts import Concepts
from audioprobe.experiments.finetuning.comparison import (
    ALPHA,
    BEFORE_TRAINING,
    FACTORS,
    MEASURES,
    TEXT_MEASURES,
    Measure,
    PairedDifference,
    mean_values,
    paired_difference,
)
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.finetuning.storage import (
    IN_AUDIO,
    NOT_IN_AUDIO,
    StudyRecord,
    StudyTable,
    group,
    select,
)
from audioprobe.finetuning.strategy import PairedQuestionTraining
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import Effect, main_effects
from audioprobe.metrics.multiple_testing import holm
from audioprobe.metrics.pareto import pareto_front
from audioprobe.metrics.vectorized_metrics import rank_correlation
from audioprobe.training.trainable import updates_language_model
from audioprobe.types import Estimate

ACCURACIES = ("text accuracy", "audio accuracy")
NOVEL = ("novel-class text accuracy", "novel-class audio accuracy")
"""Measures of classes with invented names."""

CONTROL = "shuffled"
"""Arm in which the answers are random."""

SUBSETS = ("in pairs", "same kinds, not in pairs", "other kinds")
"""Concepts of paired questions, others of the same kinds (`Concept.kind`), and the rest."""

CORRELATED: tuple[Measure, ...] = ("text loss", "in-domain AUC", "audio accuracy")
_MIN_STRATEGIES = 4  # of a rank correlation

Comparison: TypeAlias = tuple[PairedDifference, PairedDifference | None]
"""Differences from the model before and from a control; None without a control."""


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """Effect of a level on a measure, averaged over the levels of the other factors.

    Attributes:
        measure: whose difference from before is explained.
        effect: compared with `baseline`.
        baseline: first level of the factor for which the measure is defined.
        corrected: p-value after Holm's correction over all levels of the measure.
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
    """Spearman's rank correlation over runs; strategies are resampled with all their seeds.

    Attributes:
        changed: what is correlated with the measure, such as "weight change: llm".
        measure: its difference from before.
        rho: the correlation.
        n_runs: runs with both values.
    """

    changed: str
    measure: Measure
    rho: Estimate
    n_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """All results of a study.

    Attributes:
        record: what they are computed from.
        table: the tidy table of the record.
        before: measures of the model before fine-tuning, by measure.
        strategies: levels of the factors, in the order of the design; failed ones included.
        changes: strategies minus the model before, by strategy and measure.
        gaps: modality gap after fine-tuning, by strategy.
        front: strategies of the Pareto front of in-domain AUC and text loss.
        ablations: strategies that differ in one factor.
        effects: of all levels.
        correlations: of changes of weights and representations with changes of measures.
        generalization: paired questions by subset of concepts.
        transfer: arms of novel classes.
        transfer_accuracy: mean accuracy by arm ("" before fine-tuning), subset and measure.
        n_planned: runs of the complete study.
    """

    record: StudyRecord
    table: StudyTable
    before: Mapping[str, Estimate]
    strategies: tuple[tuple[str, ...], ...]
    changes: Mapping[tuple[str, ...], Mapping[str, PairedDifference]]
    gaps: Mapping[tuple[str, ...], Estimate]
    front: frozenset[tuple[str, ...]]
    ablations: tuple[PairedDifference, ...]
    effects: tuple[FactorEffect, ...]
    correlations: tuple[Correlation, ...]
    generalization: tuple[Comparison, ...]
    transfer: tuple[Comparison, ...]
    transfer_accuracy: Mapping[tuple[object, ...], Estimate]
    n_planned: int

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Names and causes of failed runs."""
        return tuple((run.name, run.failure) for run in self.record.runs if run.failure)


def summarize(record: StudyRecord) -> StudySummary:
    """Compute all results of a study from its record; incomplete studies give partial results."""
    study, table = record.study, record.table()
    bootstrap = study.bootstrap
    strategies = tuple(dict.fromkeys(run.strategy for run in record.runs if not run.arm))
    rows = select(table, arm="", measure=MEASURES)
    differences = paired_difference(rows, FACTORS, BEFORE_TRAINING, bootstrap)
    changes: dict[tuple[str, ...], dict[str, PairedDifference]] = {s: {} for s in strategies}
    for difference in differences:
        changes[difference.strategy][difference["measure"]] = difference
    novel = select(table, measure=NOVEL)
    gaps = mean_values(select(rows, phase="after", measure="modality gap"), FACTORS, bootstrap)
    before = mean_values(select(rows, phase="before"), (), bootstrap)
    return StudySummary(
        record=record,
        table=table,
        before={str(measure): estimate for (measure,), estimate in before.items()},
        strategies=strategies,
        changes=changes,
        gaps={tuple(map(str, strategy)): gap for (*strategy, _), gap in gaps.items()},
        front=_front(changes),
        ablations=ablations(rows, study),
        effects=factor_effects(differences, study),
        correlations=rank_correlations(select(table, arm=""), differences, bootstrap),
        generalization=concept_generalization(rows, study, record.audio_concepts),
        transfer=cross_modal_transfer(novel, bootstrap),
        transfer_accuracy=mean_values(novel, ("arm", "subset"), bootstrap),
        n_planned=len(training_runs(study)),
    )


def ablations(table: StudyTable, study: StudyConfig) -> tuple[PairedDifference, ...]:
    """Compare strategies that differ in one factor with the first level of that factor.

    Text measures are left out where neither strategy trains the language model. p-values are
    corrected over all pairs of a measure (Holm).
    """
    pairs = [
        difference
        for factor in FACTORS
        for difference in paired_difference(
            select(table, phase="after"),
            FACTORS,
            {factor: study.labels[factor][0]},
            study.bootstrap,
        )
        if difference["measure"] not in TEXT_MEASURES
        or trains_language_model(study, difference["trainable"])
        or trains_language_model(study, {**difference.columns, **difference.baseline}["trainable"])
    ]
    return tuple(d for m in MEASURES for d in _holm([d for d in pairs if d["measure"] == m]))


def concept_generalization(
    table: StudyTable, study: StudyConfig, audio_concepts: Collection[str]
) -> tuple[Comparison, ...]:
    """Compare strategies with paired questions by whether their pairs are about a concept.

    Returns:
        For each strategy, condition and subset of concepts, the difference from before and that
        from the same strategy without alignment, if the study has it. p-values of the latter where
        it exists, else of the former, are corrected (Holm).
    """
    baseline = study.labels["alignment"][0]
    kinds = {concept.id: concept.kind for concept in Concepts.shipped()}
    pairs = {
        (run.trainable, run.regularization, run.alignment): part.concept_kinds
        for run in training_runs(study)
        if not run.arm and (part := run.strategy.get(PairedQuestionTraining)) is not None
    }
    table = select(table, measure=ACCURACIES)
    found: list[Comparison] = []
    for strategy in dict.fromkeys(row[1:4] for row in table):
        if strategy not in pairs:
            continue
        rows = [
            row._replace(
                subset=SUBSETS[2]
                if pairs[strategy] and kinds[row.cluster] not in pairs[strategy]
                else SUBSETS[row.cluster not in audio_concepts]
            )
            for row in table
            if row.phase == "before" or row[1:4] in (strategy, (*strategy[:2], baseline))
        ]
        by = (*FACTORS, "subset")
        changes, controls = (
            paired_difference(rows, by, values, study.bootstrap)
            for values in (BEFORE_TRAINING, {"alignment": baseline})
        )
        without = {(d["measure"], d["subset"]): d for d in controls}
        own = [change for change in changes if change.strategy == strategy]
        found += [
            (change, without.get((change["measure"], change["subset"])))
            for change in _sorted(own, measure=ACCURACIES, subset=SUBSETS)
        ]
    corrected = _holm([control or change for change, control in found])
    return tuple(
        (change, tested) if control else (tested, None)
        for (change, control), tested in zip(found, corrected, strict=True)
    )


def cross_modal_transfer(table: StudyTable, bootstrap: Bootstrap) -> tuple[Comparison, ...]:
    """Compare accuracy on novel classes with that before and with that of the control arm."""
    by = ("arm", "measure", "subset")
    changes, controls = (
        paired_difference(table, by, values, bootstrap)
        for values in (BEFORE_TRAINING, {"arm": CONTROL, "phase": "after"})
    )
    by_group = {tuple(d[name] for name in by): d for d in controls}
    arms = list(dict.fromkeys(change["arm"] for change in changes))
    ordered = _sorted(changes, arm=arms, measure=NOVEL, subset=(IN_AUDIO, NOT_IN_AUDIO))
    return tuple((d, by_group.get(tuple(d[name] for name in by))) for d in ordered)


def factor_effects(
    differences: Sequence[PairedDifference], study: StudyConfig
) -> tuple[FactorEffect, ...]:
    """Estimate the effect of every level by least squares, measure by measure.

    Strategies that do not train the language model cannot change text measures. Their zeros are
    not evidence, so they are left out of text measures.

    Args:
        differences: of every strategy from the model before.
        study: whose levels they have.
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
    """Correlate changes of weights and representations with changes of measures, over runs."""
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


def _front(
    changes: Mapping[tuple[str, ...], Mapping[str, PairedDifference]],
) -> frozenset[tuple[str, ...]]:
    defined = {key: d for key, d in changes.items() if {"in-domain AUC", "text loss"} <= d.keys()}
    gains = [d["in-domain AUC"].estimate.value for d in defined.values()]
    losses = [d["text loss"].estimate.value for d in defined.values()]
    front = pareto_front(gains, losses)
    return frozenset(key for key, best in zip(defined, front, strict=True) if best)


def _holm(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    corrected = holm([difference.p_value for difference in differences])
    return [replace(d, corrected=p) for d, p in zip(differences, corrected, strict=True)]


def _sorted(
    differences: Sequence[PairedDifference], **orders: Sequence[str]
) -> list[PairedDifference]:
    """Sort by the place of a column's value in a list, column by column."""
    return sorted(
        differences, key=lambda d: tuple(order.index(d[name]) for name, order in orders.items())
    )
