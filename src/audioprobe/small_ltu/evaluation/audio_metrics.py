"""Does the model name what sounds? By likelihoods of labels, and by captions."""

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
from audioprobe.small_ltu.evaluation.measures import Measure
from audioprobe.training.questions import CAPTION_QUESTION, LABELS_QUESTION
from audioprobe.types import BoolArray, Clip, Estimate, FloatArray


def auc_of(targets: BoolArray, scores: FloatArray, bootstrap: Bootstrap) -> Estimate:
    """Macro AUC; clips are resampled within those that have the same labels, if there are two.

    Args:
        targets: shape (n_clips, n_labels).
        scores: of the same shape.
        bootstrap: how intervals are computed.

    Returns:
        `n` counts the labels, as in `macro`.
    """
    strata = [row.tobytes() for row in targets]
    point = macro(per_label(roc_auc, targets, scores))
    return bootstrap.estimate(
        macro_roc_auc(targets, scores),
        len(targets),
        strata=strata,
        present=targets,
        point=point,
        unit="clips",
    )


def by_likelihood(
    model: LikelihoodModel,
    clips: Sequence[Clip],
    labels: Sequence[str],
    bootstrap: Bootstrap,
    *,
    progress: ProgressCallback = ignore_progress,
) -> Measure:
    """Labels ranked by their likelihood as the answer to LTU's question for labels."""
    classifier = LikelihoodClassifier(model, question=LABELS_QUESTION, template="Labels: {}")
    result = classifier(clips, labels, progress=progress)
    return Measure("label log-likelihood, macro AUC", _auc(result, bootstrap))


def by_caption(
    model: LikelihoodModel,
    clips: Sequence[Clip],
    labels: Sequence[str],
    scorer: Scorer,
    bootstrap: Bootstrap,
    *,
    progress: ProgressCallback = ignore_progress,
) -> tuple[Measure, Measure]:
    """Captions compared with labels, and whether they name the source, which each clip has one of.

    Returns:
        AUC by the scorer, and the share of clips whose caption holds every word of the label.
    """
    result = CaptionClassifier(model, scorer, question=CAPTION_QUESTION)(
        clips, labels, progress=progress
    )
    said, truth = result.captions_by_clip(), result.truth
    keywords = KeywordScorer()
    named = [
        keywords.score([c.text for c in said[name]], truth[name]).max() >= 1
        for name in result.clip_ids
    ]
    strata = [truth[name] for name in result.clip_ids]
    share = bootstrap.estimate(
        mean(np.array(named, float)), len(named), strata=strata, unit="clips"
    )
    share = replace(share, n_undefined=len(result.failures))
    return (
        Measure("caption to MiniLM, macro AUC", _auc(result, bootstrap)),
        Measure("exact source named in the caption", share),
    )


def _auc(result: ClassificationResult, bootstrap: Bootstrap) -> Estimate:
    """Over the labels of the result."""
    if result.failures:
        first = result.failures[0]
        raise InvalidInputError(
            f"{len(result.failures)} clips of the exam failed, the first is {first.clip_id}: "
            f"{first.message}"
        )
    targets = targets_of(result.truth, result.clip_ids, result.labels)
    return auc_of(targets, result.scores, bootstrap)
