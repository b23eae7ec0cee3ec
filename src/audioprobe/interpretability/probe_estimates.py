"""Settings of linear probes, and estimates with intervals over groups."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.probe_fitting import (
    LabelledStates,
    auc_within_folds,
)
from audioprobe.io.text_table import Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.vectorized_metrics import mean, ratio
from audioprobe.types import Estimate, Float64Array, IntArray

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Settings of linear probes.

    Attributes:
        n_folds: largest number of folds, at least 2; a label in fewer groups reduces it.
        inverse_strength: inverse strength of the L2 penalty |w|^2 / (2 * inverse_strength).
        seed: random seed of folds, random labels and orders.
        bootstrap: settings of the intervals.
    """

    n_folds: int = 5
    inverse_strength: float = 10.0
    seed: int = 0
    bootstrap: Bootstrap = _BOOTSTRAP

    def __post_init__(self) -> None:
        if self.n_folds < 2 or not 0 < self.inverse_strength < np.inf:
            raise InvalidInputError(
                "A probe needs n_folds >= 2 and a positive, finite inverse_strength, got "
                f"{self.n_folds} and {self.inverse_strength}."
            )


DEFAULT_SETTINGS = ProbeSettings()
"""Settings of probes if none are passed."""


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


def check_testable(data: LabelledStates, where: str) -> None:
    """Raise `InvalidInputError` if no probe of these items can be tested on other groups.

    Args:
        data: the items.
        where: name of the place of the states, for the message.
    """
    if reason := data.why_undefined():
        raise InvalidInputError(
            f"Expected at least two labels, each in at least two groups, for a probe at {where}, "
            f"got {len(data.targets)} items: {reason}. Add prompts of other groups."
        )


def check_counts(**counts: int) -> None:
    """Raise unless all counts are at least 1."""
    for name, count in counts.items():
        if count < 1:
            raise InvalidInputError(f"A probe needs {name} >= 1, got {count}.")
