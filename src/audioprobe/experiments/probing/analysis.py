"""Compare the accuracies in a probing run: unfamiliar and familiar audio, and different models.

A "cell" is the result of one model on one evaluation set.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.significance import PairedTest
from audioprobe.metrics.vectorized_metrics import ratio
from audioprobe.probing.accuracy_difference import (
    AccuracyDifference,
    ValidAnswers,
    accuracy_difference,
    valid_answers,
)
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
        for comparison in _compare(other, base, accuracy_difference, bootstrap)
    )


def _compare(
    first: ProbeCell,
    second: ProbeCell,
    difference: Callable[[ValidAnswers, ValidAnswers, Bootstrap], AccuracyDifference],
    bootstrap: Bootstrap,
) -> Iterator[CellComparison]:
    """Yield a comparison for every condition and relation that both cells have."""
    relations: list[RelationKind] = [t.question.pair.relation for t in first.outcome.trials]
    for condition, relation in product(CONDITIONS, dict.fromkeys(relations)):
        a, b = (_answers(cell, condition, relation) for cell in (first, second))
        if a is not None and b is not None:
            result = difference(a, b, bootstrap)
            yield CellComparison(
                first=first.name,
                second=second.name,
                condition=condition,
                relation=relation,
                difference=result.difference,
                permutation=result.permutation,
                mcnemar=result.mcnemar,
                agreement=None
                if result.permutation is None
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


def _answers(cell: ProbeCell, condition: Condition, relation: RelationKind) -> ValidAnswers | None:
    """Return the valid answers of a cell; None if no question has this condition and relation."""
    trials = cell.outcome.where(condition=condition, relation=relation)
    return valid_answers(trials, cell.outcome.reading) if trials else None


def _unpaired(
    first: ValidAnswers, second: ValidAnswers, bootstrap: Bootstrap
) -> AccuracyDifference:
    if not first or not second:
        none = Estimate(value=None, n=0, method="one of the cells has no answers")
        return AccuracyDifference(none)
    pooled = [*first.values(), *second.values()]
    correct = np.array([value for _, value in pooled])
    in_first = np.arange(len(pooled)) < len(first)
    accuracies = ratio(correct & in_first, in_first), ratio(correct & ~in_first, ~in_first)

    def difference(counts: Float64Array) -> Float64Array:
        return accuracies[0](counts) - accuracies[1](counts)

    groups = [concept for concept, _ in pooled]
    return AccuracyDifference(
        bootstrap.estimate(difference, len(pooled), groups=groups, unit="concepts")
    )
