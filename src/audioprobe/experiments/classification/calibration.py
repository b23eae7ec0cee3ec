"""Were scores that were turned into probabilities on some sounds true on others?"""

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
    """One cell, its scores made probabilities by a logistic curve over all labels.

    Attributes:
        sounds: that are judged.
        rung: its name.
        tuned_on: name of the sounds that the curve was fitted on.
        error: expected calibration error.
        bins: the reliability curve.
    """

    sounds: str
    rung: str
    tuned_on: str
    error: Estimate
    bins: tuple[CalibrationBin, ...]


def calibrate(
    cells: Sequence[ClassificationCell], config: ClassificationConfig
) -> tuple[CalibrationResult, ...]:
    """Every cell whose configuration names sounds to tune on, where those have both answers.

    Args:
        cells: of a run.
        config: which sounds thresholds, and so curves, come from; and how intervals are computed.
    """
    annotated = {(cell.sounds, cell.rung): LabelledScores(cell) for cell in cells}
    tuned_on = {sound.name: sound.thresholds_from for sound in config.sounds}
    found = []
    for (sounds, rung), one in annotated.items():
        other = annotated.get((tuned_on.get(sounds, ""), rung))
        if other is None or not one.ids or not other.ids:
            continue
        if other.targets.any() and not other.targets.all():
            found.append(_judged(one, other, config))
    return tuple(found)


def _judged(
    one: LabelledScores, other: LabelledScores, config: ClassificationConfig
) -> CalibrationResult:
    curve = Platt.fit(other.targets.ravel(), other.scores.ravel())
    said = curve(one.scores)
    flat = one.targets.ravel(), said.ravel()
    point = Estimate(value=expected_calibration_error(*flat), n=said.size, method="ECE, 10 bins")
    error = config.bootstrap.estimate(
        resampled_calibration_error(one.targets, said),
        len(one.ids),
        groups=one.groups,
        strata=one.strata,
        point=point,
        unit=one.unit,
    )
    return CalibrationResult(
        one.cell.sounds, one.cell.rung, other.cell.sounds, error, reliability(*flat)
    )
