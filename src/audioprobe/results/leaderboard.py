"""Rank several classification results of the same clips; all pairs are tested and corrected."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from audioprobe.errors import InvalidInputError
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import permutation
from audioprobe.metrics.significance import PairedTest, holm
from audioprobe.plots.forest_plot import ForestPlot, ForestPlotted, ForestRow
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.compare import annotated_labels, joined_groups, rows_of, shared_groups
from audioprobe.results.comparison import number_cell, p_value_cell
from audioprobe.results.evaluation import Evaluation, evaluate
from audioprobe.results.tables import MISSING
from audioprobe.results.targets import targets_of

ALPHA = 0.05
"""Largest corrected p-value of a significant difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOfResults:
    """Difference of two results.

    Attributes:
        names: names of the two results; the first one has the higher rank.
        macro_auc: macro AUC of the first minus that of the second, with a permutation test.
        holm: p-value with Holm's correction for all pairs; None if undefined.
    """

    names: tuple[str, str]
    macro_auc: PairedTest
    holm: float | None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Leaderboard(TidyData, Displayed, ForestPlotted):
    """Results in the order of their macro AUC, on the clips that have scores in all of them.

    Attributes:
        clip_ids: ids of the compared clips.
        evaluations: metrics of each result by its name, the best one first.
        pairs: difference of every pair of results.
        n_left_out: number of clips that have no scores in at least one result, or no reference
            labels.
    """

    clip_ids: tuple[str, ...]
    evaluations: Mapping[str, Evaluation]
    pairs: tuple[PairOfResults, ...]
    n_left_out: int

    def forest_plot(self) -> ForestPlot:
        """Return the macro AUC of each result; the line is chance."""
        rows = [ForestRow(name, each.auc) for name, each in self.evaluations.items()]
        return ForestPlot(rows, "macro AUC", 0.5)

    def data(self) -> DataTable:
        """Return a table with one row per pair: names, difference, interval and p-values."""
        rows = [
            (*pair.names, d.value, d.low, d.high, pair.macro_auc.p_value, pair.holm)
            for pair in self.pairs
            for d in [pair.macro_auc.difference]
        ]
        names = ("first", "second", "difference", "low", "high", "p_value", "holm")
        return DataTable.from_rows(names, rows)

    def table(self) -> Table:
        """Return the ranking: one row per result, with the results that it does not differ from."""
        rows = []
        for rank, (name, evaluation) in enumerate(self.evaluations.items(), 1):
            similar = [
                pair.names[pair.names[0] == name]
                for pair in self.pairs
                if name in pair.names and (pair.holm is None or pair.holm > ALPHA)
            ]
            means = (str(evaluation.auc), str(evaluation.average_precision))
            rows.append((str(rank), name, *means, ", ".join(similar) or MISSING))
        header = ("rank", "result", "macro AUC", "macro AP", "not significantly different from")
        return Table(header, tuple(rows), numeric=(0,))

    def pair_table(self) -> Table:
        """Return one row per pair: difference of the macro AUCs, p-value and corrected p-value."""
        rows = [
            (
                " minus ".join(pair.names),
                str(pair.macro_auc.difference),
                p_value_cell(pair.macro_auc),
                number_cell(pair.holm),
            )
            for pair in self.pairs
        ]
        header = ("pair", "difference of macro AUCs", "p", "p (Holm, all pairs)")
        return Table(header, tuple(rows), numeric=(2, 3))

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the ranking, the pairs, and a sentence that counts clips and tests."""
        (first, *_) = self.pairs
        units = f"{first.macro_auc.n_units} {first.macro_auc.unit}"
        sentence = (
            f"{len(self.clip_ids)} clips compared, {self.n_left_out} left out. Tests exchange "
            f"{units}; p-values are corrected for {len(self.pairs)} pairs."
        )
        return (self.table(), self.pair_table()), (sentence,)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = 100) -> str:
        """Return both tables and the sentence for a terminal of `width` columns."""
        tables, sentences = self.displayed()
        return "\n\n".join([*(table.to_text(width) for table in tables), *sentences])


def compare_many(
    results: Mapping[str, ClassificationResult] | Sequence[ClassificationResult],
    *,
    truth: Mapping[str, tuple[str, ...]] | None = None,
    groups: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Leaderboard:
    """Rank several results of the same clips by macro AUC, and test all pairs.

    Args:
        results: at least two results with the same labels, by name; in a sequence, they are named
            after their models.
        truth: reference labels by clip id; None uses those of the results.
        groups: group (site, recorder) by clip id; None uses those of the results. Groups are
            permuted and resampled as a whole.
        seed: random seed of permutations and bootstrap.

    Raises:
        InvalidInputError: if there are fewer than two results, if labels or a clip's groups differ,
            or if no clip with reference labels has scores in all results.
    """
    if len(results) < 2:
        raise InvalidInputError(f"Expected at least two results, got {len(results)}.")
    results = _named(results)
    values = list(results.values())
    annotated = annotated_labels(values, truth)
    scored = [set(result.clip_ids) for result in values]
    common = set.intersection(*scored) & annotated.keys()
    clip_ids = tuple(name for name in values[0].clip_ids if name in common)
    if not clip_ids:
        raise InvalidInputError(
            "No clip with reference labels has scores in all results. Compare the same clips."
        )
    labels = values[0].labels
    targets = targets_of(annotated, clip_ids, labels)
    known = joined_groups(values) if groups is None else groups
    clip_groups = shared_groups(clip_ids, known)
    bootstrap = Bootstrap(seed=seed)
    scores = {name: rows_of(result, clip_ids) for name, result in results.items()}
    evaluations = {
        name: evaluate(rows, targets, labels, bootstrap=bootstrap, groups=clip_groups)
        for name, rows in scores.items()
    }
    ranked = sorted(evaluations, key=lambda name: _order(evaluations[name]))
    tests = {
        (a, b): permutation(
            targets, scores[a], scores[b], groups=clip_groups, seed=seed, bootstrap=bootstrap
        )
        for a, b in combinations(ranked, 2)
    }
    failed = {failure.clip_id for result in values for failure in result.failures}
    return Leaderboard(
        clip_ids=clip_ids,
        evaluations={name: evaluations[name] for name in ranked},
        pairs=_corrected(tests),
        n_left_out=len(failed.union(*scored) - common),
    )


def _named(
    results: Mapping[str, ClassificationResult] | Sequence[ClassificationResult],
) -> Mapping[str, ClassificationResult]:
    """Return the results by name; models with the same name get a number."""
    if isinstance(results, Mapping):
        return results
    names = [
        next((info.name for info in result.provenance.components.values()), "result")
        for result in results
    ]
    numbered = [
        name if names.count(name) == 1 else f"{name} ({names[: n + 1].count(name)})"
        for n, name in enumerate(names)
    ]
    return dict(zip(numbered, results, strict=True))


def _order(evaluation: Evaluation) -> float:
    """Return the sort key of a result: the highest macro AUC first, undefined values last."""
    return math.inf if evaluation.auc.value is None else -evaluation.auc.value


def _corrected(tests: Mapping[tuple[str, str], PairedTest]) -> tuple[PairOfResults, ...]:
    corrected = holm([test.p_value for test in tests.values()])
    return tuple(
        PairOfResults(names=names, macro_auc=test, holm=p_holm)
        for (names, test), p_holm in zip(tests.items(), corrected, strict=True)
    )
