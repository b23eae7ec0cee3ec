"""Linear probes: whether a linear classifier can read a label from activations.

Conventions:
    States are finite numbers of shape (n_items, width), such as activations at one site, averaged
    over a span. A group (a recording, a source, a concept) is never in both training and test set,
    and intervals resample groups; they do not refit the classifiers. The classifier is an
    L2-regularized logistic regression on standardized states, see `probe_fitting.Split`.

    A probe that cannot be tested (one class, or a class in a single group) has undefined estimates,
    whose `method` states the reason.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.probe_estimates import (
    DEFAULT_SETTINGS,
    ProbeEstimator,
    ProbeSettings,
    check_counts,
    is_correct,
    largest_share,
    measures_table,
    undefined,
)
from audioprobe.interpretability.probe_fitting import (
    LabelledStates,
    Split,
    control_targets,
    cross_validated,
    is_constant_within,
    online_code,
)
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.grouping import grouped
from audioprobe.types import Estimate, Float64Array, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LinearProbe(Displayed):
    """How well a linear classifier reads a label from the states of other groups.

    Attributes:
        accuracy: share of items whose label has the highest probability.
        auc: area under the ROC curve, from pairs of items of the same test fold; the mean over
            labels if there are more than two.
        control_accuracy: mean accuracy for random labels (control tasks).
        selectivity: accuracy minus control accuracy.
        bits: minimum description length of a label given its state, in bits per item; the uniform
            code has log2(n_labels).
        compression: bits of the uniform code divided by `bits`; 1 or less means that the states do
            not help.
        chance: share of the most frequent label; None if the probe is undefined.
        p_value: share of control tasks whose accuracy is at least that of the label, which itself
            counts as one of them; None if the probe is undefined.
        labels: labels of the items.
        n_controls: number of control tasks.
    """

    accuracy: Estimate
    auc: Estimate
    control_accuracy: Estimate
    selectivity: Estimate
    bits: Estimate
    compression: Estimate
    chance: float | None
    p_value: float | None
    labels: tuple[Hashable, ...]
    n_controls: int

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per measure, and a sentence with the control tasks."""
        uniform = float(np.log2(len(self.labels)))
        rows = (
            ("accuracy", self.accuracy, self.chance),
            ("AUC", self.auc, 0.5),
            ("accuracy in control tasks", self.control_accuracy, self.chance),
            ("selectivity", self.selectivity, 0.0),
            ("description length (bits per item)", self.bits, uniform),
            ("compression", self.compression, 1.0),
        )
        if self.p_value is None:
            return (measures_table(rows),), (f"Undefined: {self.accuracy.method}.",)
        sentence = f"p = {self.p_value:.3g} from {self.n_controls} control tasks."
        return (measures_table(rows),), (sentence,)


def linear_probe(
    states: npt.ArrayLike,
    labels: Sequence[Hashable],
    *,
    groups: Sequence[Hashable],
    types: Sequence[Hashable] | None = None,
    n_controls: int = 20,
    n_orders: int = 4,
    settings: ProbeSettings = DEFAULT_SETTINGS,
) -> LinearProbe:
    """Train linear classifiers on states, and test them on states of other groups.

    A control task has random labels: the labels are permuted over the types, such as the concepts
    of the items, so that a probe can only learn which type has which label (Hewitt and Liang,
    "Designing and interpreting probes with control tasks", EMNLP 2019). If each type is in a single
    group, as with the default, no control label can be learned from other groups, and selectivity
    is the accuracy above chance.

    Args:
        states: shape (n_items, width).
        labels: label of each item; missing labels are not allowed.
        groups: group of each item, which is held out as a whole, such as its recording.
        types: type of each item; None means its group. Without `types`, if the items of a group
            have several labels, the labels are permuted within groups.
        n_controls: number of control tasks, at least 1.
        n_orders: number of random orders of the groups for the description length, at least 1.
        settings: folds, L2 penalty, seed and intervals.

    Raises:
        InvalidInputError: if an argument is out of range, the lengths differ, a state is not finite
            or a label is missing, or the items of one of `types` have several labels.
    """
    check_counts(n_controls=n_controls, n_orders=n_orders)
    data = LabelledStates.of(states, labels, groups)
    kinds = _types(data, types)
    if reason := data.why_undefined():
        nothing = undefined(len(data.targets), reason)
        return LinearProbe(
            accuracy=nothing, auc=nothing, control_accuracy=nothing, selectivity=nothing,
            bits=nothing, compression=nothing, chance=None, p_value=None, labels=data.classes,
            n_controls=n_controls,
        )  # fmt: skip
    tasks = control_tasks(data, kinds, n_controls, settings)
    controls = np.array([correct for _, correct in tasks])
    strength, seed = settings.inverse_strength, settings.seed
    bits = online_code(data, inverse_strength=strength, n_orders=n_orders, seed=seed)
    return _measured(data, controls, bits, settings)


