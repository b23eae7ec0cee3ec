"""Labels that lie above each other: credit for the right branch, and how far off an answer is.

Conventions:
    A hierarchy is a graph without circles in which a label may have several parents. The distance
    of two labels is the number of steps on the shortest way between them over parents and children;
    two labels without a common ancestor meet at a root above all, as if it were there.
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
    """What lies above what.

    Args:
        parents: of every label; () for those at the top.

    Raises:
        InvalidInputError: if a parent is no label, or a label lies above itself.
    """

    def __init__(self, parents: Mapping[str, Sequence[str]]) -> None:
        self._parents = {label: tuple(above) for label, above in parents.items()}
        for label, above in self._parents.items():
            missing = [parent for parent in above if parent not in self._parents]
            if missing:
                raise InvalidInputError(f"{label!r} has the parent {missing[0]!r}, no label.")
        self._depths = {label: self._climb(label) for label in self._parents}

    @property
    def labels(self) -> tuple[str, ...]:
        """All of them, in the order in which they were given."""
        return tuple(self._parents)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Every label with each of its parents."""
        return tuple((label, above) for label in self._parents for above in self._parents[label])

    def ancestors(self, label: str) -> frozenset[str]:
        """Every label above, without itself.

        Raises:
            InvalidInputError: if there is no such label.
        """
        return frozenset(self._above(label)) - {label}

    def distance(self, one: str, other: str) -> int:
        """Steps between two labels; 0 for the same.

        Raises:
            InvalidInputError: if one is no label.
        """
        first, second = self._above(one), self._above(other)
        common = [first[label] + second[label] for label in first if label in second]
        return min([*common, max(first.values()) + max(second.values()) + 2])

    def closed(self, targets: npt.ArrayLike, labels: Sequence[str]) -> BoolArray:
        """Targets in which whatever lies above a label that is there is there too.

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            labels: names of the columns; ancestors without a column are passed over.

        Raises:
            InvalidInputError: if a column is no label, or targets are not so.
        """
        found, _ = validate_predictions(targets, targets, n_dimensions=2)
        return (found.astype(np.int64) @ self._reach(labels)) > 0

    def precision_recall_f1(
        self, targets: npt.ArrayLike, predictions: npt.ArrayLike, labels: Sequence[str]
    ) -> PrecisionRecallF1:
        """Over all pairs of clip and label, with ancestors on both sides.

        "Bird" for a grouse earns what the two share (Kiritchenko, Matwin and Famili 2006).

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            predictions: of the same shape.
            labels: names of the columns.

        Raises:
            InvalidInputError: if a column is no label, or an array is not so.
        """
        truth, said = validate_predictions(targets, predictions, n_dimensions=2)
        return precision_recall_f1(
            self.closed(truth, labels).ravel(), self.closed(said, labels).ravel()
        )

    def distances_of_best(
        self, targets: npt.ArrayLike, scores: npt.ArrayLike, labels: Sequence[str]
    ) -> Float64Array:
        """How far each clip's best label is from the nearest that is right.

        Of tied scores the first label counts.

        Args:
            targets: shape (n_clips, n_labels); True or 1 where the label is present.
            scores: of the same shape, finite.
            labels: names of the columns.

        Returns:
            Shape (n_clips,), in steps; NaN for a clip without labels.

        Raises:
            InvalidInputError: if a column is no label, or an array is not so.
        """
        truth, values = validate(targets, scores, n_dimensions=2)
        steps = np.array([[self.distance(a, b) for b in labels] for a in labels], dtype=np.float64)
        nearest = np.where(truth, steps[np.argmax(values, axis=1)], np.inf).min(axis=1)
        return np.where(truth.any(axis=1), nearest, np.nan)

    def _above(self, label: str) -> dict[str, int]:
        if label not in self._depths:
            raise InvalidInputError(f"The hierarchy has no label {label!r}.")
        return self._depths[label]

    def _climb(self, label: str) -> dict[str, int]:
        """Steps from a label to each of its ancestors, itself among them."""
        above = ancestors_with_depth(label, self._parents.__getitem__)
        if label in above:
            raise InvalidInputError(f"{label!r} lies above itself.")
        return {label: 0, **above}

    def _reach(self, labels: Sequence[str]) -> npt.NDArray[np.int64]:
        """1 where the column is the row or lies above it."""
        rows = [[int(above in self._above(label)) for above in labels] for label in labels]
        return np.array(rows, dtype=np.int64)
