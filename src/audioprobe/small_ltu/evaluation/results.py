"""Results of an evaluation: estimates with confidence intervals, in a file and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.io.text_table import Table
from audioprobe.types import Estimate


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
