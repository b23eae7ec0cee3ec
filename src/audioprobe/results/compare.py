"""Two results of the same clips, compared label by label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.multiple_testing import benjamini_hochberg, holm
from audioprobe.metrics.paired import delong, mcnemar, permutation, sign_flips
from audioprobe.metrics.permutations import smallest_text
from audioprobe.metrics.power import PairedTest
from audioprobe.normalization import nfc
from audioprobe.results.classification import ClassificationResult
from audioprobe.results.display import Displayed
from audioprobe.results.evaluation import targets_of
from audioprobe.types import BoolArray, FloatArray

_NONE = "–"
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """One label of two results.

    Attributes:
        label: its name.
        auc: first minus second, by DeLong's test; by a permutation test where clips have groups.
        holm: its p-value, corrected for all labels; None where undefined.
        benjamini_hochberg: the same, bounding the share of false discoveries.
        detectable: the true difference that this test, corrected for all labels, would have found
            with 80 % power; None where it is unknown, or no p-value can be small enough.
    """

    label: str
    auc: PairedTest
    holm: float | None
    benjamini_hochberg: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Displayed):
    """Two results on the clips that both scored and somebody annotated.

    Attributes:
        clip_ids: those clips.
        macro_auc: first minus second, by a permutation test of whole groups, with an interval of
            paired resamples.
        best_label: share of clips whose best label is right, first minus second: by McNemar's test,
            or by sign flips of whole groups. Where the best label ties with others, it is right if
            all of them are.
        labels: one entry per label.
        left_out: clips of either result that are not compared, by the reason: "failed in both",
            "failed in the first", "failed in the second", "only in the first", "only in the
            second", "not annotated".
        names: of the two results.
    """

    clip_ids: tuple[str, ...]
    macro_auc: PairedTest
    best_label: PairedTest
    labels: tuple[LabelComparison, ...]
    left_out: Mapping[str, int]
    names: tuple[str, str] = ("first", "second")

    @property
    def n_left_out(self) -> int:
        """Clips of either result that are not compared."""
        return sum(self.left_out.values())

    @property
    def n_failed_in_both(self) -> int:
        """Clips that have scores in neither result."""
        return self.left_out.get("failed in both", 0)

    @property
    def units(self) -> str:
        """What was exchanged, such as "4 groups" or "22 clips"."""
        return f"{self.macro_auc.n_units} {self.macro_auc.unit}"

    def table(self) -> Table:
        """A row for all labels together, for the best label, and for each label."""
        rows = [_row("all labels, macro AUC", self.macro_auc, self.macro_auc.detectable())]
        rows.append(_row("best label is right", self.best_label))
        rows += [
            _row(f"{one.label}, AUC", one.auc, one.detectable, one.holm, one.benjamini_hochberg)
            for one in self.labels
        ]
        difference = f"{self.names[0]} minus {self.names[1]}"
        header = ("what", difference, "p", "p (Holm)", "p (BH)", "80 % power from")
        return Table(header, tuple(rows), numeric=(2, 3, 4, 5))

    def conclusion(self) -> str:
        """Return whether the macro AUCs differ significantly, and what could have been found."""
        test = self.macro_auc
        if test.p_value is None or test.difference.value is None:
            return f"The macro AUCs are not compared: {test.name}."
        first, second = self.names if test.difference.value >= 0 else self.names[::-1]
        by = f"p {test.p_value:.3g}, {test.name}"
        if test.p_value < _SIGNIFICANT:
            gain = abs(test.difference.value)
            return f"{first} is significantly better than {second}: macro AUC +{gain:.3f} ({by})."
        text = f"The macro AUCs of {first} and {second} do not differ significantly ({by})."
        detectable = test.detectable()
        if detectable is not None:
            return f"{text} True differences below {detectable:.3f} would probably be missed."
        smallest = test.smallest_p_value
        if smallest is not None and smallest > _SIGNIFICANT:
            return f"{text} {self.units} cannot give a p-value below {smallest:.3g}: add groups."
        return text

    def notes(self) -> list[str]:
        """Return what was compared and left out, and why numbers are undefined."""
        reasons = "; ".join(f"{n} {reason}" for reason, n in self.left_out.items() if n)
        left_out = f"{self.n_left_out} left out{f' ({reasons})' if reasons else ''}"
        notes = [f"{len(self.clip_ids)} clips compared, {left_out}. Exchanged: {self.units}."]
        n_undefined = sum(one.auc.p_value is None for one in self.labels)
        if n_undefined:
            notes.append(
                f"{n_undefined} of {len(self.labels)} labels are undefined: a test needs at least "
                "two clips with the label and two without it, and two units to exchange."
            )
        return notes

    def __str__(self) -> str:
        return self.to_text()

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """The table, what it rests on, and a conclusion."""
        return (self.table(),), (*self.notes(), self.conclusion())

    def to_text(self, width: int = 100) -> str:
        """For a terminal: the table, what it rests on, and a conclusion.

        Args:
            width: columns of the terminal.
        """
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
    """Compare two results clip by clip.

    Args:
        first: with the same labels as the second.
        second: of the same clips, or some of them.
        truth: labels by clip; None takes those that came with the clips.
        groups: of clips (site, recorder), exchanged together; None takes those that the results
            have. Clips without one are their own group. Where two clips share a group, labels are
            tested by permutations too, for DeLong's and McNemar's tests take clips as independent.
        names: of the two results, for tables and sentences.
        seed: of permutations and resamples.

    Raises:
        InvalidInputError: if labels differ, no annotated clip was scored in both, or a clip has
            different groups in both results.
    """
    if first.labels != second.labels:
        raise InvalidInputError("The results have other labels: score both against the same list.")
    given = {**second.truth, **first.truth} if truth is None else truth
    known = {nfc(clip_id): labels for clip_id, labels in given.items()}
    other = set(second.clip_ids)
    common = tuple(name for name in first.clip_ids if name in other and name in known)
    if not common:
        raise InvalidInputError("No annotated clip was scored in both results.")
    targets = targets_of(known, common, first.labels)
    one, two = _rows(first, common), _rows(second, common)
    owned = _groups(first, second) if groups is None else groups
    owners = _owners(common, {nfc(clip_id): group for clip_id, group in owned.items()})
    if owners is None:
        tests = [delong(targets[:, n], one[:, n], two[:, n]) for n in range(len(first.labels))]
        best = mcnemar(_right(targets, one), _right(targets, two))
    else:
        tests = [
            permutation(
                targets[:, [n]],
                one[:, [n]],
                two[:, [n]],
                groups=owners,
                seed=seed,
                bootstrap=Bootstrap(seed=seed),
            )
            for n in range(len(first.labels))
        ]
        rights = _right(targets, one).astype(np.float64) - _right(targets, two)
        best = sign_flips(rights, groups=owners, seed=seed)
    bootstrap = Bootstrap(seed=seed)
    macro = permutation(targets, one, two, groups=owners, seed=seed, bootstrap=bootstrap)
    return Comparison(
        common, macro, best, _corrected(first.labels, tests), _left_out(first, second, known), names
    )


def _corrected(labels: Sequence[str], tests: Sequence[PairedTest]) -> tuple[LabelComparison, ...]:
    p_values = [test.p_value for test in tests]
    n_tests = sum(p_value is not None for p_value in p_values)
    corrected = zip(labels, tests, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(
        LabelComparison(*entry, None if entry[2] is None else entry[1].detectable(n_tests=n_tests))
        for entry in corrected
    )


def _groups(first: ClassificationResult, second: ClassificationResult) -> dict[str, str]:
    """The groups of both; the results must agree."""
    for name, group in first.groups.items():
        if second.groups.get(name, group) != group:
            raise InvalidInputError(
                f"Clip {name!r} has the group {group!r} in one result and "
                f"{second.groups[name]!r} in the other: name the groups to use."
            )
    return {**first.groups, **second.groups}


def _owners(names: Sequence[str], groups: Mapping[str, str]) -> list[str | None] | None:
    """The group of each clip; None where no two clips share one."""
    owners = [groups.get(name) for name in names]
    sizes = Counter(owner for owner in owners if owner is not None)
    return owners if any(size > 1 for size in sizes.values()) else None


def _left_out(
    first: ClassificationResult, second: ClassificationResult, known: Mapping[str, object]
) -> dict[str, int]:
    """Why clips of either result are not compared."""
    scored = set(first.clip_ids), set(second.clip_ids)
    failed = tuple({failure.clip_id for failure in one.failures} for one in (first, second))
    reasons: dict[str, int] = dict.fromkeys(
        (
            "failed in both",
            "failed in the first",
            "failed in the second",
            "only in the first",
            "only in the second",
            "not annotated",
        ),
        0,
    )
    for name in scored[0] | scored[1] | failed[0] | failed[1]:
        if name in failed[0] and name in failed[1]:
            reasons["failed in both"] += 1
        elif name in failed[0] or name in failed[1]:
            reasons["failed in the first" if name in failed[0] else "failed in the second"] += 1
        elif name not in scored[1] or name not in scored[0]:
            reasons["only in the first" if name in scored[0] else "only in the second"] += 1
        elif name not in known:
            reasons["not annotated"] += 1
    return reasons


def _rows(result: ClassificationResult, names: tuple[str, ...]) -> FloatArray:
    where = {name: n for n, name in enumerate(result.clip_ids)}
    rows: FloatArray = result.scores[[where[name] for name in names]]
    return rows


def _right(targets: BoolArray, scores: FloatArray) -> BoolArray:
    """Whether the best label of each clip is right, and all that tie with it."""
    best = scores == scores.max(axis=1, keepdims=True)
    found: BoolArray = ~(best & ~targets).any(axis=1)
    return found


def _row(
    what: str,
    test: PairedTest,
    detectable: float | None = None,
    holm: float | None = None,
    discovery: float | None = None,
) -> tuple[str, ...]:
    p_value = _number(test.p_value)
    if test.p_value is not None:
        p_value += smallest_text(test.smallest_p_value)
    return (
        what,
        str(test.difference),
        p_value,
        _number(holm),
        _number(discovery),
        _NONE if detectable is None else f"{detectable:.3f}",
    )


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"
