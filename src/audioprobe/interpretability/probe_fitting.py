"""Parts of linear probes: folds that keep groups together, classifiers, codes, control labels.

Conventions:
    Classes are integers from 0, in the order of the names of the labels. States are float64, shape
    (n_items, width). Items are sorted by group, label and state first, so that no result depends on
    the order of the items.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Statistic
from audioprobe.metrics.grouping import grouped
from audioprobe.metrics.ranked_labels import RankedLabels, quotient, roc_auc
from audioprobe.metrics.validation import validate_representation
from audioprobe.metrics.vectorized_metrics import mean_of_defined
from audioprobe.types import BoolArray, Float64Array, IntArray

_N_HALVINGS = 10  # the first block of an online code has 1 / 2**10 of the groups, at least one
_RELATIVE_ROUNDING = 1e-12  # a smaller relative standard deviation is a rounding error


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStates:
    """States with the class and the group of each item, sorted by group, label and state.

    Attributes:
        states: shape (n_items, width).
        targets: class of each item, shape (n_items,).
        classes: label of each class.
        groups: index of the group of each item, shape (n_items,).
        order: position of each item in the arrays before sorting, shape (n_items,).
    """

    states: Float64Array
    targets: IntArray
    classes: tuple[Hashable, ...]
    groups: IntArray
    order: IntArray

    @classmethod
    def of(
        cls, states: npt.ArrayLike, labels: Sequence[Hashable], groups: Sequence[Hashable]
    ) -> "LabelledStates":
        """Validate and sort the items.

        Args:
            states: shape (n_items, width), finite.
            labels: label of each item, any names or numbers.
            groups: group of each item; an item whose group is missing is its own group.

        Raises:
            InvalidInputError: if an array violates the conventions, the lengths differ, or a label
                is missing (None or NaN).
        """
        array, names = validate_representation(states), list(labels)
        if len(names) != len(array):
            raise InvalidInputError(
                f"Expected a label for each of {len(array)} items, got {len(names)}."
            )
        if n_missing := grouped(len(array), names).n_missing:
            raise InvalidInputError(
                f"Expected a label for each item, but {n_missing} of {len(array)} labels are "
                "missing. Leave these items out, and report their number."
            )
        grouped(len(array), groups)  # checks the number of groups before they are sorted

        def key(item: int) -> tuple[str, str, bytes]:
            return repr(groups[item]), repr(names[item]), array[item].tobytes()

        order = np.array(sorted(range(len(array)), key=key), dtype=np.int64)
        classes = tuple(sorted(set(names), key=repr))
        number_of = {label: number for number, label in enumerate(classes)}
        targets = np.array([number_of[names[n]] for n in order], dtype=np.int64)
        of_item = grouped(len(array), [groups[n] for n in order]).of_item
        return cls(array[order], targets, classes, of_item, order)

    def why_undefined(self) -> str:
        """Return why no probe of these items can be tested on other groups, or ""."""
        n_classes = len(self.classes)
        if n_classes < 2:
            return f"all labels are {self.classes[0]!r}"
        for number, label in enumerate(self.classes):
            if (n_groups := len(set(self.groups[self.targets == number].tolist()))) < 2:
                return f"label {label!r} is in {n_groups} group, and needs two"
        return ""

    def folds(self, n_folds: int, seed: int) -> list[tuple[IntArray, IntArray]]:
        """Return indices of training and test items: no group is in both.

        Folds are stratified by class. There are fewer than `n_folds` if a class has fewer groups.
        """
        fewest = min(len(set(self.groups[self.targets == k])) for k in range(len(self.classes)))
        splitter = StratifiedGroupKFold(
            min(n_folds, max(2, fewest)), shuffle=True, random_state=seed
        )
        return list(splitter.split(self.states, self.targets, self.groups))


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Standardized states of a training and a test set.

    Attributes:
        train: indices of the training items.
        test: indices of the test items.
        train_states: shape (n_train, n_coordinates).
        test_states: shape (n_test, n_coordinates).
    """

    train: IntArray
    test: IntArray
    train_states: Float64Array
    test_states: Float64Array

    @classmethod
    def of(
        cls,
        states: Float64Array,
        train: IntArray,
        test: IntArray,
        like_test: IntArray | None = None,
    ) -> "Split":
        """Standardize each dimension by the mean and the standard deviation of training items.

        The states are then divided by sqrt(width), so that the strength of the regularization does
        not depend on the width. The weights of an L2-regularized classifier are a linear
        combination of the training items: states are rotated to these dimensions, which changes no
        probability.

        Args:
            states: shape (n_items, width).
            train: indices of the training items.
            test: indices of the test items.
            like_test: indices of other items whose mean and standard deviation standardize the test
                items; None means `train`.
        """
        first = _standardized(states[train], states[train])
        second = _standardized(states[test], states[train if like_test is None else like_test])
        if first.shape[1] > len(first):
            basis = np.linalg.svd(first, full_matrices=False)[2].T
            first, second = first @ basis, second @ basis
        return cls(train, test, first, second)

    def probabilities(
        self, targets: IntArray, n_classes: int, inverse_strength: float
    ) -> Float64Array:
        """Return the probability of each class for the test items, shape (n_test, n_classes).

        Classes without training items have probability 0.
        """
        result, known = np.zeros((len(self.test), n_classes)), np.unique(targets[self.train])
        if len(known) == 1:
            result[:, known] = 1.0
            return result
        classifier = LogisticRegression(C=inverse_strength, tol=1e-6, max_iter=2000)
        classifier.fit(self.train_states, targets[self.train])
        result[:, known] = classifier.predict_proba(self.test_states)
        return result


