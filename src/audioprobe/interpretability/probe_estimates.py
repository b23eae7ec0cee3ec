"""Estimates of linear probes, with intervals over groups, and their table."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.probe_fitting import IntArray, auc_within_folds
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.types import Estimate, Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class ProbeEstimator:
    """Estimates of the measures of a probe; intervals resample the groups of the items.

    Attributes:
        bootstrap: settings of the intervals.
        groups: group of each item, shape (n_items,).
    """

    bootstrap: Bootstrap
    groups: Sequence[Hashable]

    def mean(self, values: Float64Array) -> Estimate:
        """Return the mean over items."""
        return self.bootstrap.estimate(mean(values), len(values), groups=self.groups)

    def ratio(self, numerators: Float64Array, denominators: Float64Array) -> Estimate:
        """Return the sum of numerators divided by the sum of denominators."""
        statistic = ratio(numerators, denominators)
        return self.bootstrap.estimate(statistic, len(numerators), groups=self.groups)

    def auc(
        self, targets: IntArray, probabilities: Float64Array, folds: Sequence[IntArray]
    ) -> Estimate:
        """Return the AUC of pairs of items of the same fold, see `auc_within_folds`."""
        statistic = auc_within_folds(targets, probabilities, folds)
        present = targets[:, None] == np.arange(probabilities.shape[1])
        return self.bootstrap.estimate(statistic, len(targets), groups=self.groups, present=present)


def is_correct(probabilities: Float64Array, targets: IntArray) -> Float64Array:
    """Return 1 for each item whose class has the highest probability, otherwise 0."""
    return np.asarray(probabilities.argmax(axis=1) == targets, dtype=np.float64)


def largest_share(targets: IntArray) -> float:
    """Return the share of the most frequent class."""
    return float(np.bincount(targets).max() / len(targets))


def undefined(n_items: int, reason: str) -> Estimate:
    """Return an undefined estimate of `n_items` items, with the reason."""
    return Estimate(value=None, n=0, n_undefined=n_items, method=reason)


def measures_table(rows: Sequence[tuple[str, Estimate, float | None]]) -> Table:
    """Return a table of measures, given their names, estimates and values without information."""
    cells = tuple(
        (name, str(estimate), "–" if chance is None else f"{chance:.3f}")
        for name, estimate, chance in rows
    )
    return Table(("measure", "value", "chance"), cells, (2,))


def check_positive(inverse_strength: float, **counts: int) -> None:
    """Raise unless the inverse strength is positive and finite, and the counts are at least 1."""
    if not 0 < inverse_strength < np.inf:
        raise InvalidInputError(
            f"inverse_strength must be positive and finite, got {inverse_strength}."
        )
    for name, count in counts.items():
        if count < 1:
            raise InvalidInputError(f"A probe needs {name} >= 1, got {count}.")
