"""Cells of a run against each other: familiar and unfamiliar sound, one model and another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import mcnemar, sign_flips
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.probing.pairs import RelationKind
from audioprobe.probing.questions import CONDITIONS, Condition
from audioprobe.probing.scores import concepts_of
from audioprobe.probing.trial import AnswerReading, Trial
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True)
class Contrast:
    """Accuracy in one cell minus accuracy in another.

    Attributes:
        first: name of the cell that is subtracted from.
        second: name of the other.
        condition: of the questions.
        relation: of the questions.
        difference: concepts are resampled, a concept of both cells in both at once.
        p_concepts: signs flipped concept by concept; None where questions are not paired.
        p_trials: McNemar's exact test; None where questions are not paired.
        smallest_p_concepts: that a test by so many concepts can give; None where there is none.
    """

    first: str
    second: str
    condition: Condition
    relation: RelationKind
    difference: Estimate
    p_concepts: float | None = None
    p_trials: float | None = None
    smallest_p_concepts: float | None = None


def drops(cells: Sequence[ProbeCell], bootstrap: Bootstrap) -> tuple[Contrast, ...]:
    """Each listener on unfamiliar sound minus the same on familiar sound.

    Concepts may differ between both: the difference holds what sounds and concepts do to it.
    """
    found = []
    for new in (cell for cell in cells if cell.familiar is False):
        for known in (cell for cell in cells if cell.familiar is True):
            if new.listener == known.listener:
                found += list(_each(new, known, lambda a, b: _unpaired(a, b, bootstrap)))
    return tuple(found)


def against_first(cells: Sequence[ProbeCell], bootstrap: Bootstrap) -> tuple[Contrast, ...]:
    """Every other listener minus the first one, over the same questions about the same sounds."""
    found = []
    for base in (cell for cell in cells if cell.listener == cells[0].listener):
        for other in cells:
            if other.listener != base.listener and other.sounds == base.sounds:
                found += list(_each(other, base, lambda a, b: _paired(a, b, bootstrap)))
    return tuple(found)


_Compared = tuple[Estimate, float | None, float | None, float | None]
_Read = tuple[Sequence[Trial], AnswerReading]


def _each(
    one: ProbeCell, other: ProbeCell, compare: Callable[[_Read, _Read], _Compared]
) -> list[Contrast]:
    """For every condition and relation that both were asked under."""
    found = []
    readings = one.outcome.reading, other.outcome.reading
    there = [{_part(t) for t in cell.outcome.trials} for cell in (one, other)]
    asked: list[RelationKind] = [t.question.pair.relation for t in one.outcome.trials]
    for condition in CONDITIONS:
        for relation in dict.fromkeys(asked):
            if {(condition, relation)} <= there[0] & there[1]:
                first, second = (
                    [t for t in cell.outcome.trials if _part(t) == (condition, relation)]
                    for cell in (one, other)
                )
                compared = compare((first, readings[0]), (second, readings[1]))
                found.append(Contrast(one.name, other.name, condition, relation, *compared))
    return found


def _part(trial: Trial) -> tuple[Condition, RelationKind]:
    return trial.question.condition, trial.question.pair.relation


def _unpaired(one: _Read, other: _Read, bootstrap: Bootstrap) -> _Compared:
    sides = [
        [t for t in trials if t.is_correct(reading) is not None] for trials, reading in (one, other)
    ]
    together = [*sides[0], *sides[1]]
    if not sides[0] or not sides[1]:
        return Estimate(value=None, n=0, method="no answer on one of both sides"), None, None, None
    right = np.array(
        [
            bool(t.is_correct(r))
            for side, (_, r) in zip(sides, (one, other), strict=True)
            for t in side
        ]
    )
    first = np.arange(len(together)) < len(sides[0])
    accuracies = ratio(right & first, first), ratio(right & ~first, ~first)

    def difference(counts: Float64Array) -> Float64Array:
        return accuracies[0](counts) - accuracies[1](counts)

    groups = concepts_of(together)
    found = bootstrap.estimate(difference, len(together), groups=groups, unit="concepts")
    return found, None, None, None


def _paired(one: _Read, other: _Read, bootstrap: Bootstrap) -> _Compared:
    """Only questions that both answered."""
    trials, reading = other
    known = {_key(t): t.is_correct(reading) for t in trials}
    both = [
        (t, bool(right), bool(before))
        for t in one[0]
        if (right := t.is_correct(one[1])) is not None
        and (before := known.get(_key(t))) is not None
    ]
    if not both:
        return Estimate(value=None, n=0, method="no question that both answered"), None, None, None
    first, second = (np.array([row[n] for row in both]) for n in (1, 2))
    groups = concepts_of([trial for trial, _, _ in both])
    differences = first.astype(np.float64) - second
    test = sign_flips(differences, groups=groups, seed=bootstrap.seed, unit="concepts")
    return (
        bootstrap.estimate(mean(differences), len(differences), groups=groups, unit="concepts"),
        test.p_value,
        mcnemar(first, second).p_value,
        test.smallest_p_value,
    )


def _key(trial: Trial) -> tuple[object, ...]:
    return trial.question.key, trial.question.clip, trial.question.audio
