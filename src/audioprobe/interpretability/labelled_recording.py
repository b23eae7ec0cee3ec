"""A recording whose prompts have labels, for probes at its sites."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.recording_files import COLUMNS, Recording
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.interpretability.transfer_probe import Items
from audioprobe.metrics.grouping import grouped
from audioprobe.metrics.significance import least_units
from audioprobe.types import Float64Array, IntArray

ACCURACY = "accuracy"
"""Measure of curves of probes: 1 for a correct prediction, otherwise 0."""

_LEVEL = 0.95  # with fewer concepts, no p-value can be significant at this level


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRecording:
    """A recording with the label, the concept and the group of each prompt.

    Attributes:
        recording: recorded states, pooled over spans.
        labels: label of each prompt.
        concepts: concept of each prompt.
        groups: group of each prompt, which is held out as a whole.
    """

    recording: Recording
    labels: Sequence[Hashable]
    concepts: Sequence[Hashable]
    groups: Sequence[Hashable]

    def __post_init__(self) -> None:
        if self.recording.pooling == "each":
            raise InvalidInputError(
                "Expected a recording with one state per span (pooling 'mean' or 'last'), got "
                "'each'."
            )
        n = len(self.recording)
        grouping = grouped(n, self.concepts, "concepts")
        n_missing = grouped(n, self.labels).n_missing + grouping.n_missing
        grouped(n, self.groups)
        needed = least_units(_LEVEL)
        if n_missing or grouping.n_groups < needed:
            raise InvalidInputError(
                f"Expected a label and a concept for each prompt, and at least {needed} concepts "
                f"(with fewer, no p-value can be below {1 - _LEVEL:.2g}), got "
                f"{grouping.n_groups} concepts and {n_missing} missing labels or concepts."
            )

    def items(self, site: str, span: str) -> tuple[IntArray, Items]:
        """Return the prompts that have states at a place, and their states, labels and groups."""
        states = self.recording.states(site, span).astype(np.float64)
        rows = np.flatnonzero(~np.isnan(states).all(axis=1))
        labels, groups = ([names[n] for n in rows] for names in (self.labels, self.groups))
        return rows, (states[rows], labels, groups)

    def curve(
        self, columns: Sequence[Mapping[str, Float64Array]], places: Sequence[Place]
    ) -> SiteCurve:
        """Return a curve of accuracy.

        Args:
            columns: accuracy of each prompt and in each control, by name, at each place.
            places: the places.

        Raises:
            InvalidInputError: if no value is defined.
        """
        arrays = {name: np.stack([c[name] for c in columns], axis=1) for name in columns[0]}
        values = arrays.pop(ACCURACY)
        if np.isnan(values).all():
            raise InvalidInputError(
                f"Expected prompts with the span {places[0].span!r} at {places[0].site} to "
                f"{places[-1].site}, got none. Text has no positions in the encoder."
            )
        column = COLUMNS.index("id")
        return SiteCurve(
            measure=ACCURACY,
            places=tuple(places),
            concepts=tuple(self.concepts),
            values=values,
            controls=arrays,
            items=tuple(str(row[column]) for row in self.recording.rows),
        )


def accuracy_by_class(
    tasks: Iterable[tuple[IntArray, Float64Array]], targets: IntArray
) -> Float64Array:
    """Return, for each item, the mean accuracy in a control of the items with its class.

    Args:
        tasks: random class of each item in each task of the control, and whether it is predicted.
        targets: true class of each item.
    """
    n_classes = int(targets.max()) + 1
    n_right, n_items = np.zeros(n_classes), np.zeros(n_classes)
    for classes, correct in tasks:
        n_right += np.bincount(classes, correct, minlength=n_classes)
        n_items += np.bincount(classes, minlength=n_classes)
    return np.asarray((n_right / n_items)[targets], dtype=np.float64)
