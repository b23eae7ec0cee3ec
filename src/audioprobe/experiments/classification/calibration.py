"""Calibration of Platt-scaled scores, fitted on one evaluation set and evaluated on another."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.labelled_scores import LabelledScores
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics.calibration import (
    CalibrationBin,
    Platt,
    expected_calibration_error,
    reliability,
    resampled_calibration_error,
)
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Calibration of one cell (one prompt level on one evaluation set).

    Scores become probabilities by one logistic curve for all labels (Platt scaling).

    Attributes:
        evaluation_set: name of the evaluation set that is evaluated.
        prompt_level: name of the prompt level.
        fitted_on: name of the evaluation set that the curve was fitted on.
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
    """Evaluate the calibration of every cell that has an evaluation set to fit the curve on.

    The config names this evaluation set in `thresholds_from`. A cell is skipped if the evaluation
    set has only positive or only negative targets.

    Args:
        cells: all cells of a run.
        config: configuration of the run.
    """
    labelled = {(cell.evaluation_set, cell.prompt_level): LabelledScores(cell) for cell in cells}
    sources = {each.name: each.thresholds_from for each in config.evaluation_sets}
    results = []
    for (name, level), data in labelled.items():
        source = labelled.get((sources.get(name, ""), level))
        if source is None or not data.ids or not source.ids:
            continue
        if source.targets.any() and not source.targets.all():
            results.append(_calibration(data, source, config))
    return tuple(results)


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
