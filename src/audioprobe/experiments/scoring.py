"""The numbers of a run: every cell with its intervals, and every rung against the first.

A clip that nobody has annotated takes part in no number, and is counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from audioprobe.experiments.annotated import Annotated
from audioprobe.experiments.branches import Decisions, credited, decided, steps_off
from audioprobe.experiments.classification import Cell
from audioprobe.experiments.config import Classification
from audioprobe.metrics import OracleThreshold, ThresholdPolicy, TunedThreshold
from audioprobe.metrics.averaging import macro, per_label
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.many_tests import holm
from audioprobe.metrics.paired import permutation, smallest_detectable
from audioprobe.metrics.ranking import average_precision, roc_auc
from audioprobe.metrics.resampled import (
    macro_average_precision,
    macro_f1,
    macro_roc_auc,
)
from audioprobe.metrics.threshold import f1_per_label
from audioprobe.types import Estimate, Float64Array

N_PERMUTATIONS = 2000


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label of a cell.

    Attributes:
        label: its name.
        n_positive: clips that have it.
        auc: with its interval; undefined without positives or negatives.
        average_precision: the same.
        f1: at the cell's threshold policy, without interval.
    """

    label: str
    n_positive: int
    auc: Estimate
    average_precision: Estimate
    f1: float | None


@dataclass(frozen=True, slots=True)
class Gain:
    """A rung against the first one, on the clips that both have scores for.

    Attributes:
        difference: of the macro AUCs, with the interval of paired resamples.
        p_value: of a permutation test; None where the difference is undefined.
        adjusted: the same for all rungs of these sounds together (Holm).
        detectable: the true difference that would have been found with 80 % power; None where there
            is no interval.
    """

    difference: Estimate
    p_value: float | None
    adjusted: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True)
class CellScore:
    """The numbers of one cell.

    Attributes:
        sounds: name of the part of the sounds.
        rung: name of the rung.
        familiar: whether the model learned from such sound; None where nobody knows.
        auc: macro mean over the labels whose AUC is defined.
        average_precision: the same of average precision.
        f1: the same of F1.
        threshold_policy: how its thresholds were chosen.
        gain: against the first rung; None for the first itself.
        labels: one entry per label.
        steps: mean distance of the best label from the nearest right one, over clips with labels;
            None where the data set has no hierarchy.
        credited_f1: F1 over all pairs of clip and label at the same thresholds, where "bird" for a
            grouse earns what the two share; None where the data set has no hierarchy.
        n_clips: clips that the numbers rest on.
        n_failed: clips without scores.
        n_unannotated: clips with scores that nobody has annotated.
        n_abstained: clips in which the model itself recognised nothing, among `n_clips`.
    """

    sounds: str
    rung: str
    familiar: bool | None
    auc: Estimate
    average_precision: Estimate
    f1: Estimate
    threshold_policy: str
    gain: Gain | None
    labels: tuple[LabelScore, ...]
    steps: Estimate | None
    credited_f1: Estimate | None
    n_clips: int
    n_failed: int
    n_unannotated: int
    n_abstained: int


@dataclass(frozen=True, slots=True)
class Drop:
    """One rung on unfamiliar sound against familiar sound.

    Attributes:
        rung: its name.
        familiar: name of the sounds that the model learned from.
        unfamiliar: name of the others.
        difference: macro AUC on unfamiliar minus on familiar sound, both resampled.
    """

    rung: str
    familiar: str
    unfamiliar: str
    difference: Estimate


def scored(cells: Sequence[Cell], config: Classification) -> tuple[CellScore, ...]:
    """Score every cell, and compare it with the first of its sounds.

    Args:
        cells: of a run, in its order.
        config: how intervals are computed, and where thresholds come from.
    """
    annotated = {(cell.sounds, cell.rung): Annotated(cell) for cell in cells}
    tuned_on = {sound.name: sound.thresholds_from for sound in config.sounds}
    first: dict[str, Annotated] = {}
    found = []
    for (sounds, rung), one in annotated.items():
        base = first.setdefault(sounds, one)
        gain = None if base is one else _gain(base, one, config.bootstrap)
        other = annotated.get((tuned_on.get(sounds, ""), rung))
        found.append(_score(one, gain, _policy(other), config.bootstrap))
    return tuple(_together(found))


def drops(cells: Sequence[Cell], bootstrap: Bootstrap) -> tuple[Drop, ...]:
    """Every rung on every pair of unfamiliar and familiar sounds with the same labels."""
    found = []
    for rung in dict.fromkeys(cell.rung for cell in cells):
        of_rung = [Annotated(cell) for cell in cells if cell.rung == rung]
        for known in (one for one in of_rung if one.cell.familiar is True):
            for new in (one for one in of_rung if one.cell.familiar is False):
                if set(known.cell.result.labels) == set(new.cell.result.labels):
                    names = known.cell.sounds, new.cell.sounds
                    found.append(Drop(rung, *names, _between(known, new, bootstrap)))
    return tuple(found)


