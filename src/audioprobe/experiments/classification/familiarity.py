"""Scores on unfamiliar sound minus scores on familiar sound."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.grouping import grouped, has_both
from audioprobe.metrics.vectorized_metrics import macro_roc_auc
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class FamiliarityDrop:
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


def drops(cells: Sequence[ClassificationCell], bootstrap: Bootstrap) -> tuple[FamiliarityDrop, ...]:
    """Every rung on every pair of unfamiliar and familiar sounds with the same labels."""
    found = []
    for rung in dict.fromkeys(cell.rung for cell in cells):
        of_rung = [LabelledScores(cell) for cell in cells if cell.rung == rung]
        for known in (one for one in of_rung if one.cell.familiar is True):
            for new in (one for one in of_rung if one.cell.familiar is False):
                if set(known.cell.result.labels) == set(new.cell.result.labels):
                    names = known.cell.sounds, new.cell.sounds
                    found.append(FamiliarityDrop(rung, *names, _between(known, new, bootstrap)))
    return tuple(found)


def _between(known: LabelledScores, new: LabelledScores, bootstrap: Bootstrap) -> Estimate:
    """Both sets of clips are resampled, each in itself."""
    n_known, n_new = len(known.ids), len(new.ids)
    if not n_known or not n_new:
        return Estimate(value=None, n=0, method="no annotated clip was scored on one of both sides")
    before = macro_roc_auc(known.targets, known.scores)
    after = macro_roc_auc(new.targets, new.scores)

    def difference(counts: Float64Array) -> Float64Array:
        return after(counts[:, n_known:]) - before(counts[:, :n_known])

    if not all(has_both(grouped(len(s.ids), s.groups), s.targets) for s in (known, new)):
        value = float(difference(np.ones((1, n_known + n_new)))[0])
        why = "no interval: on one of both sides, no label is in two groups and missing in two"
        return Estimate(value=None if np.isnan(value) else value, n=n_known + n_new, method=why)
    groups = [("familiar", g) for g in known.groups] + [("unfamiliar", g) for g in new.groups]
    strata = [("familiar", s) for s in known.strata] + [("unfamiliar", s) for s in new.strata]
    return bootstrap.estimate(
        difference, n_known + n_new, groups=groups, strata=strata, unit=known.unit
    )
