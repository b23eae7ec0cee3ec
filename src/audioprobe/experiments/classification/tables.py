"""What a run found, as tables."""

from collections.abc import Sequence

from audioprobe.experiments.classification.analysis import CellScore, Gain
from audioprobe.experiments.classification.calibration import CalibrationResult
from audioprobe.experiments.classification.familiarity import FamiliarityDrop
from audioprobe.io.text_table import Table
from audioprobe.metrics.permutations import smallest_text
from audioprobe.types import Estimate

NONE = "–"


def summary(scores: Sequence[CellScore]) -> Table:
    """A row per cell."""
    known = any(score.steps is not None for score in scores)
    policies = " or ".join(dict.fromkeys(score.threshold_policy for score in scores))
    header = (
        "sounds",
        "rung",
        "AUC",
        "AP",
        f"F1, threshold {policies}",
        "AUC minus the first rung's",
        "p (Holm)",
        "80 % power from",
        *(("F1, parents credited", "steps from best label to a right one") if known else ()),
        "clips",
        "failed",
        "not annotated",
        "nothing recognised",
    )
    rows = tuple(
        (
            score.sounds,
            score.rung,
            str(score.auc),
            str(score.average_precision),
            str(score.f1),
            *_gained(score.gain),
            *(map(_maybe, (score.credited_f1, score.steps)) if known else ()),
            str(score.n_clips),
            str(score.n_failed),
            str(score.n_unannotated),
            str(score.n_abstained),
        )
        for score in scores
    )
    return Table(header, rows, numeric=tuple(range(6, len(header))))


def notes(scores: Sequence[CellScore], level: float = 0.95) -> tuple[str, ...]:
    """A sentence for each number of groups that is too small for a test to find anything.

    Args:
        scores: of all cells.
        level: of confidence.
    """
    few = {
        f"{gain.n_groups} {gain.unit}": gain.smallest_adjusted
        for gain in (score.gain for score in scores)
        if gain and gain.smallest_adjusted is not None and gain.smallest_adjusted > 1 - level
    }
    return tuple(
        f"With {units}, no p-value (Holm) below {smallest:.3g} is possible: this test cannot find "
        "a difference, however large it is. Add groups."
        for units, smallest in few.items()
    )


def headline(scores: Sequence[CellScore]) -> Table:
    """The same in what fits a terminal."""
    header = ("sounds", "rung", "AUC", "minus the first rung's", "clips", "failed")
    rows = tuple(
        (s.sounds, s.rung, str(s.auc), _gained(s.gain)[0], str(s.n_clips), str(s.n_failed))
        for s in scores
    )
    return Table(header, rows, numeric=(4, 5))


def labels_table(score: CellScore) -> Table:
    """A row per label of a cell."""
    header = ("label", "positives", "AUC", "AP", f"F1, threshold {score.threshold_policy}")
    rows = tuple(
        (
            entry.label,
            str(entry.n_positive),
            str(entry.auc),
            str(entry.average_precision),
            "undefined" if entry.f1 is None else f"{entry.f1:.3f}",
        )
        for entry in score.labels
    )
    return Table(header, rows, numeric=(1, 2, 3, 4))


def drops_table(drops: Sequence[FamiliarityDrop]) -> Table:
    """A row per rung and pair of sounds."""
    header = ("rung", "familiar", "unfamiliar", "AUC, unfamiliar minus familiar")
    rows = tuple((d.rung, d.familiar, d.unfamiliar, str(d.difference)) for d in drops)
    return Table(header, rows)


def calibration_table(judged: Sequence[CalibrationResult]) -> Table:
    """A row per cell whose scores were made probabilities."""
    header = ("sounds", "rung", "curve fitted on", "expected calibration error")
    return Table(
        header, tuple((one.sounds, one.rung, one.tuned_on, str(one.error)) for one in judged)
    )


def p_text(p_value: float | None) -> str:
    """A p-value to three digits; never 0."""
    if p_value is None:
        return NONE
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}"


def _maybe(estimate: Estimate | None) -> str:
    return NONE if estimate is None else str(estimate)


def _gained(gain: Gain | None) -> tuple[str, str, str]:
    if gain is None:
        return NONE, NONE, NONE
    p_value = p_text(gain.adjusted)
    if gain.adjusted is not None:
        p_value += smallest_text(gain.smallest_adjusted)
    detectable = NONE if gain.detectable is None else f"{gain.detectable:.3f}"
    return str(gain.difference), p_value, detectable
