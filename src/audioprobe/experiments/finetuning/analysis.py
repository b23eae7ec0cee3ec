"""Compute all results of a study from its tidy table (one row per measurement)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from audioprobe.concepts import Concepts
from audioprobe.experiments.finetuning.comparison import (
    BEFORE_TRAINING,
    FACTORS,
    MEASURES,
    TEXT_MEASURES,
    PairedDifference,
    mean_values,
    paired_difference,
)
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.finetuning.effects import (
    Correlation,
    FactorEffect,
    factor_effects,
    rank_correlations,
    trains_language_model,
)
from audioprobe.experiments.finetuning.storage import (
    IN_AUDIO,
    NOT_IN_AUDIO,
    StudyRecord,
    StudyTable,
    select,
)
from audioprobe.finetuning.strategy import PairedQuestionTraining
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import pareto_front
from audioprobe.metrics.significance import holm
from audioprobe.types import Estimate

ACCURACIES = ("text accuracy", "audio accuracy")
NOVEL = ("novel-class text accuracy", "novel-class audio accuracy")
"""Measures on novel classes, which have invented names."""

CONTROL = "shuffled"
"""Training arm for novel classes in which the answers are random; it is the control."""

SUBSETS = ("in pairs", "same kinds, not in pairs", "other kinds")
"""Groups of concepts: those in paired questions, those of the same `kind`, and all others."""

Comparison: TypeAlias = tuple[PairedDifference, PairedDifference | None]
"""Difference from the model before fine-tuning, and from a control (None if there is none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """All results of a study.

    A strategy is identified by its levels of the three factors: trainable modules, regularization
    and
    alignment.

    Attributes:
        record: stored results that everything else is computed from.
        table: tidy table of the record, one row per measurement.
        before: estimates for the model before fine-tuning, by measure.
        strategies: strategies in the order of the design, including those whose runs failed.
        changes: difference from the model before fine-tuning, by strategy and measure.
        gaps: modality gap after fine-tuning, by strategy.
        front: strategies on the Pareto front of in-domain AUC and text loss.
        ablations: differences between two strategies that differ in one factor.
        effects: effects of the levels of each factor, averaged over strategies.
        correlations: rank correlations of changes of weights and representations with changes of
            measures.
        generalization: effects of paired questions, by subset of concepts (`SUBSETS`).
        transfer: differences of accuracy on novel classes, by training arm.
        transfer_accuracy: mean accuracy by arm ("" before fine-tuning), subset and measure.
        n_planned: number of training runs in the complete study.
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
    transfer_accuracy: Mapping[tuple[str | int | None, ...], Estimate]
    n_planned: int

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Names and causes of failed runs."""
        return tuple((run.name, run.failure) for run in self.record.runs if run.failure)


def summarize(record: StudyRecord) -> StudySummary:
    """Compute all results of a study; an incomplete study gives partial results."""
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

    Pairs in which no strategy trains the language model are omitted from text measures. p-values
    are corrected over all pairs of a measure (Holm).
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
    """Compute how training on paired questions changes accuracy on other concepts.

    Returns:
        For each strategy with paired questions, condition and subset of concepts (`SUBSETS`): the
        difference from the model before fine-tuning, and the difference from the same strategy
        without alignment (None if the study lacks this strategy). The p-value of the second
        difference, or of the first one if there is no second, is corrected (Holm).
    """
    baseline = study.labels["alignment"][0]
    kinds = {concept.id: concept.kind for concept in Concepts.shipped()}
    pairs = {
        (run.trainable, run.regularization, run.alignment): part.concept_kinds
        for run in training_runs(study)
        if not run.arm and (part := run.strategy.get(PairedQuestionTraining)) is not None
    }
    table = select(table, measure=ACCURACIES)
    comparisons: list[Comparison] = []
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
        of_strategy = [change for change in changes if change.strategy == strategy]
        comparisons += [
            (change, without.get((change["measure"], change["subset"])))
            for change in _sorted(of_strategy, measure=ACCURACIES, subset=SUBSETS)
        ]
    corrected = _holm([control or change for change, control in comparisons])
    return tuple(
        (change, tested) if control else (tested, None)
        for (change, control), tested in zip(comparisons, corrected, strict=True)
    )


def cross_modal_transfer(table: StudyTable, bootstrap: Bootstrap) -> tuple[Comparison, ...]:
    """Compare accuracy on novel classes with the model before fine-tuning and with the control."""
    by = ("arm", "measure", "subset")
    changes, controls = (
        paired_difference(table, by, values, bootstrap)
        for values in (BEFORE_TRAINING, {"arm": CONTROL, "phase": "after"})
    )
    by_group = {tuple(d[name] for name in by): d for d in controls}
    arms = list(dict.fromkeys(change["arm"] for change in changes))
    ordered = _sorted(changes, arm=arms, measure=NOVEL, subset=(IN_AUDIO, NOT_IN_AUDIO))
    return tuple((d, by_group.get(tuple(d[name] for name in by))) for d in ordered)


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
    """Sort by the position of each column's value in a list, column by column."""
    return sorted(
        differences, key=lambda d: tuple(order.index(d[name]) for name, order in orders.items())
    )
