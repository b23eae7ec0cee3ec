"""Two results of the same clips, compared label by label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.evaluation import targets_of
from audioprobe.metrics.many_tests import benjamini_hochberg, holm
from audioprobe.metrics.paired import (
    Test,
    delong,
    mcnemar,
    permutation,
    smallest_detectable,
)
from audioprobe.results.classification import ClassificationResult
from audioprobe.tables import Table
from audioprobe.types import BoolArray, FloatArray

_NONE = "–"


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """One label of two results.

    Attributes:
        label: its name.
        auc: first minus second, by DeLong's test.
        holm: its p-value, corrected for all labels; None where undefined.
        benjamini_hochberg: the same, bounding the share of false discoveries.
        detectable: the true difference that would have been found with 80 % power.
    """

    label: str
    auc: Test
    holm: float | None
    benjamini_hochberg: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results on the clips that both scored and somebody annotated.

    Attributes:
        clip_ids: those clips.
        macro_auc: first minus second, by a permutation test over groups.
        best_label: share of clips whose best label is right, first minus second, by McNemar's.
        labels: one entry per label.
        n_left_out: clips of either result that are not compared.
    """

    clip_ids: tuple[str, ...]
    macro_auc: Test
    best_label: Test
    labels: tuple[LabelComparison, ...]
    n_left_out: int

    def table(self) -> Table:
        """A row for all labels together, for the best label, and for each label."""
        rows = [_row("all labels, macro AUC", self.macro_auc)]
        rows.append(_row("best label is right", self.best_label))
        rows += [
            _row(
                f"{one.label}, AUC",
                one.auc,
                one.holm,
                one.benjamini_hochberg,
                one.detectable,
            )
            for one in self.labels
        ]
        header = (
            "what",
            "first minus second",
            "p",
            "Holm",
            "Benjamini–Hochberg",
            "80 % power from",
        )
        return Table(header, tuple(rows), numeric=(2, 3, 4, 5))


def compare(
    first: ClassificationResult,
    second: ClassificationResult,
    *,
    truth: Mapping[str, tuple[str, ...]] | None = None,
    groups: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two results clip by clip.

    Args:
        first: with the same labels as the second.
        second: of the same clips, or some of them.
        truth: labels by clip; None takes those that came with the clips.
        groups: of clips, exchanged together by the permutation test; DeLong's and McNemar's take
            clips as independent.
        seed: of the permutations.

    Raises:
        InvalidInputError: if labels differ, or no annotated clip was scored in both.
    """
    if first.labels != second.labels:
        raise InvalidInputError("The results have other labels: score both against the same list.")
    known = dict(first.truth) if truth is None else truth
    other = set(second.clip_ids)
    common = tuple(name for name in first.clip_ids if name in other and name in known)
    if not common:
        raise InvalidInputError("No annotated clip was scored in both results.")
    targets = targets_of(known, common, first.labels)
    one, two = _rows(first, common), _rows(second, common)
    tests = [delong(targets[:, n], one[:, n], two[:, n]) for n in range(len(first.labels))]
    p_values = [test.p_value for test in tests]
    corrected = zip(first.labels, tests, holm(p_values), benjamini_hochberg(p_values), strict=True)
    owners = [(groups or {}).get(name, name) for name in common]
    return Comparison(
        common,
        permutation(targets, one, two, groups=owners, seed=seed),
        mcnemar(_right(targets, one), _right(targets, two)),
        tuple(LabelComparison(*entry, _detectable(entry[1])) for entry in corrected),
        n_left_out=len({*first.clip_ids, *second.clip_ids}) - len(common),
    )


def _rows(result: ClassificationResult, names: tuple[str, ...]) -> FloatArray:
    where = {name: n for n, name in enumerate(result.clip_ids)}
    rows: FloatArray = result.scores[[where[name] for name in names]]
    return rows


def _right(targets: BoolArray, scores: FloatArray) -> BoolArray:
    found: BoolArray = targets[np.arange(len(targets)), np.argmax(scores, axis=1)]
    return found


def _detectable(test: Test) -> float | None:
    return None if test.standard_error is None else smallest_detectable(test.standard_error)


def _row(
    what: str,
    test: Test,
    holm: float | None = None,
    discovery: float | None = None,
    detectable: float | None = None,
) -> tuple[str, ...]:
    numbers = (test.p_value, holm, discovery, detectable)
    return what, str(test.difference), *(_NONE if n is None else f"{n:.3g}" for n in numbers)
