"""Compute all results of a study from its tidy table (one row per measurement)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from audioprobe.concepts import Concepts
from audioprobe.experiments.finetuning.comparison import (
    BEFORE_TRAINING,
    FACTORS,
    MEASURES,
    TEXT_MEASURES,
    Correlation,
    PairedDifference,
    mean_values,
    paired_difference,
    rank_correlations,
)
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.design import training_runs
from audioprobe.experiments.finetuning.storage import (
    IN_AUDIO,
    NOT_IN_AUDIO,
    StudyRecord,
    StudyTable,
    select,
)
from audioprobe.finetuning.components import PairedQuestionTraining
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import main_effects, pareto_front
from audioprobe.metrics.significance import holm
from audioprobe.training.trainable import updates_language_model
from audioprobe.types import Estimate

ACCURACIES = ("text accuracy", "audio accuracy")
NOVEL = ("novel-class text accuracy", "novel-class audio accuracy")
"""Measures on novel classes, which have invented names."""

CONTROL = "shuffled"
"""Training arm for novel classes in which the answers are random; it is the control."""

SUBSETS = ("in pairs", "same kinds, not in pairs", "other kinds")
"""Groups of concepts: in paired questions, of the same kind (category) as these, and others."""


class RunComparison(NamedTuple):
    """Differences of a group of runs from two references.

    Attributes:
        change: difference from the model before fine-tuning.
        control: difference from the control runs; None if there are none.
    """

    change: PairedDifference
    control: PairedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """All results of a study; a strategy is identified by its levels of the three factors.

    Attributes:
        record: stored results that everything else is computed from.
        table: tidy table of the record, one row per measurement.
        before: estimates for the model before fine-tuning, by measure.
        changes: difference from the model before fine-tuning, keyed by strategy, then by measure;
            in the order of the design. A strategy whose runs all failed has an empty mapping.
        gaps: modality gap after fine-tuning, by strategy.
        front: strategies for which no other has both higher in-domain AUC and lower text loss.
        ablations: differences between two strategies that differ in one factor.
        effects: difference of each level from the first level of its factor, averaged over
            strategies.
        correlations: rank correlations of changes of weights and hidden states with changes of
            measures.
        generalization: changes of accuracy after training on paired questions, for each strategy
            and subset of concepts (`SUBSETS`).
        transfer: changes of accuracy on novel classes (invented names), for each training arm.
        transfer_accuracy: mean accuracy on novel classes, keyed by training arm ("" before
            fine-tuning), subset of concepts and measure.
    """

    record: StudyRecord
    table: StudyTable
    before: Mapping[str, Estimate]
    changes: Mapping[tuple[str, ...], Mapping[str, PairedDifference]]
    gaps: Mapping[tuple[str, ...], Estimate]
    front: frozenset[tuple[str, ...]]
    ablations: tuple[PairedDifference, ...]
    effects: tuple[PairedDifference, ...]
    correlations: tuple[Correlation, ...]
    generalization: tuple[RunComparison, ...]
    transfer: tuple[RunComparison, ...]
    transfer_accuracy: Mapping[tuple[str | int | None, ...], Estimate]

    @property
    def strategies(self) -> tuple[tuple[str, ...], ...]:
        """Strategies with finished or failed runs, in the order of the design."""
        return tuple(self.changes)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Names and causes of failed runs."""
        return tuple((run.name, run.failure) for run in self.record.runs if run.failure)


def summarize(record: StudyRecord) -> StudySummary:
    """Compute all results of a study; for an incomplete study, those of the finished runs."""
    study, table = record.study, record.table()
    bootstrap = study.bootstrap
    rows = select(table, arm="", measure=tuple(MEASURES))
    differences = paired_difference(rows, FACTORS, BEFORE_TRAINING, bootstrap)
    changes: dict[tuple[str, ...], dict[str, PairedDifference]] = {
        run.strategy: {} for run in record.runs if not run.arm
    }
    for difference in differences:
        changes[difference.strategy][difference["measure"]] = difference
    novel = select(table, measure=NOVEL)
    gaps = mean_values(select(rows, phase="after", measure="modality gap"), FACTORS, bootstrap)
    before = mean_values(select(rows, phase="before"), (), bootstrap)
    return StudySummary(
        record=record,
        table=table,
        before={str(measure): estimate for (measure,), estimate in before.items()},
        changes=changes,
        gaps={tuple(map(str, strategy)): gap for (*strategy, _), gap in gaps.items()},
        front=_front(changes),
        ablations=ablations(rows, study),
        effects=factor_effects(differences, study),
        correlations=rank_correlations(select(table, arm=""), differences, bootstrap),
        generalization=concept_generalization(rows, study, record.audio_concepts),
        transfer=cross_modal_transfer(novel, bootstrap),
        transfer_accuracy=mean_values(novel, ("arm", "subset"), bootstrap),
    )


def trains_language_model(study: StudyConfig, trainable: str) -> bool:
    """Return True if weights of the language model are trained at this trainable level."""
    return updates_language_model(study.level(trainable).modules)


def ablations(table: StudyTable, study: StudyConfig) -> tuple[PairedDifference, ...]:
    """Return the differences, in every measure, of strategies that differ in one factor only.

    The baseline is the strategy with the first level of that factor. Text measures omit pairs of
    strategies that both leave the language model unchanged. p-values are corrected over all pairs
    of a measure (Holm).
    """
    after, pairs = select(table, phase="after"), list[PairedDifference]()
    for factor in FACTORS:
        baseline = {factor: study.labels[factor][0]}
        for difference in paired_difference(after, FACTORS, baseline, study.bootstrap):
            levels = {difference["trainable"], {**difference.columns, **baseline}["trainable"]}
            trained = any(trains_language_model(study, level) for level in levels)
            if trained or difference["measure"] not in TEXT_MEASURES:
                pairs.append(difference)
    return tuple(d for m in MEASURES for d in _holm([d for d in pairs if d["measure"] == m]))


