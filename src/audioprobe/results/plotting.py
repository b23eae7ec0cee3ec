"""Figures of classification results (extra `report`), for `ClassificationResult.plot`."""

from collections.abc import Callable, Mapping

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import confusion_of_best
from audioprobe.metrics.vectorized_metrics import macro_roc_curve
from audioprobe.plots.canvas import Canvas
from audioprobe.plots.figures import confusion, roc
from audioprobe.plots.score_map import score_map
from audioprobe.results.scores import ScoredClips
from audioprobe.results.targets import targets_of
from audioprobe.types import BoolArray, FloatArray

with needs_extra("report"):
    from matplotlib.axes import Axes

_BAND = Bootstrap(n_resamples=200)  # a band needs fewer resamples than an interval with 3 digits


def plot_scores(result: ScoredClips, canvas: Canvas) -> Axes:
    """Draw the scores as a heat map; rings mark reference labels, white rows are abstentions."""
    recognised = result.recognised
    truth = {clip_id: result.truth.get(clip_id, ()) for clip_id in result.clip_ids}
    return score_map(
        result.scores,
        result.clip_ids,
        result.labels,
        correct=targets_of(truth, result.clip_ids, result.labels),
        blank=np.array([clip_id not in recognised for clip_id in result.clip_ids], dtype=np.bool_),
        canvas=canvas,
    )


def plot_roc(result: ScoredClips, canvas: Canvas) -> Axes:
    """Draw the mean of the ROC curves of all labels with its 95 % band."""
    clip_ids, targets, scores = _annotated(result)
    groups = [result.groups.get(name) for name in clip_ids] if result.groups else None
    curve = macro_roc_curve(targets, scores, bootstrap=_BAND, groups=groups)
    if curve is None:
        raise InvalidInputError(
            "No label is present in some clips and absent in others, so there is no ROC curve."
        )
    return roc({f"mean of {curve.n_labels} labels": curve}, canvas=canvas)


def plot_confusion(result: ScoredClips, canvas: Canvas) -> Axes:
    """Draw which label has the highest score in the clips of each label."""
    _, targets, scores = _annotated(result)
    return confusion(confusion_of_best(targets, scores), result.labels, canvas=canvas)


PLOTS: Mapping[str, Callable[[ScoredClips, Canvas], Axes]] = {
    "scores": plot_scores,
    "roc": plot_roc,
    "confusion": plot_confusion,
}
"""Functions that draw a classification result, by the name of the plot."""


def _annotated(result: ScoredClips) -> tuple[tuple[str, ...], BoolArray, FloatArray]:
    """Return the ids of the clips with scores and reference labels, their targets and scores."""
    rows = [n for n, name in enumerate(result.clip_ids) if name in result.truth]
    if not rows:
        raise InvalidInputError(
            "No scored clip has reference labels. Classify a data set with labels, such as "
            "Manifest or Recordings, or draw the plot 'scores'."
        )
    clip_ids = tuple(result.clip_ids[row] for row in rows)
    return clip_ids, targets_of(result.truth, clip_ids, result.labels), result.scores[rows]