def control_tasks(
    data: LabelledStates, types: IntArray, n_controls: int, settings: ProbeSettings
) -> Iterator[tuple[IntArray, Float64Array]]:
    """Yield the random classes of each control task, and whether each item is correct in it.

    Args:
        data: states, sorted.
        types: index of the type of each sorted item, see `probe_fitting.control_targets`.
        n_controls: number of control tasks.
        settings: folds, L2 penalty and seed.
    """
    for number in range(n_controls):
        rng = np.random.default_rng([settings.seed, number])
        targets = control_targets(data.targets, types, data.groups, rng)
        # The folds are stratified by the control labels: otherwise accuracy would be below chance.
        probabilities, _ = held_out(replace(data, targets=targets), settings)
        yield targets, is_correct(probabilities, targets)


def held_out(data: LabelledStates, settings: ProbeSettings) -> tuple[Float64Array, list[IntArray]]:
    """Return held-out probabilities, shape (n_items, n_classes), and the items of each fold."""
    folds = data.folds(settings.n_folds, settings.seed)
    splits = (Split.of(data.states, *fold) for fold in folds)
    n_classes = len(data.classes)
    probabilities = cross_validated(splits, data.targets, n_classes, settings.inverse_strength)
    return probabilities, [test for _, test in folds]


def _measured(
    data: LabelledStates, controls: Float64Array, bits: Float64Array, settings: ProbeSettings
) -> LinearProbe:
    """Return the probe of the labels, given the control tasks and the bits per item."""
    probabilities, tested = held_out(data, settings)
    correct, control = is_correct(probabilities, data.targets), controls.mean(axis=0)
    n_controls, n_as_high = len(controls), int((controls.sum(axis=1) >= correct.sum()).sum())
    estimator = ProbeEstimator(settings.bootstrap, data.groups.tolist())
    uniform = np.full(len(bits), np.log2(len(data.classes)))
    return LinearProbe(
        accuracy=estimator.mean(correct),
        auc=estimator.auc(data.targets, probabilities, tested),
        control_accuracy=estimator.mean(control),
        selectivity=estimator.mean(correct - control),
        bits=estimator.mean(bits),
        compression=estimator.ratio(uniform, bits),
        chance=largest_share(data.targets),
        p_value=(1 + n_as_high) / (1 + n_controls),
        labels=data.classes,
        n_controls=n_controls,
    )


def _types(data: LabelledStates, types: Sequence[Hashable] | None) -> IntArray:
    """Return the index of the type of each sorted item."""
    if types is None:
        return data.groups
    grouped(len(data.order), types)  # checks the number of types before they are sorted
    indices = grouped(len(data.order), [types[n] for n in data.order]).of_item
    if not is_constant_within(data.targets, indices):
        raise InvalidInputError(
            "A control task gives each type one label, but items of a type have several labels. "
            "Pass finer types, or None to permute labels within groups."
        )
    return np.asarray(indices, dtype=np.int64)
