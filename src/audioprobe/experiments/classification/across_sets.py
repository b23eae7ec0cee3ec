"""Analyses that use two evaluation sets: calibration of scores, and familiarity of audio.

A "cell" is the result of one prompt level on one evaluation set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.labelled_scores import LabelledScores, with_tuning_sets
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.calibration import (
    CalibrationBin,
    Platt,
    expected_calibration_error,
    reliability,
    resampled_calibration_error,
)
from audioprobe.metrics.grouping import grouped, has_both
from audioprobe.metrics.vectorized_metrics import macro_roc_auc
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Calibration of the scores of one prompt level on one evaluation set.

    Scores become probabilities by one logistic curve for all labels (Platt scaling).

    Attributes:
        evaluation_set: name of the evaluation set.
        prompt_level: name of the prompt level.
        fitted_on: name of the other evaluation set, on which the curve was fitted.
        error: expected calibration error.
        bins: bins of the reliability curve.
    """

    evaluation_set: str
    prompt_level: str
    fitted_on: str
    error: Estimate
    bins: tuple[CalibrationBin, ...]


def calibrate(
    cells: Sequence[ClassificationCell], config: ClassificationConfig
) -> tuple[CalibrationResult, ...]:
    """Fit score-to-probability curves on tuning sets; return the calibration of each cell.

    The tuning set is the evaluation set that the config names in `thresholds_from`. A cell without
    a tuning set is skipped, and so is a cell whose tuning set has only positive or only negative
    targets.

    Args:
        cells: all cells of a run; a "cell" is the result of one prompt level on one evaluation set.
        config: configuration of the run.
    """
    return tuple(
        _calibration(data, source, config)
        for data, source in with_tuning_sets(cells, config).values()
        if data.ids and source and source.targets.any() and not source.targets.all()
    )


def _calibration(
    data: LabelledScores, source: LabelledScores, config: ClassificationConfig
) -> CalibrationResult:
    curve = Platt.fit(source.targets.ravel(), source.scores.ravel())
    probabilities = curve(data.scores)
    flat = data.targets.ravel(), probabilities.ravel()
    point = Estimate(
        value=expected_calibration_error(*flat), n=probabilities.size, method="ECE, 10 bins"
    )
    estimate = config.bootstrap.estimate(
        resampled_calibration_error(data.targets, probabilities),
        len(data.ids),
        groups=data.groups,
        strata=data.strata,
        point=point,
        unit=data.unit,
    )
    cell = data.cell
    return CalibrationResult(
        cell.evaluation_set,
        cell.prompt_level,
        source.cell.evaluation_set,
        estimate,
        reliability(*flat),
    )


@dataclass(frozen=True, slots=True)
class FamiliarityDrop:
    """Difference in macro AUC between unfamiliar and familiar audio at one prompt level.

    Familiar audio is audio of a kind that the model was trained on.

    Attributes:
        prompt_level: name of the prompt level.
        familiar: name of the evaluation set of familiar audio.
        unfamiliar: name of the evaluation set of unfamiliar audio.
        difference: macro AUC on unfamiliar minus macro AUC on familiar audio; the bootstrap
            resamples each evaluation set separately.
    """

    prompt_level: str
    familiar: str
    unfamiliar: str
    difference: Estimate


def familiarity_drops(
    cells: Sequence[ClassificationCell], bootstrap: Bootstrap
) -> tuple[FamiliarityDrop, ...]:
    """Return the AUC difference of each unfamiliar and familiar evaluation set with equal labels.

    There is one entry for each prompt level and each such pair of evaluation sets.

    Args:
        cells: all cells of a run; a "cell" is the result of one prompt level on one evaluation set.
        bootstrap: settings of confidence intervals.
    """
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
    """Return macro AUC on `new` minus that on `familiar`, resampling each set separately.

    The value is None if one of the sets has no clip with scores and reference labels.
    """
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
