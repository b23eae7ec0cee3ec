"""Compare two classification results of the same clips, label by label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.paired import delong, mcnemar, permutation, sign_flips
from audioprobe.metrics.significance import PairedTest, benjamini_hochberg, holm, smallest_text
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.evaluation import targets_of
from audioprobe.results.tables import MISSING
from audioprobe.texts import nfc
from audioprobe.types import BoolArray, FloatArray

_ALPHA = 0.05


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
class Comparison(Displayed):
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
            _row(
                "all labels, macro AUC", self.macro_auc, (None, None, self.macro_auc.detectable())
            ),
            _row("best label is right", self.best_label, (None, None, None)),
        ]
        rows += [
            _row(f"{x.label}, AUC", x.auc, (x.holm, x.benjamini_hochberg, x.detectable))
            for x in self.labels
        ]
        difference = f"{self.names[0]} minus {self.names[1]}"
        header = ("what", difference, "p", "p (Holm)", "p (BH)", "80 % power from")
        return Table(header, tuple(rows), numeric=(2, 3, 4, 5))

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


def compare(
    first: ClassificationResult,
    second: ClassificationResult,
    *,
    truth: Mapping[str, tuple[str, ...]] | None = None,
    groups: Mapping[str, str] | None = None,
    names: tuple[str, str] = ("first", "second"),
    seed: int = 0,
) -> Comparison:
    """Compare two results of the same clips.

    Args:
        first: result with the same labels as `second`.
        second: result for the same clips, or for some of them.
        truth: reference labels by clip id; None uses those of the results.
        groups: group (site, recorder) by clip id; None uses those of the results. If clips share a
            group, permutation and sign-flip tests replace DeLong's and McNemar's tests.
        names: names of the two results, for tables and sentences.
        seed: random seed of permutations and bootstrap.

    Raises:
        InvalidInputError: if labels or a clip's groups differ, or no clip can be compared.
    """
    if first.labels != second.labels:
        raise InvalidInputError(
            "Expected the same labels in the same order in both results, got different labels."
        )
    references = {**second.truth, **first.truth} if truth is None else truth
    annotated = {nfc(clip_id): labels for clip_id, labels in references.items()}
    scored = set(second.clip_ids)
    clip_ids = tuple(name for name in first.clip_ids if name in scored and name in annotated)
    if not clip_ids:
        raise InvalidInputError(
            "No clip with reference labels has scores in both results. Compare the same clips."
        )
    targets = targets_of(annotated, clip_ids, first.labels)
    a, b = _rows(first, clip_ids), _rows(second, clip_ids)
    groups = _joined_groups(first, second) if groups is None else groups
    clip_groups = _shared_groups(clip_ids, groups)

    def exchange(columns: Sequence[int]) -> PairedTest:
        arrays = (values[:, columns] for values in (targets, a, b))
        return permutation(*arrays, groups=clip_groups, seed=seed, bootstrap=Bootstrap(seed=seed))

    right = _best_is_right(targets, a), _best_is_right(targets, b)
    every_label = list(range(len(first.labels)))
    if clip_groups is None:
        tests = [delong(targets[:, n], a[:, n], b[:, n]) for n in every_label]
        best = mcnemar(*right)
    else:
        tests = [exchange([n]) for n in every_label]
        gains = np.subtract(*right, dtype=np.float64)
        best = sign_flips(gains, groups=clip_groups, seed=seed)
    return Comparison(
        clip_ids=clip_ids,
        macro_auc=exchange(every_label),
        best_label=best,
        labels=_corrected(first.labels, tests),
        left_out=_left_out(first, second, annotated),
        names=names,
    )


def _corrected(labels: Sequence[str], tests: Sequence[PairedTest]) -> tuple[LabelComparison, ...]:
    p_values = [test.p_value for test in tests]
    n_tests = sum(p_value is not None for p_value in p_values)
    corrected = zip(labels, tests, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(
        LabelComparison(
            label, test, p_holm, p_bh, None if p_holm is None else test.detectable(n_tests=n_tests)
        )
        for label, test, p_holm, p_bh in corrected
    )


def _joined_groups(first: ClassificationResult, second: ClassificationResult) -> dict[str, str]:
    for name, group in first.groups.items():
        if second.groups.get(name, group) != group:
            raise InvalidInputError(
                f"Clip {name!r} has the group {group!r} in one result and "
                f"{second.groups[name]!r} in the other. Pass `groups` to choose."
            )
    return {**first.groups, **second.groups}


def _shared_groups(clip_ids: Sequence[str], groups: Mapping[str, str]) -> list[str | None] | None:
    """Return the group of each clip, in the order of `clip_ids`; None for a clip without a group.

    The result is None instead of a list if no two clips share a group.
    """
    by_id = {nfc(clip_id): group for clip_id, group in groups.items()}
    of_clips = [by_id.get(clip_id) for clip_id in clip_ids]
    sizes = Counter(group for group in of_clips if group is not None)
    return of_clips if any(size > 1 for size in sizes.values()) else None


def _left_out(
    first: ClassificationResult, second: ClassificationResult, annotated: Mapping[str, object]
) -> dict[str, int]:
    """Return the number of clips that are not compared, keyed by reason ("failed in both")."""
    scored_1, scored_2 = set(first.clip_ids), set(second.clip_ids)
    failed_1, failed_2 = ({f.clip_id for f in result.failures} for result in (first, second))
    clips_by_reason = {
        "failed in both": failed_1 & failed_2,
        "failed in the first": failed_1 - failed_2,
        "failed in the second": failed_2 - failed_1,
        "only in the first": scored_1 - scored_2 - failed_2,
        "only in the second": scored_2 - scored_1 - failed_1,
        "not annotated": (scored_1 & scored_2) - annotated.keys(),
    }
    return {reason: len(clips) for reason, clips in clips_by_reason.items()}


def _rows(result: ClassificationResult, clip_ids: tuple[str, ...]) -> FloatArray:
    position = {name: n for n, name in enumerate(result.clip_ids)}
    rows: FloatArray = result.scores[[position[name] for name in clip_ids]]
    return rows


def _best_is_right(targets: BoolArray, scores: FloatArray) -> BoolArray:
    """Return a boolean per clip: whether its label with the highest score is correct.

    If several labels have the highest score, all of them must be correct.
    """
    is_best = scores == scores.max(axis=1, keepdims=True)
    right: BoolArray = ~(is_best & ~targets).any(axis=1)
    return right


def _row(name: str, test: PairedTest, numbers: tuple[float | None, ...]) -> tuple[str, ...]:
    """Return a table row: name, difference, p-value, and `numbers`.

    The numbers are the Holm and Benjamini-Hochberg p-values and the detectable difference.
    """
    p_value = _cell(test.p_value)
    if test.p_value is not None:
        p_value += smallest_text(test.smallest_p_value)
    *corrected, detectable = numbers
    return (name, str(test.difference), p_value, *map(_cell, corrected), _cell(detectable, ".3f"))


def _cell(value: float | None, spec: str = ".3g") -> str:
    return MISSING if value is None else format(value, spec)
