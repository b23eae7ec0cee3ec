"""Transfer of a linear classifier between modalities: whether they represent a label alike.

Conventions:
    As in `linear_probe`. The two modalities have states in the same space, such as the residual
    stream of one layer for text and for audio.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

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
    auc_within_folds,
    control_targets,
    cross_validated,
)
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.significance import ROUNDING
from audioprobe.metrics.validation import validate_representation
from audioprobe.types import BoolArray, Estimate, Float64Array, IntArray

Standardize: TypeAlias = Literal["train", "each"]
"""Whose mean and standard deviation standardize the states of the test modality."""

Items: TypeAlias = tuple[Float64Array, Sequence[Hashable], Sequence[Hashable]]
"""States, labels and groups of the items of a modality."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TransferProbe(Displayed):
    """How well a classifier that is trained on one modality works on another.

    All values are of the same test items, whose groups are in neither training set.

    Attributes:
        accuracy: accuracy on the test modality after training on the other one.
        auc: area under the ROC curve, see `LinearProbe.auc`.
        ceiling_accuracy: accuracy after training on the test modality itself.
        ceiling_auc: area under the ROC curve after training on the test modality itself.
        shortfall: ceiling accuracy minus accuracy.
        chance: share of the most frequent label of the test items; None if undefined.
        null_auc: mean AUC of the permutations; None if undefined.
        p_value: share of permutations of the labels whose AUC is at least the observed one, which
            itself counts as one of them; None if undefined.
        n_permutations: number of permutations whose AUC is defined.
    """

    accuracy: Estimate
    auc: Estimate
    ceiling_accuracy: Estimate
    ceiling_auc: Estimate
    shortfall: Estimate
    chance: float | None
    null_auc: float | None
    p_value: float | None
    n_permutations: int

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per measure, and a sentence with the permutation test."""
        rows = (
            ("accuracy", self.accuracy, self.chance),
            ("AUC", self.auc, self.null_auc),
            ("accuracy, trained on the test modality", self.ceiling_accuracy, self.chance),
            ("AUC, trained on the test modality", self.ceiling_auc, 0.5),
            ("shortfall of accuracy", self.shortfall, 0.0),
        )
        if self.p_value is None:
            return (measures_table(rows),), (f"Undefined: {self.accuracy.method}.",)
        sentence = f"p = {self.p_value:.3g} from {self.n_permutations} permutations of the labels."
        return (measures_table(rows),), (sentence,)


def transfer_probe(
    train_states: npt.ArrayLike,
    train_labels: Sequence[Hashable],
    test_states: npt.ArrayLike,
    test_labels: Sequence[Hashable],
    *,
    train_groups: Sequence[Hashable],
    test_groups: Sequence[Hashable],
    standardize: Standardize = "train",
    n_permutations: int = 200,
    settings: ProbeSettings = DEFAULT_SETTINGS,
) -> TransferProbe:
    """Train linear classifiers on states of one modality, and test them on states of another.

    A classifier that is trained on text states and works on audio states shows that both modalities
    represent the label in the same directions. The groups of both modalities have the same names,
    such as concepts: the test groups of a fold are removed from both training sets.

    For the null distribution the labels of the groups are permuted in both modalities alike; if the
    items of a group have several labels, the labels of each modality are permuted within groups.
    All classifiers are then trained and tested again, in the same folds.

    Args:
        train_states: shape (n_train, width).
        train_labels: label of each training item.
        test_states: shape (n_test, width), in the same space as `train_states`.
        test_labels: label of each test item.
        train_groups: group of each training item.
        test_groups: group of each test item.
        standardize: "train" standardizes test states like the training states; "each" by the test
            modality's own training items, which removes a modality gap that is the same for all
            items.
        n_permutations: number of permutations, at least 1.
        settings: folds, L2 penalty, seed and intervals.

    Raises:
        InvalidInputError: if an argument is out of range, lengths or widths differ, a state is not
            finite, or a label is missing.
    """
    check_counts(n_permutations=n_permutations)
    if standardize not in get_args(Standardize):
        raise InvalidInputError(f"standardize must be 'train' or 'each', got {standardize!r}.")
    first = validate_representation(train_states), train_labels, train_groups
    second = validate_representation(test_states), test_labels, test_groups
    comparison = TransferComparison.of(first, second, standardize, settings)
    if isinstance(comparison, str):
        nothing = undefined(len(second[0]), comparison)
        return TransferProbe(
            accuracy=nothing, auc=nothing, ceiling_accuracy=nothing, ceiling_auc=nothing,
            shortfall=nothing, chance=None, null_auc=None, p_value=None, n_permutations=0,
        )  # fmt: skip
    null = comparison.null_aucs(n_permutations, settings.seed)
    return _measured(comparison, null, settings.bootstrap)


@dataclass(frozen=True, slots=True, eq=False)
class TransferComparison:
    """Splits with the same test items, and training items of either modality.

    Attributes:
        data: items of both modalities, sorted.
        is_test: whether each sorted item is of the test modality.
        transfers: splits that are trained on the other modality.
        ceilings: splits that are trained on the test modality.
        inverse_strength: inverse strength of the L2 penalty.
    """

    data: LabelledStates
    is_test: BoolArray
    transfers: list[Split]
    ceilings: list[Split]
    inverse_strength: float

    @classmethod
    def of(
        cls, first: Items, second: Items, standardize: Standardize, settings: ProbeSettings
    ) -> "TransferComparison | str":
        """Return the splits of two modalities, or why they cannot be tested.

        Args:
            first: items of the training modality.
            second: items of the test modality.
            standardize: see `transfer_probe`.
            settings: folds, L2 penalty and seed.
        """
        data, is_test = _joined(first, second)
        reason = data.why_undefined()
        folds = [] if reason else data.folds(settings.n_folds, settings.seed)
        if reason := reason or _why_untestable(data, is_test, folds):
            return reason
        transfers, ceilings = [], []
        for train, test in folds:
            other, same, tested = train[~is_test[train]], train[is_test[train]], test[is_test[test]]
            like_test = same if standardize == "each" else None
            if len(tested):
                transfers.append(Split.of(data.states, other, tested, like_test))
                ceilings.append(Split.of(data.states, same, tested))
        return cls(data, is_test, transfers, ceilings, settings.inverse_strength)

    @property
    def tested(self) -> list[IntArray]:
        """Positions of the test items of each fold among the items of the test modality."""
        position = np.cumsum(self.is_test) - 1
        return [np.asarray(position[split.test], dtype=np.int64) for split in self.ceilings]

    def predicted(self, splits: Sequence[Split], targets: IntArray) -> Float64Array:
        """Return the probabilities of the items of the test modality."""
        n_classes = len(self.data.classes)
        return cross_validated(splits, targets, n_classes, self.inverse_strength)[self.is_test]

    def permuted(self, n_permutations: int, seed: int) -> Iterator[tuple[IntArray, Float64Array]]:
        """Yield permuted classes and the probabilities that are then predicted, of test items."""
        blocks = 2 * self.data.groups + self.is_test
        for number in range(n_permutations):
            rng = np.random.default_rng([seed, number])
            targets = control_targets(self.data.targets, self.data.groups, blocks, rng)
            yield targets[self.is_test], self.predicted(self.transfers, targets)

    def null_aucs(self, n_permutations: int, seed: int) -> Float64Array:
        """Return the AUC of each permutation of the labels in which it is defined."""
        once, tested = np.ones((1, int(self.is_test.sum()))), self.tested
        permuted = self.permuted(n_permutations, seed)
        aucs = np.array([auc_within_folds(*task, tested)(once)[0] for task in permuted])
        return np.asarray(aucs[~np.isnan(aucs)], dtype=np.float64)


def _measured(
    comparison: TransferComparison, null: Float64Array, bootstrap: Bootstrap
) -> TransferProbe:
    """Return the measures of both kinds of training, given the AUCs of permutations."""
    data, is_test = comparison.data, comparison.is_test
    targets = data.targets[is_test]
    probabilities = comparison.predicted(comparison.transfers, data.targets)
    ceiling = comparison.predicted(comparison.ceilings, data.targets)
    correct, ceiling_correct = is_correct(probabilities, targets), is_correct(ceiling, targets)
    estimator = ProbeEstimator(bootstrap, data.groups[is_test].tolist())
    auc = estimator.auc(targets, probabilities, comparison.tested)
    return TransferProbe(
        accuracy=estimator.mean(correct),
        auc=auc,
        ceiling_accuracy=estimator.mean(ceiling_correct),
        ceiling_auc=estimator.auc(targets, ceiling, comparison.tested),
        shortfall=estimator.mean(ceiling_correct - correct),
        chance=largest_share(targets),
        null_auc=float(null.mean()) if len(null) else None,
        p_value=_p_value(auc.value, null),
        n_permutations=len(null),
    )


def _joined(first: Items, second: Items) -> tuple[LabelledStates, BoolArray]:
    """Return the items of both modalities, and which of them are of the second one."""
    for states, labels, groups in (first, second):
        if not len(states) == len(labels) == len(groups):
            raise InvalidInputError(
                f"Expected a label and a group for each of {len(states)} items, got "
                f"{len(labels)} labels and {len(groups)} groups."
            )
    if first[0].shape[1] != second[0].shape[1]:
        raise InvalidInputError(
            "Expected states of both modalities in the same space, got widths "
            f"{first[0].shape[1]} and {second[0].shape[1]}."
        )
    states = np.concatenate([first[0], second[0]])
    data = LabelledStates.of(states, [*first[1], *second[1]], [*first[2], *second[2]])
    return data, data.order >= len(first[0])


def _why_untestable(
    data: LabelledStates, is_test: BoolArray, folds: Sequence[tuple[IntArray, IntArray]]
) -> str:
    """Return why a fold cannot be trained on both modalities, or ""."""
    for train, _ in folds:
        for modality in (False, True):
            known = set(data.targets[train[is_test[train] == modality]].tolist())
            if len(known) < len(data.classes):
                return "a label is missing from the training items of a modality in a fold"
    return ""


def _p_value(auc: float | None, null: Float64Array) -> float | None:
    if auc is None or not len(null):
        return None
    return float((1 + (null >= auc - ROUNDING).sum()) / (1 + len(null)))
