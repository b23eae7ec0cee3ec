"""Metrics of audio recognition, from the likelihood of labels and from captions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier
from audioprobe.errors import InvalidInputError
from audioprobe.metrics.averaging import macro, per_label
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.ranking import roc_auc
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LikelihoodModel, Scorer
from audioprobe.results import ClassificationResult
from audioprobe.results.evaluation import targets_of
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.small_ltu.evaluation.results import Measure
from audioprobe.training.questions import CAPTION_QUESTION, LABELS_QUESTION
from audioprobe.types import BoolArray, Clip, Estimate, FloatArray


def macro_auc(targets: BoolArray, scores: FloatArray, bootstrap: Bootstrap) -> Estimate:
    """Return the macro AUC; the bootstrap resamples clips within groups of equal labels.

    Args:
        targets: shape (n_clips, n_labels).
        scores: shape (n_clips, n_labels).
        bootstrap: settings of confidence intervals.

    Returns:
        `n` is the number of labels, as in `macro`.
    """
    strata = [row.tobytes() for row in targets]
    point = macro(per_label(roc_auc, targets, scores))
    return bootstrap.estimate(
        macro_roc_auc(targets, scores),
        len(targets),
        point=point,
        strata=strata,
        present=targets,
        unit="clips",
    )


def measure_likelihoods(
    model: LikelihoodModel,
    clips: Sequence[Clip],
    labels: Sequence[str],
    bootstrap: Bootstrap,
    *,
    data: str,
    progress: ProgressCallback = ignore_progress,
) -> list[Measure]:
    """Return the macro AUC of labels that are scored by their likelihood as the model's answer.

    The question is `LABELS_QUESTION`.

    Args:
        model: the model to evaluate.
        clips: clips with labels.
        labels: labels to score.
        bootstrap: settings of confidence intervals.
        data: description of the clips, which becomes part of the names of the measures.
        progress: called after every clip.
    """
    classifier = LikelihoodClassifier(model, question=LABELS_QUESTION, template="Labels: {}")
    result = classifier(clips, labels, progress=progress)
    return [Measure(f"label log-likelihood, macro AUC, {data}", _auc(result, bootstrap))]


def measure_captions(
    model: LikelihoodModel,
    clips: Sequence[Clip],
    labels: Sequence[str],
    scorer: Scorer,
    bootstrap: Bootstrap,
    *,
    data: str,
    progress: ProgressCallback = ignore_progress,
) -> list[Measure]:
    """Return the macro AUC of captions, and the share of captions that contain the exact label.

    For the AUC, a label is scored by its similarity to the caption.

    Args:
        model: the model to evaluate.
        clips: clips with one label each.
        labels: labels to score.
        scorer: text similarity that compares captions with labels.
        bootstrap: settings of confidence intervals.
        data: description of the clips, which becomes part of the names of the measures.
        progress: called after every clip.
    """
    classifier = CaptionClassifier(model, scorer, question=CAPTION_QUESTION)
    result = classifier(clips, labels, progress=progress)
    captions, keywords = result.captions_by_clip(), KeywordScorer()
    exact = [
        keywords.score([c.text for c in captions[clip]], result.truth[clip]).max() >= 1
        for clip in result.clip_ids
    ]
    strata = [result.truth[clip] for clip in result.clip_ids]
    statistic = mean(np.array(exact, float))
    share = bootstrap.estimate(statistic, len(exact), strata=strata, unit="clips")
    share = replace(share, n_undefined=len(result.failures))
    return [
        Measure(f"caption to MiniLM, macro AUC, {data}", _auc(result, bootstrap)),
        Measure(f"exact source in the caption, {data}", share),
    ]


def _auc(result: ClassificationResult, bootstrap: Bootstrap) -> Estimate:
    if result.failures:
        first = result.failures[0]
        raise InvalidInputError(
            f"{len(result.failures)} evaluation clips failed, the first is {first.clip_id}: "
            f"{first.message}"
        )
    targets = targets_of(result.truth, result.clip_ids, result.labels)
    return macro_auc(targets, result.scores, bootstrap)
