"""What an exam finds: estimates with their intervals, in a file and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from audioprobe.io.text_table import Table
from audioprobe.types import Estimate


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was measured.

    Attributes:
        name: what, in a line.
        estimate: the number; its interval tells of other clips or concepts, not of other trainings.
        blind: what a guesser reaches who knows how often each answer is right and never listens;
            None where there is none.
    """

    name: str
    estimate: Estimate
    blind: Estimate | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """The measures of one part of an exam.

    Attributes:
        part: its name.
        measures: in the order of asking.
    """

    part: str
    measures: tuple[Measure, ...]


def table_of(findings: Sequence[EvaluationResult]) -> Table:
    """A row per measure."""
    rows = tuple(
        (
            found.part,
            measure.name,
            str(measure.estimate),
            "–" if measure.blind is None else str(measure.blind),
            str(measure.estimate.n),
        )
        for found in findings
        for measure in found.measures
    )
    return Table(("part", "measure", "found [interval]", "blind guesser", "n"), rows, numeric=(4,))
