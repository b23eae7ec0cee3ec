"""The numbers of a run: every cell with its intervals, and every rung against the first.

A clip that nobody has annotated takes part in no number, and is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.familiarity import FamiliarityDrop, drops
from audioprobe.experiments.classification.hierarchical_metrics import (
    Decisions,
    credited,
    decided,
    steps_off,
)
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics import OracleThreshold, ThresholdPolicy, TunedThreshold
from audioprobe.metrics.averaging import macro, per_label
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.multiple_testing import holm
from audioprobe.metrics.paired import permutation
from audioprobe.metrics.power import PairedTest
from audioprobe.metrics.ranking import average_precision, roc_auc
from audioprobe.metrics.threshold import f1_per_label
from audioprobe.metrics.vectorized_metrics import (
    macro_average_precision,
    macro_f1,
    macro_roc_auc,
)
from audioprobe.types import BoolArray, Estimate

__all__ = ["CellScore", "FamiliarityDrop", "Gain", "LabelScore", "drops", "scored"]


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
        detectable: the true difference that this test would have found with 80 % power, corrected
            for all rungs; None where there is no interval, or no p-value can be small enough.
        smallest_p_value: that a test with so many groups can give.
        smallest_adjusted: the same after the correction for all rungs.
        n_groups: groups that were exchanged.
        unit: what they are: "groups", or "clips" where no clip has a group.
    """

    difference: Estimate
    p_value: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    smallest_p_value: float | None = None
    smallest_adjusted: float | None = None
    n_groups: int = 0
    unit: str = "groups"


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


def scored(
    cells: Sequence[ClassificationCell], config: ClassificationConfig
) -> tuple[CellScore, ...]:
    """Score every cell, and compare it with the first of its sounds.

    Args:
        cells: of a run, in its order.
        config: how intervals are computed, and where thresholds come from.
    """
    annotated = {(cell.sounds, cell.rung): LabelledScores(cell) for cell in cells}
    tuned_on = {sound.name: sound.thresholds_from for sound in config.sounds}
    first: dict[str, LabelledScores] = {}
    tests: dict[tuple[str, str], PairedTest | None] = {}
    for (sounds, rung), one in annotated.items():
        base = first.setdefault(sounds, one)
        tests[sounds, rung] = None if base is one else _against(base, one, config.bootstrap)
    gains = _gains(tests, config.bootstrap.level)
    return tuple(
        _score(
            one,
            gains[sounds, rung],
            _policy(annotated.get((tuned_on.get(sounds, ""), rung))),
            config.bootstrap,
        )
        for (sounds, rung), one in annotated.items()
    )


def _score(
    one: LabelledScores, gain: Gain | None, policy: ThresholdPolicy, bootstrap: Bootstrap
) -> CellScore:
    cell, n_clips = one.cell, len(one.ids)
    steps = credit = None
    if n_clips:
        decisions = decided(one, policy)
        auc, precision, f1, labels = _numbers(one, policy, decisions, bootstrap)
        steps, credit = steps_off(one, bootstrap), credited(one, decisions, bootstrap)
    else:
        auc = precision = f1 = Estimate(value=None, n=0, method="no annotated clip was scored")
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
    one: LabelledScores, policy: ThresholdPolicy, decisions: Decisions, bootstrap: Bootstrap
) -> tuple[Estimate, Estimate, Estimate, tuple[LabelScore, ...]]:
    targets, scores = one.targets, one.scores

    def estimated(statistic: Statistic, point: Estimate, present: BoolArray) -> Estimate:
        return bootstrap.estimate(
            statistic,
            len(targets),
            groups=one.groups,
            strata=one.strata,
            present=present,
            point=point,
            unit=one.unit,
        )

    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    f1s = f1_per_label(targets, scores, policy)
    labels = [
        LabelScore(
            label,
            int(targets[:, n].sum()),
            estimated(
                macro_roc_auc(targets[:, [n]], scores[:, [n]]),
                macro(aucs[n : n + 1]),
                targets[:, n],
            ),
            estimated(
                macro_average_precision(targets[:, [n]], scores[:, [n]]),
                macro(precisions[n : n + 1]),
                targets[:, n],
            ),
            f1s[n],
        )
        for n, label in enumerate(one.cell.result.labels)
    ]
    f1 = macro(f1s)
    with_limit, said = decisions
    if with_limit:
        f1 = estimated(macro_f1(targets[:, with_limit], said), f1, targets)
    return (
        estimated(macro_roc_auc(targets, scores), macro(aucs), targets),
        estimated(macro_average_precision(targets, scores), macro(precisions), targets),
        f1,
        tuple(labels),
    )


def _policy(other: LabelledScores | None) -> ThresholdPolicy:
    if other is None or not other.ids:
        return OracleThreshold()
    return TunedThreshold.fit(other.targets, other.scores, on=other.cell.sounds)


def _against(base: LabelledScores, one: LabelledScores, bootstrap: Bootstrap) -> PairedTest:
    """The difference of both AUCs in the same resamples, and by exchanges of whole groups."""
    in_base = set(base.ids)
    kept = [n for n, name in enumerate(one.ids) if name in in_base]
    common = [one.ids[n] for n in kept]
    if not common:
        why = "no annotated clip was scored in both"
        return PairedTest(
            difference=Estimate(value=None, n=0, method=why),
            p_value=None,
            standard_error=None,
            name=why,
        )
    return permutation(
        one.targets[kept],
        one.cell.result.scores[one.rows(common)],
        base.cell.result.scores[base.rows(common)],
        groups=[one.groups[n] for n in kept],
        strata=[one.strata[n] for n in kept],
        seed=bootstrap.seed,
        bootstrap=bootstrap,
        unit=one.unit,
    )


def _gains(
    tests: Mapping[tuple[str, str], PairedTest | None], level: float
) -> dict[tuple[str, str], Gain | None]:
    """The p-values of the rungs of each sounds, corrected together."""
    found: dict[tuple[str, str], Gain | None] = dict.fromkeys(tests)
    for sounds in dict.fromkeys(sounds for sounds, _ in tests):
        own = {key: test for key, test in tests.items() if key[0] == sounds and test is not None}
        p_values = [test.p_value for test in own.values()]
        n_tests = sum(p_value is not None for p_value in p_values)
        reachable = [p for test in own.values() if (p := test.smallest_p_value) is not None]
        smallest = min(1.0, max(1, n_tests) * min(reachable)) if reachable else None
        for (key, test), adjusted in zip(own.items(), holm(p_values), strict=True):
            found[key] = Gain(
                test.difference,
                test.p_value,
                adjusted,
                test.detectable(level=level, n_tests=n_tests),
                test.smallest_p_value,
                smallest,
                test.n_units or 0,
                test.unit,
            )
    return found