def _score(
    one: Annotated, gain: Gain | None, policy: ThresholdPolicy, bootstrap: Bootstrap
) -> CellScore:
    cell, n_clips = one.cell, len(one.ids)
    steps = credit = None
    if n_clips:
        decisions = decided(one, policy)
        auc, precision, f1, labels = _numbers(one, policy, decisions, bootstrap)
        steps, credit = steps_off(one, bootstrap), credited(one, decisions, bootstrap)
    else:
        auc = precision = f1 = Estimate(None, n=0, method="no annotated clip was scored")
        labels = ()
    return CellScore(
        cell.sounds,
        cell.rung,
        cell.familiar,
        auc,
        precision,
        f1,
        policy.name,
        gain,
        labels,
        steps,
        credit,
        n_clips=n_clips,
        n_failed=len(cell.result.failures),
        n_unannotated=len(cell.result.clip_ids) - n_clips,
        n_abstained=len(set(one.ids) - cell.result.recognised),
    )


def _numbers(
    one: Annotated, policy: ThresholdPolicy, decisions: Decisions, bootstrap: Bootstrap
) -> tuple[Estimate, Estimate, Estimate, tuple[LabelScore, ...]]:
    targets, scores = one.targets, one.scores

    def estimated(statistic: Statistic, point: Estimate) -> Estimate:
        return bootstrap.around(
            point, statistic, len(targets), groups=one.groups, strata=one.strata
        )

    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    f1s = f1_per_label(targets, scores, policy)
    labels = [
        LabelScore(
            label,
            int(targets[:, n].sum()),
            estimated(macro_roc_auc(targets[:, [n]], scores[:, [n]]), macro(aucs[n : n + 1])),
            estimated(
                macro_average_precision(targets[:, [n]], scores[:, [n]]),
                macro(precisions[n : n + 1]),
            ),
            f1s[n],
        )
        for n, label in enumerate(one.cell.result.labels)
    ]
    f1 = macro(f1s)
    with_limit, said = decisions
    if with_limit:
        f1 = estimated(macro_f1(targets[:, with_limit], said), f1)
    return (
        estimated(macro_roc_auc(targets, scores), macro(aucs)),
        estimated(macro_average_precision(targets, scores), macro(precisions)),
        f1,
        tuple(labels),
    )


def _policy(other: Annotated | None) -> ThresholdPolicy:
    if other is None or not other.ids:
        return OracleThreshold()
    return TunedThreshold.fit(other.targets, other.scores, on=other.cell.sounds)


def _gain(base: Annotated, one: Annotated, bootstrap: Bootstrap) -> Gain:
    """The difference of both AUCs in the same resamples."""
    in_base = set(base.ids)
    kept = [n for n, name in enumerate(one.ids) if name in in_base]
    common = [one.ids[n] for n in kept]
    if not common:
        nothing = Estimate(None, n=0, method="no annotated clip was scored in both")
        return Gain(nothing, None, None, None)
    targets = one.targets[kept]
    groups, strata = [one.groups[n] for n in kept], [one.strata[n] for n in kept]
    after = one.cell.result.scores[one.rows(common)]
    before = base.cell.result.scores[base.rows(common)]
    aucs = macro_roc_auc(targets, after), macro_roc_auc(targets, before)

    def difference(counts: Float64Array) -> Float64Array:
        return aucs[0](counts) - aucs[1](counts)

    found = bootstrap.estimate(difference, len(common), groups=groups, strata=strata)
    test = permutation(
        targets, after, before, groups=groups, n_permutations=N_PERMUTATIONS, seed=bootstrap.seed
    )
    return Gain(found, test.p_value, None, _detectable(found, bootstrap.level))


def _detectable(difference: Estimate, level: float) -> float | None:
    """From the width of the interval, as if it were normal."""
    if difference.low is None or difference.high is None:
        return None
    error = (difference.high - difference.low) / (2 * NormalDist().inv_cdf((1 + level) / 2))
    return smallest_detectable(error, level=level)


def _between(known: Annotated, new: Annotated, bootstrap: Bootstrap) -> Estimate:
    """Both sets of clips are resampled, each in itself."""
    n_known, n_new = len(known.ids), len(new.ids)
    if not n_known or not n_new:
        return Estimate(None, n=0, method="no annotated clip was scored on one of both sides")
    before = macro_roc_auc(known.targets, known.scores)
    after = macro_roc_auc(new.targets, new.scores)

    def difference(counts: Float64Array) -> Float64Array:
        return after(counts[:, n_known:]) - before(counts[:, :n_known])

    groups = [("familiar", g) for g in known.groups] + [("unfamiliar", g) for g in new.groups]
    strata = [("familiar", s) for s in known.strata] + [("unfamiliar", s) for s in new.strata]
    return bootstrap.estimate(difference, n_known + n_new, groups=groups, strata=strata)


def _together(scores: Sequence[CellScore]) -> Iterator[CellScore]:
    """The p-values of the rungs of each sounds, corrected together."""
    for sounds in dict.fromkeys(score.sounds for score in scores):
        own = [score for score in scores if score.sounds == sounds]
        adjusted = holm([s.gain.p_value if s.gain else None for s in own])
        for score, p_value in zip(own, adjusted, strict=True):
            gain = replace(score.gain, adjusted=p_value) if score.gain else None
            yield replace(score, gain=gain)
