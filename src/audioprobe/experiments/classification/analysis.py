"""Metrics of a classification run, and comparisons of each prompt level with the first one.

A "cell" is the result of one prompt level on one evaluation set. Clips without reference labels are
counted, and excluded from all metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioprobe.experiments.classification.config import ClassificationConfig
from audioprobe.experiments.classification.labelled_scores import (
    LabelledScores,
    hierarchical_f1,
    hierarchy_distance,
    with_tuning_sets,
)
from audioprobe.experiments.classification.run import ClassificationCell
from audioprobe.metrics import OracleThreshold, ThresholdPolicy, TunedThreshold
from audioprobe.metrics.bootstrap import Bootstrap, Statistic
from audioprobe.metrics.paired import permutation
from audioprobe.metrics.significance import PairedTest, holm
from audioprobe.results.label_evaluation import LabelEvaluation, LabelMetrics, evaluate_labels
from audioprobe.types import BoolArray, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Difference in macro AUC between a prompt level and the first prompt level.

    Only clips that have scores at each of the two prompt levels are used.

    Attributes:
        difference: macro AUC of the level minus that of the first level, with the interval of a
            paired bootstrap.
        p_value: p-value of a permutation test; None if the difference is undefined.
        adjusted: p-value after Holm's correction for all prompt levels of the evaluation set.
        detectable: smallest true difference that this test detects with 80 % power after the
            correction; None if there is no interval, or too few groups for significance.
        smallest_p_value: smallest p-value that a test with this number of groups can give.
        smallest_adjusted: smallest p-value that is possible after Holm's correction.
        n_groups: number of groups of clips (such as recording sites) that the test permutes.
        unit: unit that the test permutes: "groups", or "clips" if no clip has a group.
    """

    difference: Estimate
    p_value: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    smallest_p_value: float | None = None
    smallest_adjusted: float | None = None
    n_groups: int = 0
    unit: str = "groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellScore:
    """Metrics of one cell: one prompt level on one evaluation set.

    Attributes:
        evaluation_set: name of the evaluation set.
        prompt_level: name of the prompt level.
        familiar: whether the model was trained on such audio; None if unknown.
        auc: mean AUC over the labels whose AUC is defined (macro).
        strict_auc: `auc` if failed clips count as wrong; None if no clip failed.
        aucs_of_repeats: macro AUC with each seed of the run; () if there is only one.
        average_precision: mean average precision over the labels for which it is defined (macro).
        f1: mean F1 over the labels that have a threshold (macro).
        threshold_policy: how the thresholds were chosen.
        gain: difference from the first prompt level; None for the first prompt level itself.
        labels: one entry per label.
        hierarchy_distance: mean number of steps in the label hierarchy from the label with the
            highest score to the nearest correct label; None if the data set has no hierarchy.
        hierarchical_f1: F1 over all pairs of clip and label at the thresholds of `f1`, where labels
            include their ancestors; None if the data set has no hierarchy.
        n_clips: number of clips that the metrics are computed from.
        n_failed: number of clips without scores.
        n_unannotated: number of clips that have scores but no reference labels.
        n_abstained: number of clips among `n_clips` in which the model recognised nothing.
    """

    evaluation_set: str
    prompt_level: str
    familiar: bool | None
    auc: Estimate
    strict_auc: Estimate | None
    aucs_of_repeats: tuple[float | None, ...]
    average_precision: Estimate
    f1: Estimate
    threshold_policy: str
    gain: Gain | None
    labels: tuple[LabelEvaluation, ...]
    hierarchy_distance: Estimate | None
    hierarchical_f1: Estimate | None
    n_clips: int
    n_failed: int
    n_unannotated: int
    n_abstained: int

    @property
    def name(self) -> str:
        """Name of the evaluation set and of the prompt level."""
        return f"{self.evaluation_set}: {self.prompt_level}"


def score_cells(
    cells: Sequence[ClassificationCell], config: ClassificationConfig
) -> tuple[CellScore, ...]:
    """Compute the metrics of each cell, and its difference from the first prompt level.

    Args:
        cells: all cells of a run, in order; a "cell" is the result of one prompt level on one
            evaluation set.
        config: configuration of the run.
    """
    pairs = with_tuning_sets(cells, config)
    baselines: dict[str, LabelledScores] = {}
    tests: dict[tuple[str, str], PairedTest | None] = {}
    for key, (data, _) in pairs.items():
        baseline = baselines.setdefault(key[0], data)
        tests[key] = None if baseline is data else _compare(baseline, data, config.bootstrap)
    gains = _gains(tests, config.bootstrap.level)
    return tuple(
        _score(data, source, gains[key], config.bootstrap) for key, (data, source) in pairs.items()
    )


