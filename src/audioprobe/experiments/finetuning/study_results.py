"""All that a study found, computed from its findings alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.finetuning.ablations import Ablation, matched_of
from audioprobe.experiments.finetuning.concept_generalization import ConceptGeneralization, held_out
from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.cross_modal_transfer import TransferResult, transferred
from audioprobe.experiments.finetuning.factor_effects import FactorEffect, choices_of
from audioprobe.experiments.finetuning.paired_difference import MEASURES, Measure, level_of
from audioprobe.experiments.finetuning.run_result import BEFORE, RunResult
from audioprobe.experiments.finetuning.strategy_summary import StrategySummary, summarize_strategies
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import rank_correlation
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class Correlation:
    """Whether strategies that move one thing more also change another more.

    Attributes:
        moved: what moved: "weights: llm", "states of text".
        measure: what changed.
        rho: Spearman's rank correlation over trainings, strategies resampled with all their seeds.
        n_trainings: that have both.
    """

    moved: str
    measure: Measure
    rho: Estimate
    n_trainings: int


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What a study found.

    Attributes:
        before: the model as it was.
        tried: all strategies, in the order of the design.
        effects: of every level, by measure.
        matched: strategies that differ in one choice alone.
        links: of drift with forgetting and gain.
        heldout: of concepts that pairs were about and were not, where a strategy has pairs.
        transfer: of invented classes; None where none were taught.
        n_trainings: that ended.
        n_wanted: that the study asks for.
        seconds: that all of them took, one after the other.
        failures: names of trainings that failed, and why; they are among those that ended.
    """

    before: dict[Measure, Estimate]
    tried: tuple[StrategySummary, ...]
    effects: dict[Measure, tuple[FactorEffect, ...]]
    matched: tuple[Ablation, ...]
    links: tuple[Correlation, ...]
    heldout: tuple[ConceptGeneralization, ...]
    transfer: TransferResult | None
    n_trainings: int
    n_wanted: int
    seconds: float
    failures: tuple[tuple[str, str], ...] = ()


def synthesised(
    study: StudyConfig, findings: Sequence[RunResult], halves: frozenset[str], n_wanted: int
) -> StudySummary:
    """Everything that can be said of what there is so far.

    Args:
        study: what was wanted.
        findings: the model before, first, and all trainings that there are.
        halves: concepts that pairs may be about, and of which invented classes are taught in sound.
        n_wanted: trainings of the whole study.
    """
    before, *trainings = findings
    was = before.measured
    assert before.name == BEFORE  # noqa: S101 - a run gives it first
    assert was is not None  # noqa: S101 - the model before cannot fail without an error
    own = [one for one in trainings if not one.transfer]
    tried = summarize_strategies(study, own, was)
    return StudySummary(
        {measure: level_of([was], measure, study.bootstrap) for measure in MEASURES},
        tried,
        choices_of(tried, study),
        matched_of(study, own),
        _links(tried, own, study.bootstrap),
        held_out(study, own, was.probe, halves),
        transferred(was.quiz, [t for t in trainings if t.transfer], halves, study.bootstrap),
        len(trainings),
        n_wanted,
        sum(one.seconds for one in findings),
        tuple((one.name, one.failure) for one in trainings if one.failure),
    )


def _links(
    tried: Sequence[StrategySummary], trainings: Sequence[RunResult], bootstrap: Bootstrap
) -> tuple[Correlation, ...]:
    """How drift goes with what changes, over trainings."""
    by_name = {one.name: one for one in tried}
    rows: list[tuple[RunResult, dict[str, float], dict[Measure, float | None]]] = []
    for one in trainings:
        own = by_name[one.configuration]
        at = own.seeds.index(one.seed)
        moved = {f"weights: {d.part}": d.relative for d in one.drift if d.relative is not None}
        for what, layers in one.similarity.items():
            known = [value for value in layers if value is not None]
            if known:
                moved[f"states of {what}"] = 1 - float(np.mean(known))
        rows.append((one, moved, {m: own.changes[m].by_seed[at] for m in MEASURES}))
    found = []
    for what in sorted({name for _, moved, _ in rows for name in moved}):
        for measure in ("loss of text", "inside AUC", "accuracy in sound"):
            both = [
                (one.configuration, moved[what], value)
                for one, moved, changed in rows
                if what in moved and (value := changed[measure]) is not None
            ]
            if len({name for name, _, _ in both}) > 3:
                found.append(_link(what, measure, both, bootstrap))
    return tuple(found)


def _link(
    what: str, measure: Measure, both: Sequence[tuple[str, float, float]], bootstrap: Bootstrap
) -> Correlation:
    strategies, moved, changed = zip(*both, strict=True)
    rho = bootstrap.estimate(
        rank_correlation(moved, changed), len(both), groups=strategies, unit="strategies"
    )
    return Correlation(what, measure, rho, len(both))
