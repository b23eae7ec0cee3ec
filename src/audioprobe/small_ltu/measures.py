"""Measures of a small LTU: of labels and captions of clips, and of yes/no questions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioprobe.classification.caption import CaptionClassifier
from audioprobe.classification.likelihood import LikelihoodClassifier
from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Table
from audioprobe.metrics.averaging import macro, per_label
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.ranking import roc_auc
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, mean
from audioprobe.probing.modality_gap import modality_gap
from audioprobe.probing.scores import accuracy, blind_accuracy
from audioprobe.probing.trial import ConceptPair, ProbeQuestion, Trial
from audioprobe.probing.yes_no import likelihood_scorer, score_yes_no
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LikelihoodModel, Scorer
from audioprobe.results import ClassificationResult
from audioprobe.results.evaluation import targets_of
from audioprobe.scorers.keyword import KeywordScorer
from audioprobe.small_ltu.relations import RelationPair, SplitRole
from audioprobe.training.examples import (
    CAPTION_QUESTION,
    LABELS_QUESTION,
    audio_question,
    text_question,
)
from audioprobe.types import BoolArray, Clip, Estimate, FloatArray


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured quantity.

    Attributes:
        name: name of the metric and of the data on which it was measured.
        estimate: value with its confidence interval, which describes the variation between clips or
            concepts, not between training runs.
        blind: accuracy of guessing by how often each answer is correct, without seeing the input;
            None if the measure is not an accuracy.
    """

    name: str
    estimate: Estimate
    blind: Estimate | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The measures of one part of an evaluation.

    Attributes:
        part: name of the part, such as "captions".
        measures: measures of the part.
    """

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


def text_trials(
    model: LikelihoodModel, relations: Sequence[ConceptPair], seed: int
) -> tuple[Trial, ...]:
    """Ask one question in text about each relation and return the scored answers.

    Args:
        model: the model to evaluate.
        relations: true and false relations.
        seed: random seed of the wordings.
    """
    rng = np.random.default_rng(seed)
    questions = [
        ProbeQuestion(
            pair=relation,
            condition="text",
            text=text_question(relation, rng).instruction,
            correct=int(not relation.holds),
        )
        for relation in relations
    ]
    return score_yes_no(questions, likelihood_scorer(model), {})


def audio_trials(
    model: LikelihoodModel,
    relations: Sequence[ConceptPair],
    clips: Mapping[str, Sequence[Clip]],
    seed: int,
) -> tuple[Trial, ...]:
    """Ask one question about each relation and each clip of its concept; return scored answers.

    Args:
        model: the model to evaluate.
        relations: relations whose concepts have clips.
        clips: clips with a waveform, by concept.
        seed: random seed of the wordings.

    Returns:
        The trials (questions with their scored answers), sorted by clip.
    """
    rng = np.random.default_rng(seed)
    questions = [
        ProbeQuestion(
            pair=relation,
            condition="audio",
            clip=clip.id,
            audio=clip.id,
            text=audio_question(relation, clip.id, rng).instruction,
            correct=int(not relation.holds),
        )
        for relation in relations
        for clip in clips[relation.concept]
    ]
    questions.sort(key=lambda question: question.clip)
    waveforms = {clip.id: clip.waveform for group in clips.values() for clip in group}
    sounds = {key: (lambda wave=wave: wave) for key, wave in waveforms.items() if wave is not None}
    return score_yes_no(questions, likelihood_scorer(model), sounds)


def accuracy_measure(name: str, trials: Sequence[Trial], bootstrap: Bootstrap) -> Measure:
    """Return the accuracy, and that of guessing without the input; concepts are resampled."""
    blind = blind_accuracy(trials, "likelihood", bootstrap)
    return Measure(name, accuracy(trials, "likelihood", bootstrap), blind)


def accuracy_gap(text: Sequence[Trial], audio: Sequence[Trial], bootstrap: Bootstrap) -> Estimate:
    """Return text accuracy minus audio accuracy on the same relations; concepts are resampled."""
    return modality_gap([*text, *audio], "likelihood", bootstrap).difference


def relations_with_role(
    pairs: Sequence[RelationPair], roles: Collection[SplitRole], concepts: Collection[str]
) -> list[ConceptPair]:
    """Return the hypernym relations of all pairs with one of the roles.

    Args:
        pairs: pairs of a true and a false relation.
        roles: roles of the pairs to select; see `SplitRole`.
        concepts: ids of the concepts that the relations may be about.
    """
    return [
        relation
        for pair in pairs
        if pair.true.relation == "hypernym"
        and pair.role in roles
        and pair.concepts <= set(concepts)
        for relation in pair.both
    ]
