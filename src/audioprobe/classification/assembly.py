"""Assemble results from the scores of windows; shared by all classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from audioprobe.audio.training_clips import training_clips
from audioprobe.audio.windowing import Windowing
from audioprobe.inference.clips import InferenceResult, Output
from audioprobe.protocols import Component
from audioprobe.results import ClassificationResult, LabelScores, Provenance
from audioprobe.results.provenance import combined_digest, now, versions
from audioprobe.types import Clip, ComponentInfo, FloatArray, Option


def pool_windows(
    windows: Mapping[str, Sequence[FloatArray]], labels: tuple[str, ...], windowing: Windowing
) -> LabelScores:
    """Pool the scores of each clip's windows by "max" or "mean".

    Args:
        windows: one array of shape (n_labels,) per window, by clip id.
        labels: labels of the columns.
        windowing: settings of the windows, which include the pooling.
    """
    pool = np.max if windowing.pooling == "max" else np.mean
    rows = [pool(scores, axis=0) for scores in windows.values()]
    table = np.array(rows, dtype=np.float64).reshape(len(windows), len(labels))
    return LabelScores(tuple(windows), labels, table)


def provenance_of(
    components: Mapping[str, ComponentInfo],
    options: Mapping[str, Option],
    windowing: Windowing,
    clips: Sequence[Clip],
    inference: InferenceResult[Output],
    *,
    model: Component,
    seed: int = 0,
) -> Provenance:
    """Return the provenance of a new result.

    Args:
        components: models and scorers by role, such as "model" or "scorer".
        options: options of the classifier; the options of `windowing` are added.
        windowing: how recordings become windows.
        clips: all requested clips.
        inference: outputs and failures of the model.
        model: the model; if it lists its training clips, they are recorded.
        seed: seed of the decoding.
    """
    window_options: dict[str, Option] = asdict(windowing)
    if windowing.incomplete == "refuse":  # recorded only if it is not the default
        del window_options["incomplete"]
    return Provenance(
        components=components,
        options={**options, **window_options},
        seed=seed,
        # A failed clip has no digest, because the part of it that was read depends on the batch.
        data=combined_digest(
            (clip.id, inference.digests[clip.id] if clip.id in inference.outputs else "failed")
            for clip in clips
        ),
        versions=versions(),
        created=now(),
        training_clips=training_clips(clips, model),
    )


def truth_of(clips: Sequence[Clip]) -> dict[str, tuple[str, ...]]:
    """Return reference labels by clip id, for the clips that have any."""
    return {clip.id: clip.labels for clip in clips if clip.labels is not None}


def groups_of(clips: Sequence[Clip]) -> dict[str, str]:
    """Return groups (such as recording sites) by clip id, for the clips that have a group."""
    return {clip.id: clip.group for clip in clips if clip.group is not None}


def result_without_captions(
    tables: Mapping[str, LabelScores],
    rank_by: str,
    clips: Sequence[Clip],
    inference: InferenceResult[Output],
    provenance: Provenance,
) -> ClassificationResult:
    """Return the result of a classifier that scores labels without captions.

    Args:
        tables: scores by measure, that is, by kind of score such as "cosine" or "probability".
        rank_by: measure whose scores become `scores`; the other measures become `alternatives`.
        clips: all requested clips.
        inference: outputs and failures of the model.
        provenance: provenance of the result.
    """
    return ClassificationResult(
        label_scores=tables[rank_by],
        captions=(),
        failures=tuple(inference.in_order([clip.id for clip in clips]).failures.values()),
        provenance=provenance,
        truth=truth_of(clips),
        measure=rank_by,
        alternatives={name: scores for name, scores in tables.items() if name != rank_by},
        groups=groups_of(clips),
    )
