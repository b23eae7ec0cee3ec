"""Metrics that use a label hierarchy: credit for ancestors, and distance of the top label.

Conventions:
    A hierarchy is a directed acyclic graph in which a label may have several parents. Targets and
    predictions are True/False or 1/0 and scores are finite; their shape is (n_clips, n_labels).
    Invalid arrays and unknown labels raise `InvalidInputError`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from audioprobe.errors import InvalidInputError
from audioprobe.graph import ancestors_with_depth
from audioprobe.metrics.threshold import PrecisionRecallF1, precision_recall_f1
from audioprobe.metrics.validation import validate, validate_predictions
from audioprobe.types import BoolArray, Float64Array


class Hierarchy:
    """A label hierarchy: all labels with their parents.

    Args:
        parents: parents of each label; () for a label at the top.

    Raises:
        InvalidInputError: if a parent is not one of the labels, or the graph has a cycle.
    """

    def __init__(self, parents: Mapping[str, Sequence[str]]) -> None:
        self._parents = {label: tuple(names) for label, names in parents.items()}
        for label, names in self._parents.items():
            unknown = [parent for parent in names if parent not in self._parents]
            if unknown:
                raise InvalidInputError(
                    f"The parent {unknown[0]!r} of {label!r} is not a label of the hierarchy."
                )
        # Number of steps from each label to its ancestors and to itself (0).
        self._depths: dict[str, dict[str, int]] = {}
        for label in self._parents:
            ancestors = ancestors_with_depth(label, self._parents.__getitem__)
            if label in ancestors:
                raise InvalidInputError(f"{label!r} is its own ancestor: remove the cycle.")
            self._depths[label] = {label: 0, **ancestors}

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order in which they were passed."""
        return tuple(self._parents)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """All pairs of a label and one of its parents."""
        return tuple((label, parent) for label in self._parents for parent in self._parents[label])

    def ancestors(self, label: str) -> frozenset[str]:
        """Return all ancestors of a label, not including the label itself."""
        return frozenset(self._depths_of(label)) - {label}

    def distance(self, first: str, second: str) -> int:
        """Return the length of the shortest path between two labels through a common ancestor.

        If there is no common ancestor, the path goes through an assumed root above all labels.
        """
        a, b = self._depths_of(first), self._depths_of(second)
        over_common = [a[label] + b[label] for label in a if label in b]
        return min([*over_common, max(a.values()) + max(b.values()) + 2])

    def closed(self, targets: npt.ArrayLike, labels: Sequence[str]) -> BoolArray:
        """Return the targets after adding the ancestors of every present label.

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            labels: names of the columns; an ancestor that has no column is not added.
        """
        present, _ = validate_predictions(targets, targets, n_dimensions=2)
        depths = [self._depths_of(label) for label in labels]
        is_ancestor = np.array([[int(column in row) for column in labels] for row in depths])
        return np.asarray(present.astype(np.int64) @ is_ancestor > 0, dtype=np.bool_)

    def precision_recall_f1(
        self, targets: npt.ArrayLike, predictions: npt.ArrayLike, labels: Sequence[str]
    ) -> PrecisionRecallF1:
        """Return hierarchical precision, recall and F1 (Kiritchenko, Matwin and Famili 2006).

        The ancestors of each label are added to targets and predictions, so that the prediction
        "bird" for a grouse is partly correct. The counts are over all pairs of clip and label.

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            predictions: shape (n_clips, n_labels); True or 1 where the label is predicted.
            labels: names of the columns.
        """
        present, predicted = validate_predictions(targets, predictions, n_dimensions=2)
        return precision_recall_f1(
            self.closed(present, labels).ravel(), self.closed(predicted, labels).ravel()
        )

    def distances_of_best(
        self, targets: npt.ArrayLike, scores: npt.ArrayLike, labels: Sequence[str]
    ) -> Float64Array:
        """Return the distance of each clip's top label from the nearest correct label.

        The top label is the first label with the highest score.

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            scores: shape (n_clips, n_labels), finite.
            labels: names of the columns.

        Returns:
            Number of steps for each clip, shape (n_clips,); NaN for a clip without labels.
        """
        present, values = validate(targets, scores, n_dimensions=2)
        steps = np.array([[self.distance(a, b) for b in labels] for a in labels], dtype=np.float64)
        nearest = np.where(present, steps[np.argmax(values, axis=1)], np.inf).min(axis=1)
        return np.where(present.any(axis=1), nearest, np.nan)

    def _depths_of(self, label: str) -> dict[str, int]:
        if label not in self._depths:
            raise InvalidInputError(f"The hierarchy has no label {label!r}.")
        return self._depths[label]
