"""Result of the analysis of logs: scores, differences, and their tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table, printable
from audioprobe.metrics.significance import PairedTest
from audioprobe.probing.consistency import Consistency
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.scores import Score
from audioprobe.probing.trial import Condition
from audioprobe.results.comparison import number_cell, p_value_cell
from audioprobe.results.tables import MISSING
from audioprobe.types import Estimate

_MAX_CAUSES = 5  # causes of failures that are listed for each model


@dataclass(frozen=True, slots=True, kw_only=True)
class LogScore:
    """Scores of one model under one condition.

    Attributes:
        model: name of the model.
        condition: condition of the questions.
        relation: what the questions ask for; "other" for items of other benchmarks.
        score: accuracy with intervals over clusters, and counts of invalid and failed answers.
        repeated: agreement of the answers to repetitions or paraphrases of a question; None if no
            question was answered twice.
    """

    model: str
    condition: Condition
    relation: RelationKind
    score: Score
    repeated: Consistency | None

    @property
    def questions(self) -> str:
        """Relation and condition of the questions: "hypernym, audio", or "audio"."""
        return question_name(self.condition, self.relation)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDifference:
    """Difference of two accuracies on the same questions.

    Attributes:
        name: what is subtracted from what.
        difference: in [-1, 1]; the interval resamples clusters.
        permutation: sign-flip test with clusters as units; None if there are no common answers.
        mcnemar: McNemar's exact test over items; None if there are no common answers.
        holm: p-value of `permutation` with Holm's correction for all differences of the analysis.
    """

    name: str
    difference: Estimate
    permutation: PairedTest | None
    mcnemar: PairedTest | None
    holm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LogAnalysis(TidyData, Displayed):
    """Scores of the models in some logs, and the differences between conditions and models.

    Attributes:
        scores: one for each model, condition and relation.
        differences: text minus audio of each model, and the differences of all pairs of models.
        failures: number of items without an answer, keyed by model and cause.
        n_missing: number of items that a log lacks, keyed by model; only those above 0.
        unit: what intervals resample and tests exchange: "items", "groups" or "concepts".
    """

    scores: tuple[LogScore, ...]
    differences: tuple[LogDifference, ...]
    failures: Mapping[str, Mapping[str, int]]
    n_missing: Mapping[str, int]
    unit: str

    def data(self) -> DataTable:
        """Return a table with one row per model, condition and relation."""
        names = ("model", "condition", "relation", "accuracy", "low", "high")
        counts = ("n_clusters", "strict_accuracy", "n_trials", "n_invalid", "n_failed", "agreement")
        rows = [
            (
                *(x.model, x.condition, x.relation),
                *(x.score.accuracy.value, x.score.accuracy.low, x.score.accuracy.high),
                x.score.accuracy.n_groups,
                x.score.strict_accuracy.value,
                *(x.score.n_trials, x.score.n_invalid, x.score.n_failed),
                x.repeated and x.repeated.agreement.value,
            )
            for x in self.scores
        ]
        return DataTable.from_rows((*names, *counts), rows)

    def table(self) -> Table:
        """Return the scores: one row per model, condition and relation."""
        rows = tuple(
            (
                *(x.model, x.questions, _cell(x.score.accuracy), _cell(x.score.strict_accuracy)),
                *map(str, (x.score.n_trials, x.score.n_invalid, x.score.n_failed)),
            )
            for x in self.scores
        )
        header = ("model", "questions", "accuracy", "invalid as wrong")
        return Table((*header, "answers", "invalid", "failed"), rows, numeric=(4, 5, 6))

    def difference_table(self) -> Table:
        """Return the differences, with p-values before and after Holm's correction."""
        rows = tuple(
            (
                x.name,
                _cell(x.difference),
                str(x.difference.n),
                *(MISSING if t is None else p_value_cell(t) for t in (x.permutation, x.mcnemar)),
                number_cell(x.holm),
            )
            for x in self.differences
        )
        p_values = (f"p ({self.unit})", "p (McNemar)", "p (Holm)")
        header = ("difference of accuracy", "value", "pairs", *p_values)
        return Table(header, rows, numeric=(2, 3, 4, 5))

    def notes(self) -> list[str]:
        """Return sentences on the method, and on items without an answer."""
        notes = [f"Intervals (95 %) resample {self.unit}."]
        n_tests = sum(x.holm is not None for x in self.differences)
        if n_tests:
            notes.append(
                f"Holm's correction is for {n_tests} differences; p ({self.unit}) is a test by "
                f"sign flips of {self.unit}; pairs are answers to the same question."
            )
        notes += [
            f"{x.model}, {x.questions}: the answers to all wordings or repetitions agree for "
            f"{_cell(x.repeated.agreement)} of {x.repeated.n} questions"
            for x in self.scores
            if x.repeated
        ]
        for model, causes in self.failures.items():
            shown = sorted(causes.items(), key=lambda item: -item[1])
            notes += [
                f"{model}: {n} items without an answer: {printable(cause)}"
                for cause, n in shown[:_MAX_CAUSES]
            ]
            if len(shown) > _MAX_CAUSES:
                n_more = sum(n for _, n in shown[_MAX_CAUSES:])
                notes.append(f"{model}: {n_more} items without an answer, by other causes")
        notes += [f"{model}: {n} items are not in the log" for model, n in self.n_missing.items()]
        return notes

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the tables of scores and differences, and the notes."""
        return (self.table(), self.difference_table()), tuple(self.notes())

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = 100) -> str:
        """Return the tables and notes for a terminal of `width` columns."""
        tables, notes = self.displayed()
        parts = [table.to_text(width) for table in tables if table.rows]
        return "\n\n".join([*parts, "\n".join(notes)])


def question_name(condition: Condition, relation: RelationKind) -> str:
    """Return the name of the questions about a relation under a condition."""
    return condition if relation == "other" else f"{relation}, {condition}"


def _cell(estimate: Estimate) -> str:
    return str(replace(estimate, n_undefined=0, n_groups=None))
