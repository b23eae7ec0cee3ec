"""Tables of a probing run.

A "cell" is the result of one model on one evaluation set.
"""

from collections.abc import Sequence

from audioprobe.experiments.probing.analysis import CellComparison
from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.io.text_table import Table
from audioprobe.metrics.significance import smallest_text
from audioprobe.probing.scores import score, without_counts
from audioprobe.probing.trial import Condition, count_failures
from audioprobe.types import Estimate

NONE = "–"


def summary(cells: Sequence[ProbeCell]) -> Table:
    """Return a table with one row per cell.

    Questions about hypernyms and synonyms are scored together, questions about identity separately.
    """
    header = (
        "model",
        "evaluation set",
        "text",
        "audio",
        "identity, audio",
        "text minus audio",
        "p (concepts)",
        "due to perception",
        "due to reasoning",
        "audio minus wrong clip",
        "diagnosis",
        "trials",
        "invalid",
        "failed",
    )
    return Table(header, tuple(map(_row, cells)), numeric=(11, 12, 13))


def headline(cells: Sequence[ProbeCell]) -> Table:
    """Return the main columns of `summary`, few enough for a terminal."""
    return summary(cells).only(("model", "evaluation set", "text", "audio", "text minus audio"))


def comparisons_table(comparisons: Sequence[CellComparison]) -> Table:
    """Return a table with one row per comparison."""
    header = (
        "first",
        "minus",
        "relation",
        "condition",
        "difference",
        "p (concepts)",
        "p (McNemar)",
    )
    rows = tuple(
        (
            c.first,
            c.second,
            c.relation,
            c.condition,
            str(c.difference),
            _p_text(c.p_concepts, c.smallest_p_concepts),
            _p_text(c.p_trials),
        )
        for c in comparisons
    )
    return Table(header, rows, numeric=(5, 6))


def _row(cell: ProbeCell) -> tuple[str, ...]:
    outcome, reading = cell.outcome, cell.outcome.reading
    gap, reliance = outcome.modality_gap(), outcome.audio_reliance()
    n_failed = sum(count_failures(outcome.trials).values())
    n_invalid = sum(t.choice(reading) is None for t in outcome.trials) - n_failed
    test = gap.permutation
    return (
        cell.model,
        cell.evaluation_set,
        _value(_accuracy(cell, "text")),
        _value(_accuracy(cell, "audio")),
        _value(outcome.score(condition="audio", relation="identity", form="yes-no").accuracy),
        _value(gap.difference),
        _p_text(test.p_value, test.smallest_p_value) if test else NONE,
        _value(gap.perception),
        _value(gap.reasoning),
        _value(reliance.difference),
        outcome.diagnosis().name,
        str(len(outcome.trials)),
        str(n_invalid),
        str(n_failed),
    )


def _accuracy(cell: ProbeCell, condition: Condition) -> Estimate:
    """Return the accuracy of yes/no questions about hypernyms and synonyms."""
    trials = [
        trial
        for trial in cell.outcome.where(condition=condition, form="yes-no")
        if trial.question.pair.relation != "identity"
    ]
    return score(trials, cell.outcome.reading, cell.outcome.bootstrap).accuracy


def _value(estimate: Estimate) -> str:
    return NONE if estimate.value is None else str(without_counts(estimate))


def _p_text(value: float | None, smallest: float | None = None) -> str:
    return NONE if value is None else f"{value:.3g}{smallest_text(smallest)}"