def cross_validated(
    splits: Iterable[Split], targets: IntArray, n_classes: int, inverse_strength: float
) -> Float64Array:
    """Return the probabilities of all test items; NaN for items that are in no test set."""
    result = np.full((len(targets), n_classes), np.nan)
    for split in splits:
        result[split.test] = split.probabilities(targets, n_classes, inverse_strength)
    return result


def online_code(
    data: LabelledStates, *, inverse_strength: float, n_orders: int, seed: int
) -> Float64Array:
    """Return the bits that code the label of each item given its state, shape (n_items,).

    The groups are put in random order and cut at 1/1024, 1/512, ..., 1/2 of their number. The first
    block is coded with log2 K bits per item. Each further block is coded with -log2 p bits by a
    classifier that is fitted to all blocks before it. The bits are the mean over `n_orders` random
    orders. Source: Voita and Titov, "Information-theoretic probing with minimum description
    length", EMNLP 2020.

    The probability p of a classifier with n training items is (n p' + 1) / (n + K), with p' the
    probability of the logistic regression, so that a class that is new has a finite code.
    """
    n_classes, bits = len(data.classes), np.zeros(len(data.targets))
    n_groups = int(data.groups.max()) + 1
    ends = sorted({-(-n_groups // 2**halving) for halving in range(_N_HALVINGS + 1)})
    for number in range(n_orders):
        rank = np.random.default_rng([seed, number]).permutation(n_groups)[data.groups]
        bits[rank < ends[0]] += np.log2(n_classes)
        for start, end in pairwise(ends):
            train, test = (
                np.flatnonzero(rank < start),
                np.flatnonzero((rank >= start) & (rank < end)),
            )
            split = Split.of(data.states, train, test)
            raw = split.probabilities(data.targets, n_classes, inverse_strength)
            smoothed = (len(train) * raw + 1) / (len(train) + n_classes)
            bits[test] -= np.log2(smoothed[np.arange(len(test)), data.targets[test]])
    return bits / n_orders


def control_targets(
    targets: IntArray, types: IntArray, blocks: IntArray, rng: np.random.Generator
) -> IntArray:
    """Return random labels for a control task (Hewitt and Liang, EMNLP 2019).

    If all items of a type have the same label, the labels are permuted over the types. Otherwise
    they are permuted over the items of each block.

    Args:
        targets: class of each item.
        types: index of the type of each item, such as its concept.
        blocks: index of the block of each item.
        rng: generator of the permutation.
    """
    if is_constant_within(targets, types):
        _, first = np.unique(types, return_index=True)
        return np.asarray(rng.permutation(targets[first])[types], dtype=np.int64)
    permuted = targets.copy()
    for block in np.unique(blocks):
        members = np.flatnonzero(blocks == block)
        permuted[members] = rng.permutation(targets[members])
    return permuted


def is_constant_within(targets: IntArray, types: IntArray) -> bool:
    """Return whether all items of each type have the same class; types are indices from 0."""
    _, first = np.unique(types, return_index=True)
    return bool((targets[first][types] == targets).all())


def auc_within_folds(
    targets: IntArray, probabilities: Float64Array, folds: Sequence[IntArray]
) -> Statistic:
    """Return a function that computes the AUC of pairs of items of the same fold.

    Classifiers of different folds have different offsets, so their scores are not compared. With
    more than two classes it is the mean over classes of the AUC of one class against the others.

    Args:
        targets: class of each item, shape (n_items,).
        probabilities: shape (n_items, n_classes).
        folds: indices of the test items of each fold.
    """
    n_classes = probabilities.shape[1]
    ranked = [
        [
            (
                rows,
                targets[rows] == k,
                RankedLabels(targets[rows, None] == k, probabilities[rows, k : k + 1]),
            )
            for rows in folds
        ]
        for k in (range(1, 2) if n_classes == 2 else range(n_classes))
    ]

    def statistic(counts: Float64Array) -> Float64Array:
        return mean_of_defined([_pooled_auc(label, counts) for label in ranked])

    return statistic


def _pooled_auc(
    folds: Sequence[tuple[IntArray, BoolArray, RankedLabels]], counts: Float64Array
) -> Float64Array:
    """Return the share of pairs in the right order, over pairs within folds; NaN without pairs."""
    n_right, n_pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for rows, present, label in folds:
        drawn = counts[:, rows]
        pairs = drawn[:, present].sum(axis=1) * drawn[:, ~present].sum(axis=1)
        auc = label.areas(drawn, roc_auc)[0, 0]
        n_right += np.where(pairs > 0, pairs * auc, 0.0)
        n_pairs += pairs
    return quotient(n_right, n_pairs)


def _standardized(states: Float64Array, reference: Float64Array) -> Float64Array:
    """Return states in standard deviations of the reference, divided by sqrt(width)."""
    mean, scale = reference.mean(axis=0), reference.std(axis=0)
    is_constant = scale <= _RELATIVE_ROUNDING * np.abs(reference).max(axis=0)
    centred = np.where(is_constant, 0.0, states - mean) / np.where(is_constant, 1.0, scale)
    return np.asarray(centred / np.sqrt(states.shape[1]), dtype=np.float64)
