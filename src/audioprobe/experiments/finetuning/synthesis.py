"""All that a study found, computed from its findings alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from audioprobe.experiments.finetuning.comparing import MEASURES, Change, Measure, changes, level_of
from audioprobe.experiments.finetuning.config import Study
from audioprobe.experiments.finetuning.findings import BEFORE, Findings, Measured, by_configuration
from audioprobe.experiments.finetuning.transfer import Transferred, transferred
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.effects import Effect, main_effects
from audioprobe.metrics.paired import holm
from audioprobe.metrics.pareto import front
from audioprobe.types import BoolArray, Estimate, Float64Array

FACTORS = ("trained", "holding", "alignment")


@dataclass(frozen=True, slots=True)
class Tried:
    """A strategy with all its replicates.

    Attributes:
        name: of the configuration.
        trained: level of what trained.
        holding: level of how forgetting was held.
        alignment: level of how sound was tied to text.
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
    seeds: tuple[int, ...]
    changes: dict[Measure, Change]
    levels: dict[Measure, Estimate]
    drift: dict[str, float | None]
    similarity: dict[str, tuple[float | None, ...]]
    losses: tuple[tuple[float, ...], ...]
    n_stopped: int
    failures: tuple[str, ...]
    best: bool | None = None


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """What a level of a factor does to a measure, all else being equal.

    Attributes:
        effect: against the factor's first level.
        corrected: its p-value among all levels of this measure (Holm).
    """

    effect: Effect
    corrected: float | None


@dataclass(frozen=True, slots=True)
class Link:
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
class Synthesis:
    """What a study found.

    Attributes:
        before: the model as it was.
        tried: all strategies, in the order of the design.
        effects: of every level, by measure.
        links: of drift with forgetting and gain.
        transfer: of invented classes; None where none were taught.
        n_trainings: that ended.
        n_wanted: that the study asks for.
        seconds: that all of them took, one after the other.
        failures: names of trainings that failed, and why; they are among those that ended.
    """

    before: dict[Measure, Estimate]
    tried: tuple[Tried, ...]
    effects: dict[Measure, tuple[FactorEffect, ...]]
    links: tuple[Link, ...]
    transfer: Transferred | None
    n_trainings: int
    n_wanted: int
    seconds: float
    failures: tuple[tuple[str, str], ...] = ()


def synthesised(
    study: Study, findings: Sequence[Findings], halves: frozenset[str], n_wanted: int
) -> Synthesis:
    """Everything that can be said of what there is so far.

    Args:
        study: what was wanted.
        findings: the model before, first, and all trainings that there are.
        halves: concepts of which invented classes are taught in sound.
        n_wanted: trainings of the whole study.
    """
    before, *trainings = findings
    was = before.measured
    assert before.name == BEFORE  # noqa: S101 - a run gives it first
    assert was is not None  # noqa: S101 - the model before cannot fail without an error
    own = [one for one in trainings if not one.transfer]
    tried = [_tried(group, was, study.bootstrap) for group in by_configuration(own).values()]
    return Synthesis(
        {measure: level_of([was], measure, study.bootstrap) for measure in MEASURES},
        _ranked(tried),
        {measure: _effects(tried, measure, study) for measure in MEASURES} if tried else {},
        _links(tried, own, study.bootstrap),
        transferred(was.quiz, [t for t in trainings if t.transfer], halves, study.bootstrap),
        len(trainings),
        n_wanted,
        sum(one.seconds for one in findings),
        tuple((one.name, one.failure) for one in trainings if one.failure),
    )


def _tried(group: Sequence[Findings], was: Measured, bootstrap: Bootstrap) -> Tried:
    first, there = group[0], [one.measured for one in group if one.measured is not None]
    return Tried(
        first.configuration,
        first.trained,
        first.holding,
        first.alignment,
        tuple(one.seed for one in group),
        changes(was, [one.measured for one in group], bootstrap),
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


def _effects(tried: Sequence[Tried], measure: Measure, study: Study) -> tuple[FactorEffect, ...]:
    runs = [
        (one, seed, value)
        for one in tried
        for seed, value in zip(one.seeds, one.changes[measure].by_seed, strict=True)
    ]
    firsts = {
        "trained": study.levels[0].label,
        "holding": study.holding[0].label,
        "alignment": study.alignment[0].label,
    }
    factors = {name: [getattr(one, name) for one, _, _ in runs] for name in FACTORS}
    baseline = {
        name: first if first in factors[name] else factors[name][0]
        for name, first in firsts.items()
    }
    found = main_effects(
        factors,
        [value for _, _, value in runs],
        baseline=baseline,
        blocks=[seed for _, seed, _ in runs],
        level=study.bootstrap.level,
    )
    corrected = holm([effect.p_value for effect in found])
    return tuple(FactorEffect(*both) for both in zip(found, corrected, strict=True))


def _links(
    tried: Sequence[Tried], trainings: Sequence[Findings], bootstrap: Bootstrap
) -> tuple[Link, ...]:
    """How drift goes with what changes, over trainings."""
    by_name = {one.name: one for one in tried}
    rows: list[tuple[Findings, dict[str, float], dict[Measure, float | None]]] = []
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
) -> Link:
    groups = [name for name, _, _ in both]
    one, other = (np.array([row[n] for row in both], dtype=np.float64) for n in (1, 2))
    method = f"Spearman, {len(set(groups))} strategies resampled with all their trainings"
    value = _spearman(one, other)
    if value is None:
        undefined = Estimate(None, n=0, n_undefined=len(both), method="all of them are the same")
        return Link(what, measure, undefined, len(both))
    drawn = [
        np.repeat(np.arange(len(both)), row)
        for counts in bootstrap.resamples(len(both), groups=groups)
        for row in counts.astype(int)
    ]
    found = [rho for some in drawn if (rho := _spearman(one[some], other[some])) is not None]
    low = high = None
    if found:
        ends = ((1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2)
        low, high = map(float, np.quantile(found, ends))
    return Link(what, measure, Estimate(value, len(both), 0, low, high, method), len(both))


def _spearman(one: Float64Array, other: Float64Array) -> float | None:
    """None where all of either are equal: there is no order then."""
    if len({*one.tolist()}) < 2 or len({*other.tolist()}) < 2:
        return None
    return float(stats.spearmanr(one, other).statistic)
