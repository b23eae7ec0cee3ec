"""Differences of two classification results, with tests and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.significance import PairedTest, smallest_text
from audioprobe.plots.forest_plot import ForestPlot, ForestPlotted, ForestRow
from audioprobe.results.tables import MISSING

_ALPHA = 0.05

_Test: TypeAlias = tuple[str | None, str, PairedTest, float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """Difference of two results for one label.

    Attributes:
        label: name of the label.
        auc: AUC of the first minus that of the second result, with DeLong's test, or with a
            permutation test if clips share groups.
        holm: p-value with Holm's correction for all labels; None if undefined.
        benjamini_hochberg: p-value with the Benjamini-Hochberg correction (false discovery rate);
            None if undefined.
        detectable: smallest true difference that the test detects with 80 % power after correction
            for all labels; None if unknown, or if the test cannot be significant.
    """

    label: str
    auc: PairedTest
    holm: float | None
    benjamini_hochberg: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Comparison(TidyData, Displayed, ForestPlotted):
    """Difference of two results on the clips that have reference labels and scores in both.

    Attributes:
        clip_ids: ids of the compared clips.
        macro_auc: macro AUC of the first minus that of the second result, with a permutation test
            and a bootstrap interval. Groups of clips are permuted and resampled as a whole.
        best_label: share of clips whose best label is correct, first minus second, with McNemar's
            test, or with a sign-flip test if clips share groups. Tied best labels count as correct
            if all of them are correct.
        labels: one comparison per label.
        left_out: number of clips that are not compared, by reason, such as "failed in both".
        names: names of the two results.
    """

    clip_ids: tuple[str, ...]
    macro_auc: PairedTest
    best_label: PairedTest
    labels: tuple[LabelComparison, ...]
    left_out: Mapping[str, int]
    names: tuple[str, str] = ("first", "second")

    @property
    def n_left_out(self) -> int:
        """Number of clips of either result that are not compared."""
        return sum(self.left_out.values())

    @property
    def units(self) -> str:
        """Number and kind of the units that the tests exchange, as text: "4 groups", "22 clips"."""
        return f"{self.macro_auc.n_units} {self.macro_auc.unit}"

    def table(self) -> Table:
        """Return a table with rows for the macro AUC, the best label, and the AUC of each label."""
        rows = [
            _row(f"{label}, AUC" if label else measure, test, numbers)
            for label, measure, test, *numbers in self._tests()
        ]
        difference = f"{self.names[0]} minus {self.names[1]}"
        header = ("what", difference, "p", "p (Holm)", "p (BH)", "80 % power from")
        return Table(header, tuple(rows), numeric=(2, 3, 4, 5))

    def forest_plot(self) -> ForestPlot:
        """Return the differences of the AUCs of each label and of the macro AUCs."""
        rows = [ForestRow(label.label, label.auc.difference) for label in self.labels]
        rows.append(ForestRow("macro mean", self.macro_auc.difference))
        return ForestPlot(rows, f"AUC, {' minus '.join(self.names)}")

    def data(self) -> DataTable:
        """Return a table with rows for the macro AUC, the best label, and the AUC of each label.

        Differences are first minus second. The column label is None in the first two rows.
        """
        names = ("label", "measure", "difference", "low", "high", "p_value")
        rows = [
            (label, measure, d.value, d.low, d.high, test.p_value, *numbers)
            for label, measure, test, *numbers in self._tests()
            for d in [test.difference]
        ]
        return DataTable.from_rows((*names, "holm", "benjamini_hochberg", "detectable"), rows)

    def _tests(self) -> list[_Test]:
        """Return label, measure, test, two corrected p-values and the detectable difference."""
        macro, best = self.macro_auc, self.best_label
        tests: list[_Test] = [
            (None, "all labels, macro AUC", macro, None, None, macro.detectable()),
            (None, "best label is right", best, None, None, None),
        ]
        tests += [
            (x.label, "AUC", x.auc, x.holm, x.benjamini_hochberg, x.detectable) for x in self.labels
        ]
        return tests

    def conclusion(self) -> str:
        """Return a sentence that states whether the macro AUCs differ significantly."""
        test = self.macro_auc
        if test.p_value is None or test.difference.value is None:
            return f"The macro AUCs are not compared: {test.name}."
        first, second = self.names if test.difference.value >= 0 else self.names[::-1]
        evidence = f"p {test.p_value:.3g}, {test.name}"
        if test.p_value < _ALPHA:
            gain = f"macro AUC +{abs(test.difference.value):.3f}"
            return f"{first} is significantly better than {second}: {gain} ({evidence})."
        text = f"The macro AUCs of {first} and {second} do not differ significantly ({evidence})."
        detectable = test.detectable()
        if detectable is not None:
            return f"{text} True differences below {detectable:.3f} would probably be missed."
        smallest = test.smallest_p_value
        if smallest is not None and smallest > _ALPHA:
            return f"{text} {self.units} cannot give a p-value below {smallest:.3g}: add groups."
        return text

    def notes(self) -> list[str]:
        """Return sentences that count compared clips, left-out clips and undefined labels."""
        reasons = "; ".join(f"{n} {reason}" for reason, n in self.left_out.items() if n)
        left_out = f"{self.n_left_out} left out{f' ({reasons})' if reasons else ''}"
        notes = [f"{len(self.clip_ids)} clips compared, {left_out}. Tests exchange {self.units}."]
        n_undefined = sum(comparison.auc.p_value is None for comparison in self.labels)
        if n_undefined:
            notes.append(
                f"{n_undefined} of {len(self.labels)} labels are undefined: a test needs at least "
                "two clips with the label and two clips without it, in at least two groups."
            )
        return notes

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table, the notes and the conclusion."""
        return (self.table(),), (*self.notes(), self.conclusion())

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = 100) -> str:
        """Return the table, the notes and the conclusion for a terminal of `width` columns."""
        return "\n".join([self.table().to_text(width), "", *self.notes(), self.conclusion()])


def _row(name: str, test: PairedTest, numbers: Sequence[float | None]) -> tuple[str, ...]:
    """Return a table row: name, difference, p-value, and `numbers`.

    The numbers are the Holm and Benjamini-Hochberg p-values and the detectable difference.
    """
    *corrected, detectable = numbers
    cells = (*map(number_cell, corrected), number_cell(detectable, ".3f"))
    return (name, str(test.difference), p_value_cell(test), *cells)


def p_value_cell(test: PairedTest) -> str:
    """Return the text of a p-value, with the smallest possible one if that matters."""
    smallest = "" if test.p_value is None else smallest_text(test.smallest_p_value)
    return number_cell(test.p_value) + smallest


def number_cell(value: float | None, spec: str = ".3g") -> str:
    """Return the text of a number in a table; `MISSING` for None."""
    return MISSING if value is None else format(value, spec)
