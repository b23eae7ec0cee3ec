"""Evaluate label scores against reference labels: metrics per label, and macro means."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table, with_rate
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
from audioprobe.texts import nfc
from audioprobe.types import BoolArray, Estimate, FloatArray

_SHOWN = 5  # maximum number of label names in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvaluation:
    """Metrics of one label; None if undefined, for example because no clip has the label.

    Attributes:
        label: name of the label.
        n_positive: number of clips that have the label.
        auc: area under the ROC curve, in [0, 1].
        average_precision: area under the step-wise precision-recall curve, in [0, 1].
        f1: F1 at `threshold`, in [0, 1]; None also if there is no threshold policy.
        threshold: lowest score at which the label counts as predicted.
    """

    label: str
    n_positive: int
    auc: float | None
    average_precision: float | None
    f1: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Evaluation(TidyData, Displayed):
    """Metrics of label scores, for each label and as macro means (means over labels).

    Attributes:
        labels: metrics of each label, in the order of the scores.
        n_clips: number of evaluated clips, which are all clips with scores.
        n_failed: number of clips without scores; they are not in any metric.
        threshold_policy: name of the rule that chooses thresholds; None if F1 is not computed.
        auc: macro mean over the labels whose AUC is defined.
        average_precision: macro mean over the labels whose average precision is defined (mAP).
        f1: macro mean over the labels whose F1 is defined.
        strict_auc: macro mean if failed clips count as wrong (see `metrics.with_failures`); None if
            no clip failed, or the labels of a failed clip are unknown.
        strict_average_precision: the same for the average precision.
    """

    labels: tuple[LabelEvaluation, ...]
    n_clips: int
    n_failed: int
    threshold_policy: str | None
    auc: Estimate
    average_precision: Estimate
    f1: Estimate
    strict_auc: Estimate | None = None
    strict_average_precision: Estimate | None = None

    @property
    def failure_rate(self) -> float:
        """Share of the clips without scores, in [0, 1]."""
        return self.n_failed / (self.n_clips + self.n_failed)

    def table(self) -> Table:
        """Return a table with one row per label and one row for the macro means."""
        n_metrics = len(self._means())
        rows = [
            (
                e.label,
                str(e.n_positive),
                *map(_cell, (e.auc, e.average_precision, e.f1)[:n_metrics]),
            )
            for e in self.labels
        ]
        rows.append(("macro mean", "", *map(str, self._means().values())))
        if self.strict_auc is not None:
            strict = map(str, (self.strict_auc, self.strict_average_precision))
            rows.append(
                ("macro mean, failed clips as wrong", "", *strict, *["–"] * (n_metrics - 2))
            )
        metrics = ("AUC", "AP", f"F1, threshold {self.threshold_policy}")[:n_metrics]
        header = ("label", "positives", *metrics)
        return Table(header, tuple(rows), numeric=tuple(range(1, len(header))))

    def data(self) -> DataTable:
        """Return the metrics of each label as a table; the columns are those of the labels."""
        names = [f.name for f in fields(LabelEvaluation)]
        return DataTable.from_rows(names, (astuple(label) for label in self.labels))

    def to_markdown(self) -> str:
        """Return the table, and a line with the number of clips and labels."""
        return f"{self.table().to_markdown()}\n{self._basis()}\n"

    def __str__(self) -> str:
        return f"{self.table().to_text()}\n{self._basis()}"

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table, and a line with the number of clips and labels."""
        return (self.table(),), (self._basis(),)

    def _means(self) -> dict[str, Estimate]:
        means = {"AUC": self.auc, "AP": self.average_precision}
        return means if self.threshold_policy is None else {**means, "F1": self.f1}

    def _basis(self) -> str:
        means = self._means()
        n_labels = len(self.labels)
        counts = ", ".join(
            f"{name} of {mean.n} of {n_labels} labels" for name, mean in means.items()
        )
        methods = dict.fromkeys(mean.method for mean in means.values() if mean.value is not None)
        failed = with_rate(self.n_failed, self.n_clips + self.n_failed)
        return (
            f"{self.n_clips} clips scored, {failed} failed and left out. Macro means: "
            f"{counts}.{''.join(f' {method[:1].upper()}{method[1:]}.' for method in methods)}"
        )


