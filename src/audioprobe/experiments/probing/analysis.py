"""Compare the accuracies in a probing run: unfamiliar and familiar audio, and different models.

A "cell" is the result of one model on one evaluation set.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.significance import PairedTest
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.probing.agreement import AnswerAgreement, model_agreement
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.trial import CONDITIONS, Condition
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """Difference of accuracy between two cells (results of one model on one evaluation set each).

    Attributes:
        first: name of the first cell.
        second: name of the second cell; its accuracy is subtracted from that of the first.
        condition: condition of the questions, such as text or audio.
        relation: what the questions ask for, such as hypernyms (classes).
        difference: difference of the accuracies, in [-1, 1]; the interval resamples concepts.
        permutation: sign-flip test with concepts as units; None if the cells have different
            questions.
        mcnemar: McNemar's exact test over questions; None if the cells have different questions.
        agreement: agreement and Cohen's kappa of the answers, such as those of a model and of its
            matched cascade; None if the cells have different questions.
    """

    first: str
    second: str
    condition: Condition
    relation: RelationKind
    difference: Estimate
    permutation: PairedTest | None = None
    mcnemar: PairedTest | None = None
    agreement: AnswerAgreement | None = None


def familiarity_drops(
    cells: Sequence[ProbeCell], bootstrap: Bootstrap
) -> tuple[CellComparison, ...]:
    """Compute the accuracy of each model on unfamiliar audio minus that on familiar audio.

    The evaluation sets may have different concepts; then the difference is an effect of both audio
    and concepts.
    """
    return tuple(
        comparison
        for new in (cell for cell in cells if cell.familiar is False)
        for known in (cell for cell in cells if cell.familiar is True)
        if new.model == known.model
        for comparison in _compare(new, known, _unpaired, bootstrap)
    )


def model_differences(
    cells: Sequence[ProbeCell], bootstrap: Bootstrap
) -> tuple[CellComparison, ...]:
    """Compute the accuracy of each model minus that of the first model, on the same questions."""
    return tuple(
        comparison
        for base in (cell for cell in cells if cell.model == cells[0].model)
        for other in cells
        if other.model != base.model and other.evaluation_set == base.evaluation_set
        for comparison in _compare(other, base, _paired, bootstrap)
    )


_Answers = dict[object, tuple[str, bool]]  # concept and correctness of valid answers, by question
_Difference = tuple[Estimate, PairedTest | None, PairedTest | None]


def _compare(
    first: ProbeCell,
    second: ProbeCell,
    difference: Callable[[_Answers, _Answers, Bootstrap], _Difference],
    bootstrap: Bootstrap,
) -> Iterator[CellComparison]:
    """Yield a comparison for every condition and relation that both cells have."""
    relations: list[RelationKind] = [t.question.pair.relation for t in first.outcome.trials]
    for condition, relation in product(CONDITIONS, dict.fromkeys(relations)):
        a, b = (_answers(cell, condition, relation) for cell in (first, second))
        if a is not None and b is not None:
            estimate, permutation, mcnemar_test = difference(a, b, bootstrap)
            yield CellComparison(
                first=first.name,
                second=second.name,
                condition=condition,
                relation=relation,
                difference=estimate,
                permutation=permutation,
                mcnemar=mcnemar_test,
                agreement=None
                if permutation is None
                else _agreement(first, second, condition, relation, bootstrap),
            )


def _agreement(
    first: ProbeCell,
    second: ProbeCell,
    condition: Condition,
    relation: RelationKind,
    bootstrap: Bootstrap,
) -> AnswerAgreement:
    trials = [
        cell.outcome.where(condition=condition, relation=relation) for cell in (first, second)
    ]
    readings = first.outcome.reading, second.outcome.reading
    return model_agreement(
        trials[0], trials[1], readings, bootstrap, names=(first.name, second.name)
    )


def _answers(cell: ProbeCell, condition: Condition, relation: RelationKind) -> _Answers | None:
    """Return the valid answers of a cell; None if no question has this condition and relation."""
    trials = cell.outcome.where(condition=condition, relation=relation)
    reading = cell.outcome.reading
    answers: _Answers = {}
    for trial in trials:
        question, correct = trial.question, trial.is_correct(reading)
        if correct is not None:
            key = question.key, question.clip, question.audio
            answers[key] = question.pair.concept, correct
    return answers if trials else None


def _unpaired(first: _Answers, second: _Answers, bootstrap: Bootstrap) -> _Difference:
    if not first or not second:
        return Estimate(value=None, n=0, method="one of the cells has no answers"), None, None
    pooled = [*first.values(), *second.values()]
    correct = np.array([value for _, value in pooled])
    in_first = np.arange(len(pooled)) < len(first)
    accuracies = ratio(correct & in_first, in_first), ratio(correct & ~in_first, ~in_first)

    def difference(counts: Float64Array) -> Float64Array:
        return accuracies[0](counts) - accuracies[1](counts)

    groups = [concept for concept, _ in pooled]
    estimate = bootstrap.estimate(difference, len(pooled), groups=groups, unit="concepts")
    return estimate, None, None


def _paired(first: _Answers, second: _Answers, bootstrap: Bootstrap) -> _Difference:
    """Return the difference of accuracy on the questions that both models answered.

    Returns:
        The estimate, the sign-flip test and McNemar's test; the tests are None if there are no such
        questions.
    """
    both = [(*answer, second[key][1]) for key, answer in first.items() if key in second]
    if not both:
        return Estimate(value=None, n=0, method="no question was answered by both"), None, None
    a, b = (np.array([row[n] for row in both]) for n in (1, 2))
    groups = [concept for concept, _, _ in both]
    differences = a.astype(np.float64) - b
    estimate = bootstrap.estimate(mean(differences), len(both), groups=groups, unit="concepts")
    test = sign_flips(differences, groups=groups, seed=bootstrap.seed, unit="concepts")
    return estimate, test, mcnemar(a, b)
