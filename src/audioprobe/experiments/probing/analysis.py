"""Comparisons of accuracy in a probing run: unfamiliar with familiar audio, and between models.

A "cell" is the result of one model on one evaluation set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.scores import concepts_of
from audioprobe.probing.trial import CONDITIONS, AnswerReading, Condition, Trial
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """Difference of accuracy between two cells (results of one model on one evaluation set each).

    Attributes:
        first: name of the first cell.
        second: name of the second cell; its accuracy is subtracted from that of the first.
        condition: condition of the questions, such as text or audio.
        relation: relation that the questions are about, such as hypernym.
        difference: difference with an interval. The bootstrap resamples concepts; if the questions
            are paired, in both cells together.
        p_concepts: p-value of a sign-flip test over concepts; None if questions are not paired.
        p_trials: p-value of McNemar's exact test over questions; None if questions are not paired.
        smallest_p_concepts: smallest p-value that the sign-flip test can give; None if there is no
            test.
    """

    first: str
    second: str
    condition: Condition
    relation: RelationKind
    difference: Estimate
    p_concepts: float | None = None
    p_trials: float | None = None
    smallest_p_concepts: float | None = None


def familiarity_drops(
    cells: Sequence[ProbeCell], bootstrap: Bootstrap
) -> tuple[CellComparison, ...]:
    """Compare the accuracy of each model on unfamiliar audio with its accuracy on familiar audio.

    The evaluation sets may have different concepts; then the difference is an effect of both audio
    and concepts.
    """
    return tuple(
        comparison
        for new in (cell for cell in cells if cell.familiar is False)
        for known in (cell for cell in cells if cell.familiar is True)
        if new.model == known.model
        for comparison in _compare(new, known, lambda a, b: _unpaired(a, b, bootstrap))
    )


def model_differences(
    cells: Sequence[ProbeCell], bootstrap: Bootstrap
) -> tuple[CellComparison, ...]:
    """Compare every other model with the first model on the same questions and clips."""
    return tuple(
        comparison
        for base in (cell for cell in cells if cell.model == cells[0].model)
        for other in cells
        if other.model != base.model and other.evaluation_set == base.evaluation_set
        for comparison in _compare(other, base, lambda a, b: _paired(a, b, bootstrap))
    )


_Difference = tuple[Estimate, float | None, float | None, float | None]
_Answers = tuple[Sequence[Trial], AnswerReading]


def _compare(
    first: ProbeCell, second: ProbeCell, difference: Callable[[_Answers, _Answers], _Difference]
) -> list[CellComparison]:
    """Compare two cells for every condition and relation that both have."""
    cells = first, second
    parts = [{_part(trial) for trial in cell.outcome.trials} for cell in cells]
    relations: list[RelationKind] = [t.question.pair.relation for t in first.outcome.trials]
    comparisons = []
    for condition in CONDITIONS:
        for relation in dict.fromkeys(relations):
            if (condition, relation) not in parts[0] & parts[1]:
                continue
            a, b = (_answers(cell, condition, relation) for cell in cells)
            estimate, p_concepts, p_trials, smallest = difference(a, b)
            comparisons.append(
                CellComparison(
                    first=first.name,
                    second=second.name,
                    condition=condition,
                    relation=relation,
                    difference=estimate,
                    p_concepts=p_concepts,
                    p_trials=p_trials,
                    smallest_p_concepts=smallest,
                )
            )
    return comparisons


def _answers(cell: ProbeCell, condition: Condition, relation: RelationKind) -> _Answers:
    trials = [t for t in cell.outcome.trials if _part(t) == (condition, relation)]
    return trials, cell.outcome.reading


def _part(trial: Trial) -> tuple[Condition, RelationKind]:
    return trial.question.condition, trial.question.pair.relation


def _unpaired(first: _Answers, second: _Answers, bootstrap: Bootstrap) -> _Difference:
    sides = [
        [(trial, right) for trial in trials if (right := trial.is_correct(reading)) is not None]
        for trials, reading in (first, second)
    ]
    if not sides[0] or not sides[1]:
        return Estimate(value=None, n=0, method="one of the cells has no answers"), None, None, None
    pooled = [*sides[0], *sides[1]]
    correct = np.array([bool(value) for _, value in pooled])
    in_first = np.arange(len(pooled)) < len(sides[0])
    accuracies = ratio(correct & in_first, in_first), ratio(correct & ~in_first, ~in_first)

    def difference(counts: Float64Array) -> Float64Array:
        return accuracies[0](counts) - accuracies[1](counts)

    groups = concepts_of([trial for trial, _ in pooled])
    estimate = bootstrap.estimate(difference, len(pooled), groups=groups, unit="concepts")
    return estimate, None, None, None


def _paired(first: _Answers, second: _Answers, bootstrap: Bootstrap) -> _Difference:
    """Compare the answers to the questions that both models answered."""
    trials, reading = second
    right_in_second = {_key(trial): trial.is_correct(reading) for trial in trials}
    both = [
        (trial, bool(right), bool(other))
        for trial in first[0]
        if (right := trial.is_correct(first[1])) is not None
        and (other := right_in_second.get(_key(trial))) is not None
    ]
    if not both:
        return (
            Estimate(value=None, n=0, method="no question was answered by both"),
            None,
            None,
            None,
        )
    a, b = (np.array([row[n] for row in both]) for n in (1, 2))
    groups = concepts_of([trial for trial, _, _ in both])
    differences = a.astype(np.float64) - b
    test = sign_flips(differences, groups=groups, seed=bootstrap.seed, unit="concepts")
    estimate = bootstrap.estimate(mean(differences), len(both), groups=groups, unit="concepts")
    return estimate, test.p_value, mcnemar(a, b).p_value, test.smallest_p_value


def _key(trial: Trial) -> tuple[object, ...]:
    return trial.question.key, trial.question.clip, trial.question.audio
