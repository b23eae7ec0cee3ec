"""Measures of a small LTU: of labels and captions of clips, and of yes/no questions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from audioprobe.audio.windowing import read_waveform
from audioprobe.classification.caption import CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier
from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.label_metrics import macro, per_label, roc_auc
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean
from audioprobe.probing.scores import accuracy, blind_accuracy
from audioprobe.probing.trial import ConceptPair, ProbeQuestion, Trial
from audioprobe.probing.yes_no import likelihood_scorer, score_yes_no
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LikelihoodModel, Scorer
from audioprobe.results import ClassificationResult
from audioprobe.results.targets import targets_of
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.small_ltu.relations import RelationPair, SplitRole
from audioprobe.training.examples import (
    CAPTION_QUESTION,
    LABELS_QUESTION,
    relation_question,
)
from audioprobe.types import BoolArray, Clip, Estimate, FloatArray


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of the model on some data.

    Attributes:
        name: name of the metric and of the data.
        estimate: value with its confidence interval, which describes the variation between clips or
            concepts, not between training runs.
        blind: accuracy of a guesser that knows only how often each answer is correct, not the
            input; None if the metric is not an accuracy.
    """

    name: str
    estimate: Estimate
    blind: Estimate | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The measures of one part of an evaluation, such as "captions"."""

    part: str
    measures: tuple[Measure, ...]


def results_table(results: Sequence[EvaluationResult]) -> Table:
    """Return a table with one row per measure."""
    rows = tuple(
        (
            result.part,
            measure.name,
            str(measure.estimate),
            "–" if measure.blind is None else str(measure.blind),
            str(measure.estimate.n),
        )
        for result in results
        for measure in result.measures
    )
    header = ("part", "measure", "estimate [interval]", "blind guesser", "n")
    return Table(header, rows, numeric=(4,))


def macro_auc(targets: BoolArray, scores: FloatArray, bootstrap: Bootstrap) -> Estimate:
    """Return the AUC of each label, averaged over the labels for which it is defined.

    The bootstrap resamples clips within groups of clips with equal labels. The field `n` of the
    result is the number of averaged labels.

    Args:
        targets: shape (n_clips, n_labels).
        scores: shape (n_clips, n_labels).
        bootstrap: settings of confidence intervals.
    """
    return bootstrap.estimate(
        macro_roc_auc(targets, scores),
        len(targets),
        point=macro(per_label(roc_auc, targets, scores)),
        strata=[row.tobytes() for row in targets],
        present=targets,
        unit="clips",
    )


def score_labels(
    model: LikelihoodModel,
    clips: Sequence[Clip],
    labels: Sequence[str],
    *,
    progress: ProgressCallback = ignore_progress,
) -> ClassificationResult:
    """Score the labels of clips by their log-likelihood as the answer to `LABELS_QUESTION`."""
    classifier = LikelihoodClassifier(model, question=LABELS_QUESTION, template="Labels: {}")
    return classifier(clips, labels, progress=progress)


def measure_likelihoods(
    result: ClassificationResult,
    bootstrap: Bootstrap,
    *,
    data: str,
    labels: Sequence[str] | None = None,
) -> Measure:
    """Return the AUC of log-likelihoods of labels.

    Args:
        result: scores of `score_labels`, of clips with reference labels.
        bootstrap: settings of confidence intervals.
        data: description of the clips, for the name of the measure.
        labels: labels to use; clips that have other labels are left out. None uses all.
    """
    auc = _auc(result, result.labels if labels is None else labels, bootstrap)
    return Measure(f"label log-likelihood, macro AUC, {data}", auc)


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
    """Score labels by captions; return the AUC, and the share of captions that name the label.

    Args:
        model: the model to evaluate.
        clips: clips with one label each.
        labels: labels to score.
        scorer: text similarity by which a caption scores the labels.
        bootstrap: settings of confidence intervals.
        data: description of the clips, for the names of the measures.
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
    share = bootstrap.estimate(
        mean(np.array(exact, float)), len(exact), strata=strata, unit="clips"
    )
    return [
        Measure(f"caption to MiniLM, macro AUC, {data}", _auc(result, result.labels, bootstrap)),
        Measure(f"exact source in the caption, {data}", share),
    ]


def _auc(result: ClassificationResult, labels: Sequence[str], bootstrap: Bootstrap) -> Estimate:
    """Return the AUC of some of the labels, of the clips that have no other labels."""
    if result.failures:
        first = result.failures[0]
        raise InvalidInputError(
            f"Expected scores of all evaluation clips, but {len(result.failures)} clips failed. "
            f"Repair or remove them; the first is {first.clip_id}: {first.message}"
        )
    known = {*labels}
    rows = [n for n, clip in enumerate(result.clip_ids) if known.issuperset(result.truth[clip])]
    columns = [result.labels.index(label) for label in labels]
    clip_ids = tuple(result.clip_ids[row] for row in rows)
    targets = targets_of(result.truth, clip_ids, tuple(labels))
    return macro_auc(targets, result.scores[np.ix_(rows, columns)], bootstrap)


def relation_trials(
    model: LikelihoodModel,
    relations: Sequence[ConceptPair],
    seed: int,
    clips: Mapping[str, Sequence[Clip]] | None = None,
) -> tuple[Trial, ...]:
    """Ask yes/no questions about relations such as "a crow is a bird", and score the answers.

    Args:
        model: the model to evaluate.
        relations: true and false relations of concepts to classes.
        seed: random seed of the wordings.
        clips: clips by concept id. Each relation is asked about every clip of its
            concept. None asks each relation once, in text.

    Returns:
        The questions with their scored answers, sorted by clip.
    """
    rng = np.random.default_rng(seed)
    once_in_text: Sequence[Clip | None] = (None,)
    questions = [
        ProbeQuestion(
            pair=relation,
            condition="audio" if clip else "text",
            clip=clip.id if clip else "",
            audio=clip.id if clip else "",
            text=relation_question(relation, rng, clip.id if clip else "").instruction,
            correct=int(not relation.holds),
        )
        for relation in relations
        for clip in (once_in_text if clips is None else clips[relation.concept])
    ]
    questions.sort(key=lambda question: question.clip)
    sounds = {
        clip.id: partial(read_waveform, clip) for group in (clips or {}).values() for clip in group
    }
    return score_yes_no(questions, likelihood_scorer(model), sounds)


def accuracy_measure(name: str, trials: Sequence[Trial], bootstrap: Bootstrap) -> Measure:
    """Return the yes/no accuracy, and the accuracy of a guesser that does not know the input.

    A trial is a question with its scored answer. The bootstrap resamples concepts.
    """
    blind = blind_accuracy(trials, "likelihood", bootstrap)
    return Measure(name, accuracy(trials, "likelihood", bootstrap), blind)


def relations_with_role(
    pairs: Sequence[RelationPair], roles: Collection[SplitRole], concepts: Collection[str]
) -> list[ConceptPair]:
    """Return the true and false relations of all pairs that have one of the roles.

    Args:
        pairs: pairs of a true and a false relation.
        roles: roles of a pair in training, such as "held_out"; see `SplitRole`.
        concepts: ids of concepts; a pair with any other concept is left out.
    """
    return [
        relation
        for pair in pairs
        if pair.role in roles and pair.concepts <= set(concepts)
        for relation in pair.both
    ]
