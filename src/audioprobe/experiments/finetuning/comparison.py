"""Compare groups of training runs, using the tidy table of a study (one row per measurement).

A group of runs is compared with its baseline: runs are paired by seed, and their measurements by
item (clip, passage or question). Differences are averaged over seeds. Intervals resample clusters
of items (a clip, a passage, or all questions about a concept). They therefore describe the
variation between items, not between models; the value of each seed is reported separately.
Further functions average measures over seeds and correlate changes over runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from audioprobe.experiments.finetuning.storage import MeasurementRow, StudyTable, group
from audioprobe.metrics.bootstrap import DECIMALS, Bootstrap, Statistic
from audioprobe.metrics.paired import exchange_p_value, sign_flips
from audioprobe.metrics.vectorized_metrics import macro_roc_auc, rank_correlation, ratio
from audioprobe.types import Estimate, Float64Array

MEASURES: Mapping[str, str] = {
    "in-domain AUC": "macro AUC of captions of other clips of the training domain",
    "out-of-domain AUC": "macro AUC of captions of clips of another domain",
    "pretraining-domain AUC": "macro AUC of captions of clips like those of the pretraining",
    "text loss": "nats per token of evaluation passages; an increase means forgetting",
    "text accuracy": "share of correct answers about classes of concepts, asked in text",
    "audio accuracy": "share of correct answers about classes of concepts, asked with a clip",
    "modality gap": "text accuracy minus audio accuracy on the same questions",
}
"""Names of the measures, with their descriptions."""

TEXT_MEASURES = ("text loss", "text accuracy")
"""Measures without audio; they cannot change if the language model is not trained."""

FACTORS = ("trainable", "regularization", "alignment")
BEFORE_TRAINING: Mapping[str, str] = {**dict.fromkeys((*FACTORS, "arm"), ""), "phase": "before"}
"""Column values that select the model before fine-tuning as the baseline of a comparison."""

ALPHA = 0.05
"""Threshold of significance for the corrected p-value."""

CORRELATED = ("text loss", "in-domain AUC", "audio accuracy")
_MIN_STRATEGIES = 4  # required for a rank correlation
_N_EXCHANGES = 1000

Items: TypeAlias = Mapping[str, MeasurementRow]
"""Measurements of one run, by item."""


class Correlation(NamedTuple):
    """Spearman's rank correlation, over training runs, of two changes.

    The bootstrap of its interval resamples strategies, each together with the runs of all seeds.

    Attributes:
        changed: first change: of weights or hidden states, such as "weight change: llm".
        measure: second change: measure whose difference from the model before fine-tuning is used.
        rho: rank correlation.
        n_runs: number of runs that have both values.
    """

    changed: str
    measure: str
    rho: Estimate
    n_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Difference between a group of runs and its baseline.

    Attributes:
        columns: table columns that identify the group, with their values; includes "measure".
        baseline: columns in which the baseline differs, with their values for the baseline.
        estimate: mean difference over seeds, with an interval over clusters of items.
        p_value: two-sided p-value; None if it cannot be computed.
        n_runs: number of runs of the group.
        by_seed: difference for each seed; None if it cannot be computed. The mapping is empty for
            effects that are estimated from all runs together.
        corrected: p-value after Holm's correction; None if it was not corrected.
    """

    columns: Mapping[str, str]
    baseline: Mapping[str, str]
    estimate: Estimate
    p_value: float | None
    n_runs: int
    by_seed: Mapping[int, float | None]
    corrected: float | None = None

    def __getitem__(self, column: str) -> str:
        """Return the value of the group in a column of the table, such as "measure"."""
        return self.columns[column]

    @property
    def strategy(self) -> tuple[str, ...]:
        """Levels of the three factors: trainable modules, regularization and alignment."""
        return tuple(self.columns[factor] for factor in FACTORS)

    @property
    def direction(self) -> int:
        """1 if the interval and all seeds are above 0, -1 if all are below 0, else 0."""
        low, high = self.estimate.low, self.estimate.high
        values = [value for value in self.by_seed.values() if value is not None]
        if low is None or high is None:
            return 0
        if low > 0 and all(value > 0 for value in values):
            return 1
        return -1 if high < 0 and all(value < 0 for value in values) else 0

    @property
    def significant(self) -> int:
        """`direction` (1, -1 or 0) if the corrected p-value is below `ALPHA`, else 0."""
        return self.direction if self.corrected is not None and self.corrected < ALPHA else 0


