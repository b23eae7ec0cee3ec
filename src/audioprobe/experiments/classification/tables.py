"""Tables of a classification run.

A "cell" is the result of one prompt level on one evaluation set.
"""

from collections.abc import Sequence
from statistics import fmean, stdev

from audioprobe.experiments.classification.across_sets import CalibrationResult, FamiliarityDrop
from audioprobe.experiments.classification.analysis import CellScore, Gain
from audioprobe.io.text_table import Table, with_rate
from audioprobe.types import Estimate

NONE = "–"
STRICT = "AUC, failed as wrong"

_NAMES = ("evaluation set", "prompt level")
_GAIN_COLUMNS = (
    *_NAMES,
    "AUC minus first level",
    "p (Holm)",
    "smallest p",
    "80 % power from",
    "groups",
    "clips",
)
_COUNT_COLUMNS = (*_NAMES, "clips", "groups", "failed", "no reference label", "nothing recognised")


def summary(scores: Sequence[CellScore]) -> Table:
    """Return a table of metrics with one row per cell (one prompt level on one evaluation set)."""
    hierarchical = any(score.hierarchy_distance is not None for score in scores)
    with_failures = any(score.strict_auc is not None for score in scores)
    n_repeats = max((len(score.aucs_of_repeats) for score in scores), default=0)
    seeds = (f"AUC, mean ± SD over {n_repeats} seeds",) if n_repeats else ()
    policies = " or ".join(dict.fromkeys(score.threshold_policy for score in scores))
    header = (
        "evaluation set",
        "prompt level",
        "AUC",
        *((STRICT,) if with_failures else ()),
        *seeds,
        "AP",
        f"F1, threshold {policies}",
        "AUC minus first level",
        "p (Holm)",
        "smallest p",
        "80 % power from",
        *(("hierarchical F1", "steps to a correct label") if hierarchical else ()),
        "clips",
        "groups",
        "failed",
        "no reference label",
        "nothing recognised",
    )
    rows = tuple(
        (
            score.evaluation_set,
            score.prompt_level,
            str(score.auc),
            *((str(score.strict_auc or score.auc),) if with_failures else ()),
            *((_mean_and_sd(score.aucs_of_repeats),) if seeds else ()),
            str(score.average_precision),
            str(score.f1),
            *_gain_cells(score.gain),
            *(
                (_optional(score.hierarchical_f1), _optional(score.hierarchy_distance))
                if hierarchical
                else ()
            ),
            str(score.n_clips),
            _groups(score.auc),
            with_rate(score.n_failed, score.n_clips + score.n_unannotated + score.n_failed),
            str(score.n_unannotated),
            with_rate(score.n_abstained, score.n_clips),
        )
        for score in scores
    )
    return Table(header, rows, numeric=tuple(range(6 + with_failures + len(seeds), len(header))))


def scores_table(scores: Sequence[CellScore]) -> Table:
    """Return the columns of `summary` with the metrics of each prompt level."""
    table = summary(scores)
    others = {*_GAIN_COLUMNS, *_COUNT_COLUMNS} - set(_NAMES)
    return table.only([name for name in table.header if name not in others])


def gains_table(scores: Sequence[CellScore]) -> Table:
    """Return the columns of `summary` that compare prompt levels with the first one.

    The first prompt level of each evaluation set has no row.
    """
    others = [score for score in scores if score.gain is not None]
    return summary(others).only(_GAIN_COLUMNS)


def counts_table(scores: Sequence[CellScore]) -> Table:
    """Return the columns of `summary` with numbers of clips and groups."""
    return summary(scores).only(_COUNT_COLUMNS)


def notes(scores: Sequence[CellScore], level: float = 0.95) -> tuple[str, ...]:
    """Return a warning for each number of groups that is too small for a significant result.

    Args:
        scores: metrics of all cells.
        level: confidence level.
    """
    too_few = {
        f"{gain.n_groups} {gain.unit}": gain.smallest_adjusted
        for gain in (score.gain for score in scores)
        if gain and gain.smallest_adjusted is not None and gain.smallest_adjusted > 1 - level
    }
    return tuple(
        f"With {units}, no p-value (Holm) below {smallest:.3g} is possible: this test cannot be "
        "significant, however large the difference. Add groups."
        for units, smallest in too_few.items()
    )


def headline(scores: Sequence[CellScore]) -> Table:
    """Return a `summary` table with only the main columns, so that it fits into a terminal."""
    table = summary(scores)
    columns = ("evaluation set", "prompt level", "AUC", STRICT, "AUC minus first level", "clips")
    over_seeds = [name for name in table.header if name.endswith("seeds")]
    return table.only((*columns, *over_seeds, "failed"))


def labels_table(score: CellScore) -> Table:
    """Return a table with the metrics of each label, at one prompt level on one evaluation set."""
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
    """Return a table of AUC differences between unfamiliar and familiar audio, one row each."""
    header = ("prompt level", "familiar", "unfamiliar", "AUC, unfamiliar minus familiar")
    rows = tuple((d.prompt_level, d.familiar, d.unfamiliar, str(d.difference)) for d in drops)
    return Table(header, rows)


def calibration_table(results: Sequence[CalibrationResult]) -> Table:
    """Return a table of calibration errors, one row per prompt level and evaluation set."""
    header = ("evaluation set", "prompt level", "curve fitted on", "expected calibration error")
    rows = tuple((r.evaluation_set, r.prompt_level, r.fitted_on, str(r.error)) for r in results)
    return Table(header, rows)


def p_text(p_value: float | None) -> str:
    """Return a p-value as text: "< .001" if it is smaller, else three decimals; "–" for None."""
    if p_value is None:
        return NONE
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}"


def _mean_and_sd(values: Sequence[float | None]) -> str:
    """Return the mean and the standard deviation of a sample; undefined values are counted."""
    defined = [value for value in values if value is not None]
    n_undefined = len(values) - len(defined)
    note = f" ({n_undefined} undefined)" if n_undefined else ""
    if len(defined) < 2:
        return f"undefined{note}"
    return f"{fmean(defined):.3f} ± {stdev(defined):.3f}{note}"


def _optional(estimate: Estimate | None) -> str:
    return NONE if estimate is None else str(estimate)


def _groups(estimate: Estimate) -> str:
    """Return the number of groups of clips; "–" if no clip has a group, or without interval."""
    has_groups = estimate.unit == "groups" and estimate.n_groups is not None
    return str(estimate.n_groups) if has_groups else NONE


def _gain_cells(gain: Gain | None) -> tuple[str, str, str, str]:
    if gain is None:
        return NONE, NONE, NONE, NONE
    smallest = NONE if gain.smallest_adjusted is None else f"{gain.smallest_adjusted:.2g}"
    detectable = NONE if gain.detectable is None else f"{gain.detectable:.3f}"
    return str(gain.difference), p_text(gain.adjusted), smallest, detectable
