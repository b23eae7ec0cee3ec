"""Accuracies of a study by group of trials, and differences between groups."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TypeAlias

import numpy as np

from audioprobe.experiments.interpretability.trials import (
    FAMILIARITY,
    MatchedTrial,
    Modality,
    RelationRole,
    TrialRecord,
    role_name,
)
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.types import Estimate, Float64Array

MODALITIES: tuple[Modality, ...] = ("text", "audio")
ROLES: tuple[RelationRole, ...] = ("audio_and_text", "text_only", "held_out", "unknown")

ACCURACIES = ("trials", "text", "audio", "text minus audio")
"""First columns of the table of answers, few enough for a terminal."""

Trials: TypeAlias = Sequence[MatchedTrial]
ConceptValues: TypeAlias = Sequence[tuple[str, float]]
"""Concept and value of each item."""


def trial_groups(record: TrialRecord) -> dict[str, Trials]:
    """Return the trials of each group: role by familiarity, and recognition by familiarity."""
    groups: dict[str, Trials] = {}
    for familiar, role in product(FAMILIARITY, ROLES):
        groups[f"{FAMILIARITY[familiar]}, {role_name(role)}"] = [
            t for t in record.trials if t.familiar is familiar and t.role == role
        ]
    for familiar, recognised in product(FAMILIARITY, (True, False)):
        name = "recognised" if recognised else "not recognised"
        groups[f"{FAMILIARITY[familiar]}, concept {name}"] = [
            t for t in record.trials if t.familiar is familiar and t.recognised is recognised
        ]
    return {name: trials for name, trials in groups.items() if trials}


def correct_answers(trials: Trials, modality: Modality) -> ConceptValues:
    """Return 1 for each correct and 0 for each wrong answer; invalid answers are left out."""
    return [(t.concept, float(c)) for t in trials if (c := t.is_correct(modality)) is not None]


def gaps(trials: Trials) -> ConceptValues:
    """Return the answer in text minus that about audio (1 if correct), if both are valid."""
    return [
        (trial.concept, float(text) - float(audio))
        for trial in trials
        if (text := trial.is_correct("text")) is not None
        and (audio := trial.is_correct("audio")) is not None
    ]


def recognition(trials: Trials) -> ConceptValues:
    """Return 1 for each clip whose concept is recognised, else 0; unknown ones are left out."""
    clips = {t.clip: (t.concept, float(t.recognised)) for t in trials if t.recognised is not None}
    return list(clips.values())


def concept_mean(values: ConceptValues, n_items: int, bootstrap: Bootstrap) -> Estimate:
    """Return the mean over items; intervals resample concepts.

    Args:
        values: defined values.
        n_items: number of items, including those without a value.
        bootstrap: settings of the interval.
    """
    n_undefined = n_items - len(values)
    if not values:
        return Estimate(value=None, n=0, n_undefined=n_undefined, method="no valid answers")
    concepts = [concept for concept, _ in values]
    statistic = mean([value for _, value in values])
    estimate = bootstrap.estimate(statistic, len(values), groups=concepts, unit="concepts")
    return replace(estimate, n_undefined=n_undefined)


def difference_of_means(
    first: ConceptValues, second: ConceptValues, bootstrap: Bootstrap
) -> Estimate:
    """Return the mean of the first minus the mean of the second items; concepts are resampled."""
    if not first or not second:
        return Estimate(value=None, n=0, method="one of the groups has no valid answers")
    pooled = [*first, *second]
    values = np.array([value for _, value in pooled])
    in_first = (np.arange(len(pooled)) < len(first)).astype(np.float64)
    means = (ratio(values * in_first, in_first), ratio(values * (1 - in_first), 1 - in_first))

    def difference(counts: Float64Array) -> Float64Array:
        return means[0](counts) - means[1](counts)

    concepts = [concept for concept, _ in pooled]
    return bootstrap.estimate(difference, len(pooled), groups=concepts, unit="concepts")


def of_shared_questions(first: Trials, second: Trials) -> tuple[Trials, Trials]:
    """Return the trials of both groups whose question (concept, class, wording) is in both.

    A model that ignores the audio then has equal accuracies in both groups.
    """

    def key(trial: MatchedTrial) -> tuple[str, str, int]:
        question = trial.text.question
        return trial.concept, question.pair.target, question.wording

    shared = {key(trial) for trial in first} & {key(trial) for trial in second}
    left, right = ([trial for trial in side if key(trial) in shared] for side in (first, second))
    return left, right


def answers_table(record: TrialRecord, bootstrap: Bootstrap) -> Table:
    """Return a table with one row per group: accuracies in text and audio, and their difference."""
    rows = []
    for name, trials in trial_groups(record).items():
        n_concepts = len({trial.concept for trial in trials})
        accuracies = [
            concept_mean(correct_answers(trials, m), len(trials), bootstrap) for m in MODALITIES
        ]
        gap = concept_mean(gaps(trials), len(trials), bootstrap)
        n_invalid = [sum(t.is_correct(m) is None for t in trials) for m in MODALITIES]
        counts = (str(len(trials)), str(n_concepts), *map(str, n_invalid))
        cells = (_without_counts(estimate) for estimate in (*accuracies, gap))
        rows.append((name, *cells, *counts))
    more = ("number of trials", "concepts", "invalid in text", "invalid in audio")
    return Table((*ACCURACIES, *more), tuple(rows), numeric=(4, 5, 6, 7))


def _without_counts(estimate: Estimate) -> str:
    """Return value and interval as text; the counts have columns of their own."""
    return str(replace(estimate, n_undefined=0, n_groups=None))
