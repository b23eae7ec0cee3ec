"""Evaluate label scores against reference labels: metrics per label, and macro means."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from audioprobe.errors import InvalidInputError
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table, with_rate
from audioprobe.metrics import ThresholdPolicy
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.grouping import named_groups, rare_label_strata
from audioprobe.plots.forest_plot import ForestPlot, ForestPlotted, ForestRow
from audioprobe.results.label_evaluation import IntervalFunction, LabelEvaluation, evaluate_labels
from audioprobe.types import BoolArray, Estimate, FloatArray


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Evaluation(TidyData, Displayed, ForestPlotted):
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
        rows = []
        for e in self.labels:
            metrics = (_short(e.auc), _short(e.average_precision), _cell(e.f1))
            rows.append((e.label, str(e.n_positive), *metrics[:n_metrics]))
        rows.append(("macro mean", "", *map(str, self._means().values())))
        if self.strict_auc is not None:
            strict = map(str, (self.strict_auc, self.strict_average_precision))
            rows.append(
                ("macro mean, failed clips as wrong", "", *strict, *["–"] * (n_metrics - 2))
            )
        names = ("AUC", "AP", f"F1, threshold {self.threshold_policy}")
        header = ("label", "positives", *names[:n_metrics])
        return Table(header, tuple(rows), numeric=tuple(range(1, len(header))))

    def forest_plot(self) -> ForestPlot:
        """Return the AUC of each label and their macro mean; the line is chance."""
        rows = [ForestRow(f"{e.label} ({e.n_positive})", e.auc) for e in self.labels]
        rows.append(ForestRow("macro mean", self.auc))
        return ForestPlot(rows, "AUC (number of positive clips in brackets)", 0.5)

    def data(self) -> DataTable:
        """Return a table with one row per label: its metrics and the ends of their intervals."""
        metrics = ("auc", "average_precision")
        ends = tuple(f"{name}{end}" for name in metrics for end in ("", "_low", "_high"))
        return DataTable.from_rows(
            ("label", "n_positive", *ends, "f1", "threshold"),
            (
                (e.label, e.n_positive, *_ends(e.auc), *_ends(e.average_precision), e.f1, limit)
                for e in self.labels
                for limit in [e.threshold]
            ),
        )

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
        groups: group of each clip (site, recorder); groups are resampled as a whole, within strata
            of rare labels (see `rare_label_strata`). None makes each clip its own group.

    Raises:
        InvalidInputError: if shapes differ, scores are not finite, or there are no scores.
    """
    _check_threshold(threshold)
    _check_scores(scores, targets, len(labels), n_failed)
    with_intervals = _interval_function(bootstrap, targets, groups)
    metrics = evaluate_labels(scores, targets, labels, threshold, with_intervals)
    return Evaluation(
        labels=metrics.labels,
        n_clips=scores.shape[0],
        n_failed=n_failed,
        threshold_policy=threshold.name if threshold else None,
        auc=metrics.auc,
        average_precision=metrics.average_precision,
        f1=metrics.f1,
    )


def _check_threshold(threshold: object) -> None:
    if threshold is not None and not hasattr(threshold, "thresholds"):
        raise InvalidInputError(
            f"Expected a threshold policy, such as FixedThreshold(0.5), got {threshold!r}."
        )


def _interval_function(
    bootstrap: Bootstrap | None, targets: BoolArray, groups: Sequence[Hashable] | None
) -> IntervalFunction:
    """Return a function that adds bootstrap intervals to estimates of these clips."""
    unit = "clips" if groups is None else "groups"
    of_clips = named_groups(groups, len(targets))
    strata = rare_label_strata(of_clips, targets)

    def with_intervals(
        statistic: Statistic, points: Sequence[Estimate], present: Sequence[BoolArray]
    ) -> Sequence[Estimate]:
        if bootstrap is None:
            return points
        estimates = bootstrap.estimates(
            statistic,
            len(targets),
            points,
            present=present,
            groups=of_clips,
            strata=strata,
            unit=unit,
        )
        return [
            point if point.value is None else estimate
            for point, estimate in zip(points, estimates, strict=True)
        ]

    return with_intervals


def _ends(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def _short(estimate: Estimate) -> str:
    """Return value and interval without the number of groups, which the macro mean states."""
    return str(replace(estimate, n_groups=None, n_undefined=0))


def _cell(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
