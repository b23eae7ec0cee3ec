"""Results of classifiers that compute several measures (kinds of scores) for each window."""

from collections.abc import Mapping, Sequence
from typing import Any

from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.windowing import Windowing
from audioprobe.protocols import Component
from audioprobe.results import ClassificationResult, LabelScores, Provenance
from audioprobe.results.scores import groups_of, truth_of
from audioprobe.types import Clip, FloatArray, Option
from audioprobe.window_inference import InferenceResult


def result_of_windows(
    clips: Sequence[Clip],
    inference: InferenceResult[Any],
    scores: Mapping[str, Mapping[str, Sequence[FloatArray]]],
    *,
    labels: tuple[str, ...],
    rank_by: str,
    windowing: Windowing,
    component: tuple[str, Component],
    options: Mapping[str, Option],
) -> ClassificationResult:
    """Return the result of a classifier; the scores of a clip's windows are pooled.

    Args:
        clips: the clips.
        inference: results of the windows, with failures and the digest of the audio.
        scores: scores of each window, shape (n_labels,), by measure and clip id.
        labels: the labels.
        rank_by: measure whose scores rank the labels.
        windowing: how clips were divided into windows.
        component: role and object of the model, such as ("encoder", CLAP).
        options: settings of the classifier.
    """
    role, model = component
    pooled = {
        measure: LabelScores.pooled(windows, labels, windowing.pooling)
        for measure, windows in scores.items()
    }
    return ClassificationResult(
        label_scores=pooled.pop(rank_by),
        captions=(),
        failures=tuple(inference.failures[c.id] for c in clips if c.id in inference.failures),
        provenance=Provenance.record(
            {role: model.info},
            {**options, **windowing.options},
            seed=0,
            data=inference.digest,
            training_clips=training_clips(clips, model),
        ),
        truth=truth_of(clips),
        measure=rank_by,
        alternatives=pooled,
        groups=groups_of(clips),
    )