def factor_effects(
    differences: Sequence[PairedDifference], study: StudyConfig
) -> tuple[PairedDifference, ...]:
    """Estimate the effect of every level on the change of each measure by least squares.

    The baseline of a factor is its first level for which the measure has values. p-values are
    corrected over all levels (Holm). For text measures, strategies that do not train the language
    model are omitted, because they cannot change these measures.

    Args:
        differences: differences of every strategy from the model before fine-tuning.
        study: configuration of the study, which defines the levels.
    """
    effects: list[PairedDifference] = []
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
        effects += _holm(
            [
                PairedDifference(
                    columns={effect.factor: effect.level, "measure": measure},
                    baseline={effect.factor: baseline[effect.factor]},
                    estimate=effect.estimate,
                    p_value=effect.p_value,
                    n_runs=effect.n_runs,
                    by_seed={},
                )
                for effect in estimated
            ]
        )
    return tuple(effects)


def concept_generalization(
    table: StudyTable, study: StudyConfig, audio_concepts: Collection[str]
) -> tuple[RunComparison, ...]:
    """Compute how training on paired questions changes accuracy on other concepts.

    Returns:
        For each strategy with paired questions, condition and subset of concepts (`SUBSETS`): the
        difference from the model before fine-tuning (`change`), and from the same strategy without
        alignment (`control`, None without such runs). Only the p-value of `control`, or of
        `change` if `control` is None, is corrected (Holm).
    """
    baseline = study.labels["alignment"][0]
    kinds = {concept.id: concept.kind for concept in Concepts.shipped()}
    pairs = {
        (run.trainable, run.regularization, run.alignment): part.concept_kinds
        for run in training_runs(study)
        if not run.arm and (part := run.strategy.get(PairedQuestionTraining)) is not None
    }
    table = select(table, measure=ACCURACIES)
    comparisons: list[RunComparison] = []
    for strategy in dict.fromkeys(row[1:4] for row in table if row[1:4] in pairs):
        rows = [
            row._replace(
                subset=SUBSETS[2]
                if pairs[strategy] and kinds[row.cluster] not in pairs[strategy]
                else SUBSETS[row.cluster not in audio_concepts]
            )
            for row in table
            if row.phase == "before" or row[1:4] in (strategy, (*strategy[:2], baseline))
        ]
        by = (*FACTORS, "subset", "measure")
        compared = _with_control(rows, by, {"alignment": baseline}, study.bootstrap)
        of_strategy = [pair for pair in compared if pair.change.strategy == strategy]
        comparisons += _sorted(of_strategy, measure=ACCURACIES, subset=SUBSETS)
    corrected = _holm([control or change for change, control in comparisons])
    return tuple(
        RunComparison(change, tested) if control else RunComparison(tested, None)
        for (change, control), tested in zip(comparisons, corrected, strict=True)
    )


def cross_modal_transfer(table: StudyTable, bootstrap: Bootstrap) -> tuple[RunComparison, ...]:
    """Compare accuracy on novel classes with the model before fine-tuning and with the control.

    The control runs are trained on random answers (`CONTROL`).
    """
    control = {"arm": CONTROL, "phase": "after"}
    compared = _with_control(table, ("arm", "measure", "subset"), control, bootstrap)
    arms = list(dict.fromkeys(change["arm"] for change, _ in compared))
    return tuple(_sorted(compared, arm=arms, measure=NOVEL, subset=(IN_AUDIO, NOT_IN_AUDIO)))


def _with_control(
    table: StudyTable, by: Sequence[str], control: Mapping[str, str], bootstrap: Bootstrap
) -> list[RunComparison]:
    """Compare each group of runs with the model before fine-tuning and with its control runs."""
    changes, controls = (
        paired_difference(table, by, baseline, bootstrap) for baseline in (BEFORE_TRAINING, control)
    )
    by_group = {tuple(d[name] for name in by): d for d in controls}
    return [RunComparison(d, by_group.get(tuple(d[name] for name in by))) for d in changes]


def _front(
    changes: Mapping[tuple[str, ...], Mapping[str, PairedDifference]],
) -> frozenset[tuple[str, ...]]:
    """Return the strategies for which no other has both higher AUC and lower text loss."""
    defined = {key: d for key, d in changes.items() if {"in-domain AUC", "text loss"} <= d.keys()}
    gains = [d["in-domain AUC"].estimate.value for d in defined.values()]
    losses = [d["text loss"].estimate.value for d in defined.values()]
    front = pareto_front(gains, losses)
    return frozenset(key for key, best in zip(defined, front, strict=True) if best)


def _holm(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Return the differences with p-values corrected for multiple comparisons (Holm)."""
    corrected = holm([difference.p_value for difference in differences])
    return [replace(d, corrected=p) for d, p in zip(differences, corrected, strict=True)]


def _sorted(comparisons: Sequence[RunComparison], **orders: Sequence[str]) -> list[RunComparison]:
    """Sort by the columns in `orders`; each list gives the order of a column's values."""
    return sorted(
        comparisons,
        key=lambda pair: tuple(order.index(pair.change[name]) for name, order in orders.items()),
    )
