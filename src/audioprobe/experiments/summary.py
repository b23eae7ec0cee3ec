"""What a run found: every cell with its interval, and every rung against the first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.classification import Cell
from audioprobe.metrics.averaging import macro, per_label
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.ranking import average_precision, roc_auc
from audioprobe.metrics.resampled import macro_average_precision, macro_roc_auc
from audioprobe.tables import Table
from audioprobe.types import BoolArray, Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class CellScore:
    """The numbers of one cell.

    Attributes:
        sounds: name of the part of the sounds.
        rung: name of the rung.
        auc: macro mean over the labels whose AUC is defined; groups are resampled.
        average_precision: the same of average precision.
        gain: AUC minus that of the first rung on the same clips, paired; None for the first.
        n_clips: clips scored.
        n_failed: clips without scores.
    """

    sounds: str
    rung: str
    auc: Estimate
    average_precision: Estimate
    gain: Estimate | None
    n_clips: int
    n_failed: int


def scored(cells: Sequence[Cell], bootstrap: Bootstrap) -> tuple[CellScore, ...]:
    """Score every cell, and compare it with the first of its sounds.

    A clip counts in a comparison where both cells have scores for it.

    Args:
        cells: of a run, in its order.
        bootstrap: how intervals are computed.
    """
    first: dict[str, Cell] = {}
    found = []
    for cell in cells:
        base = first.setdefault(cell.sounds, cell)
        gain = None if base is cell else _gain(base, cell, bootstrap)
        found.append(_score(cell, gain, bootstrap))
    return tuple(found)


def summary(scores: Sequence[CellScore]) -> Table:
    """A row per cell."""
    header = ("sounds", "rung", "AUC", "AP", "AUC against the first rung", "clips", "failed")
    rows = tuple(
        (
            score.sounds,
            score.rung,
            str(score.auc),
            str(score.average_precision),
            "–" if score.gain is None else str(score.gain),
            str(score.n_clips),
            str(score.n_failed),
        )
        for score in scores
    )
    return Table(header, rows, numeric=(5, 6))


def _score(cell: Cell, gain: Estimate | None, bootstrap: Bootstrap) -> CellScore:
    result = cell.result
    n_failed = len(result.failures)
    if not result.clip_ids:
        nothing = Estimate(None, n=0, method="no clip was scored")
        return CellScore(cell.sounds, cell.rung, nothing, nothing, gain, 0, n_failed)
    targets, groups = _targets(cell, result.clip_ids), _groups(cell, result.clip_ids)

    def estimated(statistic: Statistic, point: Estimate) -> Estimate:
        return bootstrap.around(point, statistic, len(targets), groups=groups)

    return CellScore(
        cell.sounds,
        cell.rung,
        estimated(
            macro_roc_auc(targets, result.scores),
            macro(per_label(roc_auc, targets, result.scores)),
        ),
        estimated(
            macro_average_precision(targets, result.scores),
            macro(per_label(average_precision, targets, result.scores)),
        ),
        gain,
        len(result.clip_ids),
        n_failed,
    )


def _gain(base: Cell, cell: Cell, bootstrap: Bootstrap) -> Estimate:
    """The difference of both AUCs in the same resamples."""
    rows = {name: n for n, name in enumerate(base.result.clip_ids)}
    common = [name for name in cell.result.clip_ids if name in rows]
    if not common:
        return Estimate(None, n=0, method="no clip was scored in both")
    targets = _targets(cell, common)
    own = {name: n for n, name in enumerate(cell.result.clip_ids)}
    after = macro_roc_auc(targets, cell.result.scores[[own[name] for name in common]])
    before = macro_roc_auc(targets, base.result.scores[[rows[name] for name in common]])

    def difference(counts: Float64Array) -> Float64Array:
        return after(counts) - before(counts)

    return bootstrap.estimate(difference, len(common), groups=_groups(cell, common))


def _targets(cell: Cell, clip_ids: Sequence[str]) -> BoolArray:
    truth = cell.result.truth
    rows = [[label in truth.get(name, ()) for label in cell.result.labels] for name in clip_ids]
    return np.array(rows, dtype=np.bool_)


def _groups(cell: Cell, clip_ids: Sequence[str]) -> list[str]:
    """A clip without a group is its own."""
    return [f"group {cell.groups[n]}" if n in cell.groups else f"clip {n}" for n in clip_ids]
