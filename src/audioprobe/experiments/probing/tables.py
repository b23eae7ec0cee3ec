"""Create the tables of a probing run.

A "cell" is the result of one model on one evaluation set.
"""

from collections.abc import Sequence

from audioprobe.experiments.probing.analysis import CellComparison
from audioprobe.experiments.probing.run import ProbeCell
from audioprobe.io.text_table import Table, with_rate
from audioprobe.metrics.significance import PairedTest, smallest_text
from audioprobe.probing.scores import Score, score, without_counts
from audioprobe.probing.trial import Condition, count_failures
from audioprobe.types import Estimate

NONE = "–"
_STRICT = ("text, invalid as wrong", "audio, invalid as wrong")


def summary(cells: Sequence[ProbeCell]) -> Table:
    """Return a table with one row per cell (the result of one model on one evaluation set).

    Questions for classes and for other names of a concept are scored together; questions for the
    concept itself have the column "identity, audio".
    """
    return _table([_row(cell) for cell in cells], numeric=(13, 14, 15))


def headline(cells: Sequence[ProbeCell]) -> Table:
    """Return the main columns of `summary`, few enough for a terminal."""
    columns = ("text", *_STRICT[:1], "audio", *_STRICT[1:], "text minus audio", "invalid", "failed")
    return summary(cells).only(("model", "evaluation set", *columns))


def comparisons_table(comparisons: Sequence[CellComparison]) -> Table:
    """Return a table with one row per comparison of two cells; expects at least one."""
    rows = [
        {
            "first": c.first,
            "minus": c.second,
            "relation": c.relation,
            "condition": c.condition,
            "difference": str(c.difference),
            "p (concepts)": _p_text(c.permutation),
            "p (McNemar)": _p_text(c.mcnemar, smallest=False),
            "same answer": NONE if c.agreement is None else _value(c.agreement.agreement),
            "Cohen's kappa": NONE if c.agreement is None else _value(c.agreement.kappa),
        }
        for c in comparisons
    ]
    return _table(rows, numeric=(5, 6))


def _table(rows: Sequence[dict[str, str]], numeric: tuple[int, ...]) -> Table:
    """Return a table from rows that map column names to values.

    Args:
        rows: the rows; all have the same columns.
        numeric: indices of the columns that contain numbers.
    """
    return Table(tuple(rows[0]), tuple(tuple(row.values()) for row in rows), numeric=numeric)


def _row(cell: ProbeCell) -> dict[str, str]:
    outcome, reading = cell.outcome, cell.outcome.reading
    gap, reliance = outcome.modality_gap(), outcome.audio_reliance()
    identity = outcome.score(condition="audio", relation="identity", form="yes-no")
    text, audio = _score(cell, "text"), _score(cell, "audio")
    n_trials = len(outcome.trials)
    n_failed = sum(count_failures(outcome.trials).values())
    n_invalid = sum(t.choice(reading) is None for t in outcome.trials) - n_failed
    return {
        "model": cell.model,
        "evaluation set": cell.evaluation_set,
        "text": _value(text.accuracy),
        _STRICT[0]: _value(text.strict_accuracy),
        "audio": _value(audio.accuracy),
        _STRICT[1]: _value(audio.strict_accuracy),
        "identity, audio": _value(identity.accuracy),
        "text minus audio": _value(gap.difference),
        "p (concepts)": _p_text(gap.permutation),
        "due to perception": _value(gap.perception),
        "due to reasoning": _value(gap.reasoning),
        "audio minus wrong clip": _value(reliance.difference),
        "diagnosis": outcome.diagnosis().name,
        "trials": str(n_trials),
        "invalid": with_rate(n_invalid, n_trials),
        "failed": with_rate(n_failed, n_trials),
    }


def _score(cell: ProbeCell, condition: Condition) -> Score:
    """Return the score of yes/no questions for classes and for other names of concepts."""
    trials = [
        trial
        for trial in cell.outcome.where(condition=condition, form="yes-no")
        if trial.question.pair.relation != "identity"
    ]
    return score(trials, cell.outcome.reading, cell.outcome.bootstrap)


def _value(estimate: Estimate) -> str:
    return NONE if estimate.value is None else str(without_counts(estimate))


def _p_text(test: PairedTest | None, *, smallest: bool = True) -> str:
    """Return the p-value of a test as text; "–" if there is none.

    If the smallest p-value that the test can reach is 0.001 or more, the text includes it, unless
    `smallest` is false.
    """
    if test is None or test.p_value is None:
        return NONE
    return f"{test.p_value:.3g}{smallest_text(test.smallest_p_value) if smallest else ''}"
