"""Label scores against what annotators heard: numbers per label and over all labels."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.text_table import Table
from audioprobe.metrics import (
    ThresholdPolicy,
    average_precision,
    f1_per_label,
    macro,
    per_label,
    roc_auc,
)
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.vectorized_metrics import macro_average_precision, macro_f1, macro_roc_auc
from audioprobe.normalization import nfc
from audioprobe.results.display import Displayed
from audioprobe.types import BoolArray, Estimate, FloatArray

_SHOWN = 5  # names in a message


@dataclass(frozen=True, slots=True)
class LabelEvaluation:
    """One label's numbers; None is undefined, for want of positives or negatives.

    Attributes:
        label: its name.
        n_positive: clips that have it.
        auc: area under the ROC curve, in [0, 1].
        average_precision: area under the step-wise precision-recall curve, in [0, 1].
        f1: at `threshold`, in [0, 1]; None also where no threshold policy was chosen.
        threshold: a score of at least this counts as "present".
    """

    label: str
    n_positive: int
    auc: float | None
    average_precision: float | None
    f1: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Displayed):
    """How well scores rank clips, with what was left out counted beside.

    Attributes:
        labels: one entry per label, in the order of the scores.
        n_clips: clips that were scored and are counted here.
        n_failed: clips that were asked for and have no score; they are in no number here.
        threshold_policy: how F1's thresholds were chosen; None where F1 was not asked for.
        auc: macro mean over the labels whose AUC is defined.
        average_precision: macro mean over the labels whose average precision is defined (mAP).
        f1: macro mean over the labels whose F1 is defined.
    """

    labels: tuple[LabelEvaluation, ...]
    n_clips: int
    n_failed: int
    threshold_policy: str | None
    auc: Estimate
    average_precision: Estimate
    f1: Estimate

    def table(self) -> Table:
        """A row per label and one for the macro mean."""
        with_f1 = self.threshold_policy is not None
        rows = [
            (e.label, str(e.n_positive), *map(_number, (e.auc, e.average_precision)))
            + ((_number(e.f1),) if with_f1 else ())
            for e in self.labels
        ]
        rows.append(("macro mean", "", *(str(mean) for _, mean in self._means())))
        f1_header = (f"F1, threshold {self.threshold_policy}",) if with_f1 else ()
        header = ("label", "positives", "AUC", "AP", *f1_header)
        return Table(header, tuple(rows), numeric=tuple(range(1, len(header))))

    def to_markdown(self) -> str:
        """The table, and a line that says what it rests on."""
        return f"{self.table().to_markdown()}\n{self._basis()}\n"

    def __str__(self) -> str:
        return f"{self.table().to_text()}\n{self._basis()}"

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """The table, and what it rests on."""
        return (self.table(),), (self._basis(),)

    def _means(self) -> list[tuple[str, Estimate]]:
        means = [("AUC", self.auc), ("AP", self.average_precision), ("F1", self.f1)]
        return means[: 2 if self.threshold_policy is None else 3]

    def _basis(self) -> str:
        means = self._means()
        n_labels = len(self.labels)
        counted = ", ".join(f"{name} of {mean.n} of {n_labels} labels" for name, mean in means)
        methods = dict.fromkeys(mean.method for _, mean in means if mean.value is not None)
        return (
            f"{self.n_clips} clips scored, {self.n_failed} failed and left out. Macro means: "
            f"{counted}.{''.join(f' {method[:1].upper()}{method[1:]}.' for method in methods)}"
        )


def evaluate(
    scores: FloatArray,
    targets: BoolArray,
    labels: tuple[str, ...],
    *,
    n_failed: int = 0,
    threshold: ThresholdPolicy | None = None,
    bootstrap: Bootstrap | None = None,
    groups: Sequence[Hashable] | None = None,
) -> Evaluation:
    """Compare scores with targets, label by label.

    Args:
        scores: shape (n_clips, n_labels), finite; higher means "more likely present".
        targets: shape (n_clips, n_labels), True where an annotator heard the label.
        labels: names of the columns.
        n_failed: clips without a score, for the record.
        threshold: how F1 decides; None leaves F1 out, for a cosine has no natural threshold.
        bootstrap: gives the macro means intervals; None gives none. A threshold is chosen once, and
            not anew in each resample.
        groups: of each clip (site, recorder), resampled together; None lets each be its own.

    Raises:
        InvalidInputError: if shapes differ, scores are not finite, or there are none.
    """
    if scores.shape != targets.shape or scores.shape[1:] != (len(labels),):
        raise InvalidInputError(
            f"scores and targets need shape (n_clips, {len(labels)}), got {scores.shape} and "
            f"{targets.shape}."
        )
    if not scores.size:
        raise InvalidInputError(f"No clip was scored, {n_failed} failed: nothing to evaluate.")
    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    thresholds: tuple[float | None, ...] = (None,) * len(labels)
    f1s = thresholds
    if threshold is not None:
        thresholds = threshold.thresholds(targets, scores)
        f1s = f1_per_label(targets, scores, threshold)
    counts = targets.sum(axis=0).tolist()
    entries = zip(labels, counts, aucs, precisions, f1s, thresholds, strict=True)

    resampling = bootstrap, targets, groups
    limited = [n for n, limit in enumerate(thresholds) if limit is not None]
    said = scores[:, limited] >= np.array([thresholds[n] for n in limited], dtype=np.float64)
    return Evaluation(
        tuple(LabelEvaluation(*entry) for entry in entries),
        n_clips=scores.shape[0],
        n_failed=n_failed,
        threshold_policy=threshold.name if threshold else None,
        auc=_with_interval(aucs, macro_roc_auc(targets, scores), *resampling),
        average_precision=_with_interval(
            precisions, macro_average_precision(targets, scores), *resampling
        ),
        f1=_with_interval(
            f1s, macro_f1(targets[:, limited], said) if limited else None, *resampling
        ),
    )


def _with_interval(
    values: tuple[float | None, ...],
    statistic: Statistic | None,
    bootstrap: Bootstrap | None,
    targets: BoolArray,
    groups: Sequence[Hashable] | None,
) -> Estimate:
    """The macro mean of a value per label; with an interval where there is a bootstrap."""
    point = macro(values)
    if bootstrap is None or statistic is None or point.value is None:
        return point
    unit = "clips" if groups is None else "groups"
    return bootstrap.estimate(
        statistic, len(targets), groups=groups, present=targets, point=point, unit=unit
    )


def targets_of(
    truth: Mapping[str, tuple[str, ...]], clip_ids: tuple[str, ...], labels: tuple[str, ...]
) -> BoolArray:
    """A target matrix from the labels of each clip.

    Ids and labels are compared in Unicode NFC and without spaces around them.

    Args:
        truth: labels by clip id; may hold more clips and other labels than are asked for.
        clip_ids: the rows.
        labels: the columns.

    Returns:
        Shape (n_clips, n_labels).

    Raises:
        InvalidInputError: if a clip is not in `truth`, or its labels are not texts, or are those
            that are asked for in another spelling ("Crow" and "crow").
    """
    known = {_plain(clip_id): heard for clip_id, heard in truth.items()}
    unknown = [clip_id for clip_id in clip_ids if known.get(_plain(clip_id)) is None]
    if unknown:
        raise InvalidInputError(
            f"No labels are given for {len(unknown)} of {len(clip_ids)} clips, the first is "
            f"{unknown[0]!r}. Give () to a clip in which nothing was heard."
        )
    present = [_plain_labels(clip_id, known[_plain(clip_id)]) for clip_id in clip_ids]
    columns = [_plain(label) for label in labels]
    _refuse_other_spellings({name for heard in present for name in heard}, columns)
    targets = [[label in heard for label in columns] for heard in present]
    return np.array(targets, dtype=np.bool_).reshape(len(clip_ids), len(labels))


def _plain_labels(clip_id: str, labels: object) -> set[str]:
    if not isinstance(labels, Collection) or isinstance(labels, str):
        raise InvalidInputError(
            f"Labels of {clip_id!r} must be a tuple of texts, got {labels!r:.60}."
        )
    if not all(isinstance(label, str) for label in labels):
        raise InvalidInputError(f"Labels of {clip_id!r} must be texts, got {labels!r:.60}.")
    return {_plain(label) for label in labels}


def _plain(name: str) -> str:
    return nfc(name).strip()


def refuse_unknown_labels(
    targets: BoolArray, truth: Iterable[Iterable[str]], labels: Sequence[str]
) -> None:
    """Raise `InvalidInputError` if clips have labels, and none of those that are asked for.

    Args:
        targets: shape (n_clips, n_labels).
        truth: labels of clips.
        labels: that are asked for.
    """
    names = sorted({name for own in truth for name in own})
    if targets.any() or not names or not labels:
        return
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise InvalidInputError(
        f"None of the {len(labels)} labels, such as {labels[0]!r}, is in the truth of these clips. "
        f"There is {shown}{more}.{did_you_mean(labels[0], names)} Score the labels that the truth "
        "has, or rename the truth."
    )


def _refuse_other_spellings(names: set[str], labels: Sequence[str]) -> None:
    """Of a label that the truth spells differently, positives would count as negatives."""
    spelled = {_spelling(label): label for label in labels}
    for name in sorted(names - set(labels)):
        label = spelled.get(_spelling(name))
        if label is not None:
            raise InvalidInputError(
                f"The label {label!r} is {name!r} in the truth. Did you mean {name!r}? Use one "
                "spelling: clips with the other would count as negatives."
            )


def _spelling(text: str) -> str:
    """Without case, underscores and repeated spaces."""
    return " ".join(text.casefold().replace("_", " ").split())


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
