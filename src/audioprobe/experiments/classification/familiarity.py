"""Differences between evaluation sets of unfamiliar and of familiar audio.

Familiar audio is audio of a kind that the model was trained on.
"""

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
    """Difference between an unfamiliar and a familiar evaluation set at one prompt level.

    Attributes:
        prompt_level: name of the prompt level.
        familiar: name of the evaluation set of audio that the model was trained on.
        unfamiliar: name of the other evaluation set.
        difference: macro AUC on unfamiliar minus macro AUC on familiar audio; the bootstrap
            resamples both sets.
    """

    prompt_level: str
    familiar: str
    unfamiliar: str
    difference: Estimate


def familiarity_drops(
    cells: Sequence[ClassificationCell], bootstrap: Bootstrap
) -> tuple[FamiliarityDrop, ...]:
    """Compare every pair of an unfamiliar and a familiar evaluation set with the same labels."""
    labelled = [LabelledScores(cell) for cell in cells]
    return tuple(
        FamiliarityDrop(
            level,
            familiar.cell.evaluation_set,
            new.cell.evaluation_set,
            _difference(familiar, new, bootstrap),
        )
        for level in dict.fromkeys(cell.prompt_level for cell in cells)
        for familiar in labelled
        for new in labelled
        if familiar.cell.prompt_level == new.cell.prompt_level == level
        and familiar.cell.familiar is True
        and new.cell.familiar is False
        and set(familiar.cell.result.labels) == set(new.cell.result.labels)
    )


def _difference(familiar: LabelledScores, new: LabelledScores, bootstrap: Bootstrap) -> Estimate:
    """Return the difference of macro AUCs; each set of clips is resampled separately."""
    n_familiar, n_new = len(familiar.ids), len(new.ids)
    if not n_familiar or not n_new:
        return Estimate(value=None, n=0, method="one of the sets has no scored clip with labels")
    before = macro_roc_auc(familiar.targets, familiar.scores)
    after = macro_roc_auc(new.targets, new.scores)

    def difference(counts: Float64Array) -> Float64Array:
        return after(counts[:, n_familiar:]) - before(counts[:, :n_familiar])

    if not all(has_both(grouped(len(s.ids), s.groups), s.targets) for s in (familiar, new)):
        value = float(difference(np.ones((1, n_familiar + n_new)))[0])
        why = "no interval: in one of the sets, no label is in two groups and absent from two"
        return Estimate(value=None if np.isnan(value) else value, n=n_familiar + n_new, method=why)
    groups = [("familiar", g) for g in familiar.groups] + [("unfamiliar", g) for g in new.groups]
    strata = [("familiar", s) for s in familiar.strata] + [("unfamiliar", s) for s in new.strata]
    return bootstrap.estimate(
        difference, n_familiar + n_new, groups=groups, strata=strata, unit=familiar.unit
    )