def paired_difference(
    table: StudyTable, by: Sequence[str], baseline: Mapping[str, str], bootstrap: Bootstrap
) -> tuple[PairedDifference, ...]:
    """Compare every group of runs with its baseline, measure by measure.

    p-values are from permutation tests, which exchange the results of group and baseline for
    random clusters of items.

    Args:
        table: rows of the tidy table to compare.
        by: columns that identify a group.
        baseline: column values that select the baseline of every group. In all other columns of
            `by`, a group and its baseline have the same value.
        bootstrap: options of the intervals; its seed is also the seed of the tests.

    Returns:
        One difference per group and measure, in the order of the table. Runs are paired by seed; a
        group that shares no seed with its baseline is omitted. The model before fine-tuning has no
        seed: as a baseline, it is paired with every run. Baselines themselves are not compared.
    """
    names = tuple(dict.fromkeys((*by, *baseline, "measure")))
    groups = group(table, names)
    differences = []
    for key, rows in groups.items():
        columns = dict(zip(names, map(str, key), strict=True))
        reference = groups.get(tuple({**columns, **baseline}.values()))
        if reference is None or reference is rows:
            continue
        first = _by_seed(reference)
        pairs = {
            seed: (first[seed if seed in first else None], run)
            for seed, run in _by_seed(rows).items()
            if seed is not None and (seed in first or None in first)
        }
        if not pairs:
            continue
        estimate, p_value = _compare(list(pairs.values()), bootstrap)
        differences.append(
            PairedDifference(
                columns=columns,
                baseline=baseline,
                estimate=estimate,
                p_value=p_value,
                n_runs=len(pairs),
                by_seed={s: _compare([pair], None)[0].value for s, pair in pairs.items()},
            )
        )
    return tuple(differences)


def mean_values(
    table: StudyTable, by: Sequence[str], bootstrap: Bootstrap
) -> dict[tuple[str | int | None, ...], Estimate]:
    """Return the mean over seeds of each measure, for each group of rows, as a dict.

    A group of rows has the same values in the columns `by`. A key of the dict is a tuple: these
    values, then the measure. A value is the mean with a confidence interval, for which whole
    clusters of items (such as the clips of a recording) are resampled.
    """
    estimates = {}
    for key, rows in group(table, (*by, "measure")).items():
        runs = list(_by_seed(rows).values())
        items = _shared_items(runs)

        def mean(
            counts: Float64Array, runs: list[Items] = runs, items: list[str] = items
        ) -> Float64Array:
            return np.asarray(np.mean([_statistic(run, items)(counts) for run in runs], axis=0))

        estimates[key] = _estimate(mean, runs[0], items, bootstrap)
    return estimates


def rank_correlations(
    table: StudyTable, differences: Sequence[PairedDifference], bootstrap: Bootstrap
) -> tuple[Correlation, ...]:
    """Correlate changes of weights and of hidden states with changes of measures, over runs.

    Changes of measures are in `differences`: each strategy compared with the model before
    fine-tuning. All other changes are in `table`.
    """
    changed: dict[str, dict[tuple[object, ...], float]] = {}
    for (measure, *run), rows in group(table, ("measure", *FACTORS, "seed")).items():
        kind, _, name = str(measure).partition(": ")
        mean = float(np.mean([row.value for row in rows])) if name else 0.0
        if kind == "weight change":
            changed.setdefault(str(measure), {})[tuple(run)] = mean
        elif kind == "similarity":
            changed.setdefault(f"representation change: {name}", {})[tuple(run)] = 1 - mean
    correlations = []
    for name in sorted(changed):
        for measure in CORRELATED:
            both = [
                (difference.strategy, changed[name][key], value)
                for difference in differences
                if difference["measure"] == measure
                for seed, value in difference.by_seed.items()
                if value is not None and (key := (*difference.strategy, seed)) in changed[name]
            ]
            if len({strategy for strategy, _, _ in both}) < _MIN_STRATEGIES:
                continue
            strategies, first, second = zip(*both, strict=True)
            rho = bootstrap.estimate(
                rank_correlation(first, second), len(both), groups=strategies, unit="strategies"
            )
            correlations.append(Correlation(name, measure, rho, len(both)))
    return tuple(correlations)


