"""A strategy of fine-tuning with all its replicates, against the model before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.experiments.finetuning.config import StudyConfig
from audioprobe.experiments.finetuning.paired_difference import (
    MEASURES,
    Measure,
    PairedDifference,
    changes,
    level_of,
)
from audioprobe.experiments.finetuning.run_result import (
    ModelEvaluation,
    RunResult,
    by_configuration,
)
from audioprobe.metrics.pareto import pareto_front
from audioprobe.training.trainable import updates_language_model
from audioprobe.types import BoolArray, Estimate

FACTORS = ("trained", "holding", "alignment")


@dataclass(frozen=True, slots=True)
class StrategySummary:
    """A strategy with all its replicates.

    Attributes:
        name: of the configuration.
        trained: level of what trained.
        holding: level of how forgetting was held.
        alignment: level of how sound was tied to text.
        reads_anew: whether weights of the language model trained; without, nothing can change that
            is of words alone.
        seeds: of the replicates, in order.
        changes: after minus before.
        levels: after.
        drift: mean relative drift of the weights of each part that trained; None where undefined.
        similarity: mean CKA of each layer with itself before, by "sound" and "text".
        losses: of every step, of each replicate.
        n_stopped: replicates that ended before their last step.
        failures: why replicates have no value, of those that have none.
        best: whether no other strategy gains more and forgets less; None without values.
    """

    name: str
    trained: str
    holding: str
    alignment: str
    reads_anew: bool
    seeds: tuple[int, ...]
    changes: dict[Measure, PairedDifference]
    levels: dict[Measure, Estimate]
    drift: dict[str, float | None]
    similarity: dict[str, tuple[float | None, ...]]
    losses: tuple[tuple[float, ...], ...]
    n_stopped: int
    failures: tuple[str, ...]
    best: bool | None = None


def summarize_strategies(
    study: StudyConfig, trainings: Sequence[RunResult], was: ModelEvaluation
) -> tuple[StrategySummary, ...]:
    """All strategies, in the order of their first trainings.

    Args:
        study: whose levels they have.
        trainings: without those of invented classes.
        was: what the model did before.
    """
    return _ranked([_tried(study, own, was) for own in by_configuration(trainings).values()])


def reads_anew(study: StudyConfig, trained: str) -> bool:
    """Whether this level of what trains has weights of the language model."""
    return updates_language_model(study.level(trained).parts)


def _tried(study: StudyConfig, group: Sequence[RunResult], was: ModelEvaluation) -> StrategySummary:
    first, there = group[0], [one.measured for one in group if one.measured is not None]
    pairs = [None if one.measured is None else (was, one.measured) for one in group]
    bootstrap = study.bootstrap
    return StrategySummary(
        first.configuration,
        first.trained,
        first.holding,
        first.alignment,
        reads_anew(study, first.trained),
        tuple(one.seed for one in group),
        changes(pairs, bootstrap),
        {m: level_of(there, m, bootstrap) for m in MEASURES} if there else {},
        _drift(group),
        _similarity(group),
        tuple(one.losses for one in group),
        sum(one.stopped for one in group),
        tuple(one.failure for one in group if one.failure),
    )


def _drift(group: Sequence[RunResult]) -> dict[str, float | None]:
    parts = dict.fromkeys(drift.part for one in group for drift in one.drift)
    found: dict[str, float | None] = {}
    for part in parts:
        own = [d.relative for one in group for d in one.drift if d.part == part]
        known = [value for value in own if value is not None]
        found[part] = float(np.mean(known)) if known else None
    return found


def _similarity(group: Sequence[RunResult]) -> dict[str, tuple[float | None, ...]]:
    found: dict[str, tuple[float | None, ...]] = {}
    for what in dict.fromkeys(key for one in group for key in one.similarity):
        layers = zip(*(o.similarity[what] for o in group if what in o.similarity), strict=True)
        known = [[value for value in layer if value is not None] for layer in layers]
        found[what] = tuple(float(np.mean(some)) if some else None for some in known)
    return found


def _ranked(tried: Sequence[StrategySummary]) -> tuple[StrategySummary, ...]:
    """Which are on the Pareto front of what is gained inside and what of text is lost."""
    gains = [one.changes["inside AUC"].estimate.value for one in tried]
    losses = [one.changes["loss of text"].estimate.value for one in tried]
    if not tried:
        return ()
    best: BoolArray = pareto_front(gains, losses)
    return tuple(
        replace(one, best=None if gain is None or loss is None else bool(own))
        for one, gain, loss, own in zip(tried, gains, losses, best, strict=True)
    )
