"""Compute the difference of accuracy between two models on the same questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.significance import PairedTest
from audioprobe.metrics.vectorized_metrics import mean
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate

ValidAnswers: TypeAlias = Mapping[object, tuple[str, bool]]
"""Concept and correctness of each valid answer, keyed by the question with its clip and audio."""


@dataclass(frozen=True, slots=True)
class AccuracyDifference:
    """Difference of accuracy between two models on the questions that both answered.

    Attributes:
        difference: first minus second, in [-1, 1]; the interval resamples concepts.
        permutation: sign-flip test with concepts as units; None if there are no such questions.
        mcnemar: McNemar's exact test over questions; None if there are no such questions.
    """

    difference: Estimate
    permutation: PairedTest | None = None
    mcnemar: PairedTest | None = None


def valid_answers(trials: Sequence[Trial], reading: AnswerReading) -> ValidAnswers:
    """Return the valid answers among trials; invalid answers and failures are left out."""
    answers: dict[object, tuple[str, bool]] = {}
    for trial in trials:
        question, correct = trial.question, trial.is_correct(reading)
        if correct is not None:
            key = question.key, question.clip, question.audio
            answers[key] = question.pair.concept, correct
    return answers


def accuracy_difference(
    first: ValidAnswers, second: ValidAnswers, bootstrap: Bootstrap
) -> AccuracyDifference:
    """Compute the accuracy of a first model minus that of a second, on the same questions.

    Args:
        first: valid answers of the first model.
        second: valid answers of the second model; only questions in both are compared.
        bootstrap: how confidence intervals are computed; permutations use its seed, too.
    """
    both = [(*answer, second[key][1]) for key, answer in first.items() if key in second]
    if not both:
        none = Estimate(value=None, n=0, method="no question was answered by both")
        return AccuracyDifference(none)
    a, b = (np.array([row[n] for row in both]) for n in (1, 2))
    groups = [concept for concept, _, _ in both]
    differences = a.astype(np.float64) - b
    return AccuracyDifference(
        bootstrap.estimate(mean(differences), len(both), groups=groups, unit="concepts"),
        sign_flips(differences, groups=groups, seed=bootstrap.seed, unit="concepts"),
        mcnemar(a, b),
    )