def _by_seed(rows: StudyTable) -> dict[int | None, Items]:
    """Return the rows of each run of a group, keyed by seed, then by item."""
    runs: dict[int | None, dict[str, MeasurementRow]] = {}
    for row in rows:
        runs.setdefault(row.seed, {})[row.item] = row
    return dict(runs)


def _shared_items(runs: Sequence[Items]) -> list[str]:
    """Return the names of the items that were measured in every run."""
    return [item for item in runs[0] if all(item in run for run in runs[1:])]


def _compare(
    pairs: Sequence[tuple[Items, Items]], bootstrap: Bootstrap | None
) -> tuple[Estimate, float | None]:
    """Return the mean difference, second minus first run of each pair, and its p-value or None.

    Only items that were measured in all runs are used. Without a bootstrap, the p-value is None.
    """
    runs = {id(run): run for pair in pairs for run in pair}  # a baseline may be in every pair
    items = _shared_items(list(runs.values()))
    statistics = {key: _statistic(run, items) for key, run in runs.items()} if items else {}

    def difference(counts: Float64Array) -> Float64Array:
        values = {key: statistic(counts) for key, statistic in statistics.items()}
        each = [values[id(second)] - values[id(first)] for first, second in pairs]
        return np.asarray(np.mean(each, axis=0), dtype=np.float64)

    estimate = _estimate(difference, pairs[0][0], items, bootstrap)
    if bootstrap is None or not items:
        return estimate, None
    values = [(_column(a, items, "value"), _column(b, items, "value")) for a, b in pairs]
    if values[0][0].ndim > 1:
        targets = _column(pairs[0][0], items, "reference").astype(np.bool_)
        p_value = exchange_p_value(targets, values, n_exchanges=_N_EXCHANGES, seed=bootstrap.seed)
        return estimate, p_value
    first, second = np.mean(values, axis=0)
    clusters = [pairs[0][0][item].cluster for item in items]
    return estimate, sign_flips(second - first, groups=clusters, seed=bootstrap.seed).p_value


def _statistic(run: Items, items: Sequence[str]) -> Statistic:
    """Return a function that computes the measure of a run: a macro AUC or a weighted mean."""
    values, references = _column(run, items, "value"), _column(run, items, "reference")
    return macro_roc_auc(references, values) if values.ndim > 1 else ratio(values, references)


def _estimate(
    statistic: Statistic, run: Items, items: Sequence[str], bootstrap: Bootstrap | None
) -> Estimate:
    """Return a statistic over all items; it has an interval unless `bootstrap` is None."""
    if not items:
        return Estimate(value=None, n=0, method="no item was measured in all runs")
    if bootstrap is None:
        value = round(float(statistic(np.ones((1, len(items))))[0]), DECIMALS)
        return Estimate(value=None if np.isnan(value) else value, n=len(items))
    measure = run[items[0]].measure
    unit = "clips" if measure.endswith("AUC") else "concepts"
    unit = "passages" if measure == "text loss" else unit
    clusters = [run[item].cluster for item in items]
    return bootstrap.estimate(statistic, len(items), groups=clusters, unit=unit)


def _column(run: Items, items: Sequence[str], name: str) -> Float64Array:
    """Return the column `name` for these items, shape (n_items,) or (n_items, n_labels)."""
    return np.array([getattr(run[item], name) for item in items], dtype=np.float64)