def _score(
    data: LabelledScores, source: LabelledScores | None, gain: Gain | None, bootstrap: Bootstrap
) -> CellScore:
    """Return the metrics of a cell.

    The F1 thresholds are tuned on `source`; if it is None, on the evaluated clips themselves.
    """
    cell, n_clips = data.cell, len(data.ids)
    policy: ThresholdPolicy = OracleThreshold()
    if source is not None:
        name = source.cell.evaluation_set
        policy = TunedThreshold.fit(source.targets, source.scores, on=name)
    distance = tree_f1 = None
    if n_clips:
        metrics = _metrics(data, policy, bootstrap)
        distance = hierarchy_distance(data, bootstrap)
        tree_f1 = hierarchical_f1(data, [label.threshold for label in metrics.labels], bootstrap)
    else:
        none = Estimate(value=None, n=0, method="no scored clip has reference labels")
        metrics = LabelMetrics(labels=(), auc=none, average_precision=none, f1=none)
    return CellScore(
        evaluation_set=cell.evaluation_set,
        prompt_level=cell.prompt_level,
        familiar=cell.familiar,
        auc=metrics.auc,
        strict_auc=data.strict_auc(bootstrap),
        aucs_of_repeats=data.aucs_of_repeats(),
        average_precision=metrics.average_precision,
        f1=metrics.f1,
        threshold_policy=policy.name,
        gain=gain,
        labels=metrics.labels,
        hierarchy_distance=distance,
        hierarchical_f1=tree_f1,
        n_clips=n_clips,
        n_failed=len(cell.result.failures),
        n_unannotated=len(cell.result.clip_ids) - n_clips,
        n_abstained=len(set(data.ids) - cell.result.recognised),
    )


def _metrics(data: LabelledScores, policy: ThresholdPolicy, bootstrap: Bootstrap) -> LabelMetrics:
    def with_intervals(
        statistic: Statistic, points: Sequence[Estimate], present: Sequence[BoolArray]
    ) -> Sequence[Estimate]:
        return bootstrap.estimates(
            statistic,
            len(data.ids),
            points,
            present=present,
            groups=data.groups,
            strata=data.strata,
            unit=data.unit,
        )

    labels = data.cell.result.labels
    return evaluate_labels(data.scores, data.targets, labels, policy, with_intervals)


def _compare(baseline: LabelledScores, data: LabelledScores, bootstrap: Bootstrap) -> PairedTest:
    """Test whether the macro AUC of `data` and `baseline` differ, on the clips in both.

    The permutation test exchanges the scores of whole groups, such as recording sites.
    """
    in_baseline = set(baseline.ids)
    shared = [n for n, name in enumerate(data.ids) if name in in_baseline]
    common = [data.ids[n] for n in shared]
    if not common:
        why = "no clip with reference labels was scored in both"
        return PairedTest(
            difference=Estimate(value=None, n=0, method=why),
            p_value=None,
            standard_error=None,
            name=why,
        )
    return permutation(
        data.targets[shared],
        data.cell.result.scores[data.rows(common)],
        baseline.cell.result.scores[baseline.rows(common)],
        groups=[data.groups[n] for n in shared],
        strata=[data.strata[n] for n in shared],
        seed=bootstrap.seed,
        bootstrap=bootstrap,
        unit=data.unit,
    )


def _gains(
    tests: Mapping[tuple[str, str], PairedTest | None], level: float
) -> dict[tuple[str, str], Gain | None]:
    """Correct the p-values of the tests within each evaluation set, and return the gains.

    Args:
        tests: test against the first prompt level, keyed by (evaluation set, prompt level); None
            for the first prompt level itself, which also has no gain in the result.
        level: confidence level.
    """
    gains: dict[tuple[str, str], Gain | None] = dict.fromkeys(tests)
    for name in dict.fromkeys(name for name, _ in tests):
        of_set = {key: test for key, test in tests.items() if key[0] == name and test is not None}
        p_values = [test.p_value for test in of_set.values()]
        n_tests = sum(p_value is not None for p_value in p_values)
        reachable = [p for test in of_set.values() if (p := test.smallest_p_value) is not None]
        smallest = min(1.0, max(1, n_tests) * min(reachable)) if reachable else None
        for (key, test), adjusted in zip(of_set.items(), holm(p_values), strict=True):
            gains[key] = Gain(
                difference=test.difference,
                p_value=test.p_value,
                adjusted=adjusted,
                detectable=test.detectable(level=level, n_tests=n_tests),
                smallest_p_value=test.smallest_p_value,
                smallest_adjusted=smallest,
                n_groups=test.n_units or 0,
                unit=test.unit,
            )
    return gains