def _check_scores(scores: FloatArray, targets: BoolArray, n_labels: int, n_failed: int) -> None:
    if scores.shape != targets.shape or scores.shape[1:] != (n_labels,):
        raise InvalidInputError(
            f"scores and targets need shape (n_clips, {n_labels}), got {scores.shape} and "
            f"{targets.shape}."
        )
    if not scores.size:
        raise InvalidInputError(
            f"No clip has scores ({n_failed} failed), so no metric is defined. Evaluate a result "
            "with at least one scored clip and one label."
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
    """Compute the metrics of label scores.

    Args:
        scores: finite scores, shape (n_clips, n_labels); higher means "more likely present".
        targets: boolean matrix, shape (n_clips, n_labels): True if the label is present.
        labels: labels of the columns.
        n_failed: number of clips without scores; it is only reported.
        threshold: how thresholds for F1 are chosen; None omits F1, because scores such as cosines
            have no natural threshold.
        bootstrap: settings of the confidence intervals of the macro means; None omits them. All
            resamples use the thresholds of the full set of clips.
        groups: group of each clip (site, recorder); groups are resampled as a whole. None makes
            each clip its own group.

    Raises:
        InvalidInputError: if shapes differ, scores are not finite, or there are no scores.
    """
    _check_scores(scores, targets, len(labels), n_failed)
    aucs = per_label(roc_auc, targets, scores)
    precisions = per_label(average_precision, targets, scores)
    undefined = (None,) * len(labels)
    thresholds = threshold.thresholds(targets, scores) if threshold else undefined
    f1s = f1_per_label(targets, scores, threshold) if threshold else undefined
    with_threshold = [n for n, limit in enumerate(thresholds) if limit is not None]
    predictions = scores[:, with_threshold] >= np.array([thresholds[n] for n in with_threshold])

    def mean(values: tuple[float | None, ...], statistic: Statistic | None) -> Estimate:
        point = macro(values)
        if bootstrap is None or statistic is None or point.value is None:
            return point
        unit = "clips" if groups is None else "groups"
        return bootstrap.estimate(
            statistic, len(targets), groups=groups, present=targets, point=point, unit=unit
        )

    counts = targets.sum(axis=0).tolist()
    columns = zip(labels, counts, aucs, precisions, f1s, thresholds, strict=True)
    return Evaluation(
        labels=tuple(
            LabelEvaluation(
                label=label, n_positive=n, auc=auc, average_precision=ap, f1=f1, threshold=limit
            )
            for label, n, auc, ap, f1, limit in columns
        ),
        n_clips=scores.shape[0],
        n_failed=n_failed,
        threshold_policy=threshold.name if threshold else None,
        auc=mean(aucs, macro_roc_auc(targets, scores)),
        average_precision=mean(precisions, macro_average_precision(targets, scores)),
        f1=mean(f1s, macro_f1(targets[:, with_threshold], predictions) if with_threshold else None),
    )


def targets_of(
    truth: Mapping[str, tuple[str, ...]], clip_ids: tuple[str, ...], labels: tuple[str, ...]
) -> BoolArray:
    """Return a boolean matrix, shape (n_clips, n_labels): True where a clip has a label.

    Ids and labels are compared in Unicode NFC and without surrounding spaces.

    Args:
        truth: reference labels by clip id; it may contain additional clips and labels.
        clip_ids: clip ids of the rows.
        labels: labels of the columns.

    Raises:
        InvalidInputError: if a clip is not in `truth`, if its labels are not texts, or if a label
            differs from a column only in spelling ("Crow" and "crow").
    """
    by_id = {_normalized(clip_id): names for clip_id, names in truth.items()}
    unknown = [clip_id for clip_id in clip_ids if by_id.get(_normalized(clip_id)) is None]
    if unknown:
        raise InvalidInputError(
            f"Expected reference labels for each of {len(clip_ids)} clips, but {len(unknown)} have "
            f"none; the first is {unknown[0]!r}. Pass () for a clip in which no label is present."
        )
    present = [_label_set(clip_id, by_id[_normalized(clip_id)]) for clip_id in clip_ids]
    columns = [_normalized(label) for label in labels]
    by_spelling = {_spelling(label): label for label in columns}
    for name in sorted(set().union(*present) - set(columns)):
        label = by_spelling.get(_spelling(name))
        if label is not None:
            raise InvalidInputError(
                f"The label {label!r} is spelled {name!r} in the reference labels. Did you mean "
                f"{name!r}? Use one spelling, otherwise these clips would count as negatives."
            )
    targets = [[label in names for label in columns] for names in present]
    return np.array(targets, dtype=np.bool_).reshape(len(clip_ids), len(labels))


def check_labels_occur(
    targets: BoolArray, truth: Iterable[Iterable[str]], labels: Sequence[str]
) -> None:
    """Raise `InvalidInputError` if none of `labels` is a reference label of any clip.

    It is not an error if no clip has reference labels.

    Args:
        targets: boolean matrix, shape (n_clips, n_labels).
        truth: reference labels of each clip.
        labels: labels of the columns.
    """
    names = sorted({name for of_clip in truth for name in of_clip})
    if targets.any() or not names or not labels:
        return
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise InvalidInputError(
        f"None of the {len(labels)} labels, such as {labels[0]!r}, is a reference label of these "
        f"clips, which are {shown}{more}.{did_you_mean(labels[0], names)} Score the reference "
        "labels, or rename them."
    )


def _label_set(clip_id: str, labels: object) -> set[str]:
    if (
        not isinstance(labels, Collection)
        or isinstance(labels, str)
        or not all(isinstance(label, str) for label in labels)
    ):
        raise InvalidInputError(
            f"Labels of {clip_id!r} must be a tuple of texts, got {labels!r:.60}."
        )
    return {_normalized(label) for label in labels}


def _normalized(name: str) -> str:
    return nfc(name).strip()


def _spelling(text: str) -> str:
    """Return a label in lower case with single spaces instead of "_", to compare spellings."""
    return " ".join(text.casefold().replace("_", " ").split())


def _cell(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
