"""Familiar and unfamiliar concepts, by the number of recordings in the model's training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.vectorized_metrics import rank_correlation
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.scores import Score, score
from audioprobe.probing.trial import AnswerReading, Condition, Trial
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """Scores of concepts with and without training recordings.

    Concepts differ in more than their frequency: frequent ones may also be easier to hear.

    Attributes:
        familiar: score of the trials about concepts with at least one training recording.
        unfamiliar: score of the trials about concepts without any.
        correlation: Spearman's correlation over concepts between the number of training recordings
            and the accuracy; intervals resample concepts.
        counts: number of training recordings of each concept in the trials, by concept id.
        accuracies: accuracy of each concept with a valid answer, by concept id.
    """

    familiar: Score
    unfamiliar: Score
    correlation: Estimate
    counts: Mapping[str, int]
    accuracies: Mapping[str, float]


def familiarity(
    outcome: ProbeOutcome,
    counts: Mapping[str, int],
    *,
    condition: Condition = "audio",
    reading: AnswerReading | None = None,
) -> Familiarity:
    """Compare the accuracy of concepts that occur in the training data with that of others.

    Args:
        outcome: outcome of a probe.
        counts: number of training recordings by concept id; 0 for a concept without any. For a
            model that was trained on `DebianSounds`, such as mini, `training_counts` returns it.
        condition: condition whose trials are used.
        reading: how an answer is turned into an option; None uses the default of the outcome.

    Raises:
        InvalidInputError: if a concept of the trials is not in `counts`, or a count is negative.
    """
    chosen = reading or outcome.reading
    trials = outcome.where(condition=condition)
    concepts = dict.fromkeys(trial.question.pair.concept for trial in trials)
    missing = [name for name in concepts if counts.get(name, -1) < 0]
    if missing:
        raise InvalidInputError(
            f"Expected the number of training recordings of each of {len(concepts)} concepts, but "
            f"{len(missing)} have none; the first is {missing[0]!r}. Pass 0 for a concept without "
            "training recordings."
        )

    def scored(selected: Sequence[Trial]) -> Score:
        return score(selected, chosen, outcome.bootstrap)

    by_concept = {name: _accuracy(trials, name, chosen) for name in concepts}
    accuracies = {name: value for name, value in by_concept.items() if value is not None}
    statistic = rank_correlation([counts[name] for name in accuracies], list(accuracies.values()))
    return Familiarity(
        familiar=scored([t for t in trials if counts[t.question.pair.concept]]),
        unfamiliar=scored([t for t in trials if not counts[t.question.pair.concept]]),
        correlation=outcome.bootstrap.estimate(statistic, len(accuracies), unit="concepts"),
        counts={name: counts[name] for name in concepts},
        accuracies=accuracies,
    )


def _accuracy(trials: Sequence[Trial], concept: str, reading: AnswerReading) -> float | None:
    """Return the share of correct answers among the valid answers about a concept."""
    correct = [
        bool(trial.is_correct(reading))
        for trial in trials
        if trial.question.pair.concept == concept and trial.choice(reading) is not None
    ]
    return sum(correct) / len(correct) if correct else None
