"""A strategy of fine-tuning with all its replicates, against the model before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.experiments.finetuning.comparing import MEASURES, Change, Measure, changes, level_of
from audioprobe.experiments.finetuning.config import Study
from audioprobe.experiments.finetuning.findings import Findings, Measured, by_configuration
from audioprobe.finetuning.trainable import trains_language
from audioprobe.metrics.pareto import front
from audioprobe.types import BoolArray, Estimate

FACTORS = ("trained", "holding", "alignment")


@dataclass(frozen=True, slots=True)
class Tried:
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
    changes: dict[Measure, Change]
    levels: dict[Measure, Estimate]
    drift: dict[str, float | None]
    similarity: dict[str, tuple[float | None, ...]]
    losses: tuple[tuple[float, ...], ...]
    n_stopped: int
    failures: tuple[str, ...]
    best: bool | None = None


def tried_of(study: Study, trainings: Sequence[Findings], was: Measured) -> tuple[Tried, ...]:
    """All strategies, in the order of their first trainings.

    Args:
        study: whose levels they have.
        trainings: without those of invented classes.
        was: what the model did before.
    """
    return _ranked([_tried(study, own, was) for own in by_configuration(trainings).values()])


def reads_anew(study: Study, trained: str) -> bool:
    """Whether this level of what trains has weights of the language model."""
    return trains_language(study.level(trained).parts)


def _tried(study: Study, group: Sequence[Findings], was: Measured) -> Tried:
    first, there = group[0], [one.measured for one in group if one.measured is not None]
    pairs = [None if one.measured is None else (was, one.measured) for one in group]
    bootstrap = study.bootstrap
    return Tried(
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


def _drift(group: Sequence[Findings]) -> dict[str, float | None]:
    parts = dict.fromkeys(drift.part for one in group for drift in one.drift)
    found: dict[str, float | None] = {}
    for part in parts:
        own = [d.relative for one in group for d in one.drift if d.part == part]
        known = [value for value in own if value is not None]
        found[part] = float(np.mean(known)) if known else None
    return found


def _similarity(group: Sequence[Findings]) -> dict[str, tuple[float | None, ...]]:
    found: dict[str, tuple[float | None, ...]] = {}
    for what in dict.fromkeys(key for one in group for key in one.similarity):
        layers = zip(*(o.similarity[what] for o in group if what in o.similarity), strict=True)
        known = [[value for value in layer if value is not None] for layer in layers]
        found[what] = tuple(float(np.mean(some)) if some else None for some in known)
    return found


def _ranked(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Which are on the Pareto front of what is gained inside and what of text is lost."""
    gains = [one.changes["inside AUC"].estimate.value for one in tried]
    losses = [one.changes["loss of text"].estimate.value for one in tried]
    if not tried:
        return ()
    best: BoolArray = front(gains, losses)
    return tuple(
        replace(one, best=None if gain is None or loss is None else bool(own))
        for one, gain, loss, own in zip(tried, gains, losses, best, strict=True)
    )
