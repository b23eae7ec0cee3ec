"""Curves of a measure over the sites of a model, with intervals over concepts.

Conventions:
    A place is a site with a span, or with a window of layers and an edge. Every item (a trial) has
    one value at each place, or NaN if it is undefined there. Items of a concept are averaged
    first; concepts are the unit of all intervals and tests, never trials, layers or positions.

    The band is simultaneous: it contains the whole curve with the given probability (bootstrap
    over concepts, maximum over places of the deviation divided by its standard error). P-values
    are of sign flips of concepts, corrected over places with the maximum of the studentized mean
    (single-step max-T; Westfall and Young 1993).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.curve_bands import banded, column_means, corrected_p_values
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.plots.forest_plot import draw_kind
from audioprobe.types import BoolArray, Estimate, Float64Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a model.

    Attributes:
        site: name of the site, such as "lm.resid.3".
        span: name of the span, such as "audio", or of the edge, such as "audio -> last".
    """

    site: str
    span: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A measure at one place.

    Attributes:
        place: site and span.
        estimate: mean over concepts, with the simultaneous band as its interval.
        control: mean of the control over the same concepts; None without control.
        difference: mean of the measure minus control (or minus the value without effect), with the
            simultaneous band of differences.
        p_value: corrected p-value of the difference; None if it is undefined.
    """

    place: Place
    estimate: Estimate
    control: Estimate | None
    difference: Estimate
    p_value: float | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class SiteCurve(TidyData, Displayed):
    """Values of a measure for each item at each place; immutable.

    Attributes:
        measure: name of the measure, such as "recovered share".
        places: the places, in the order of the forward pass.
        concepts: concept of each item.
        values: shape (n_items, n_places); NaN where the measure is undefined.
        controls: values of each control by its name, of the same shape. The first is the one that
            the measure is tested against. A control without effect is a curve of zeros.
        neutral: value of the measure if there is no effect, used without controls.
        items: names of the items, such as ids of prompts; () for none.
    """

    measure: str
    places: tuple[Place, ...]
    concepts: tuple[Hashable, ...]
    values: Float64Array
    controls: Mapping[str, Float64Array]
    neutral: float = 0.0
    items: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.concepts), len(self.places))
        shapes = [self.values.shape, *(control.shape for control in self.controls.values())]
        if any(shape != expected for shape in shapes):
            raise InvalidInputError(
                f"Expected values and controls of shape (n_items, n_places) = {expected}, got "
                f"{shapes}."
            )

    def renamed(self, items: Sequence[str]) -> "SiteCurve":
        """Return the curve with other names of the items."""
        return replace(self, items=tuple(items))

    def only(self, items: BoolArray) -> "SiteCurve":
        """Return the curve of some items, such as those with right answers.

        Args:
            items: whether to use each item, shape (n_items,).
        """
        rows = np.flatnonzero(items)
        return SiteCurve(
            measure=self.measure,
            places=self.places,
            concepts=tuple(self.concepts[n] for n in rows),
            values=self.values[rows],
            controls={name: values[rows] for name, values in self.controls.items()},
            neutral=self.neutral,
            items=tuple(self.items[n] for n in rows) if self.items else (),
        )

    def at(self, *, span: str | None = None, sites: Sequence[str] | None = None) -> "SiteCurve":
        """Return the curve at the places with a span, or with some sites."""
        columns = [
            n
            for n, place in enumerate(self.places)
            if span in (None, place.span) and (sites is None or place.site in sites)
        ]
        return SiteCurve(
            measure=self.measure,
            places=tuple(self.places[n] for n in columns),
            concepts=self.concepts,
            values=self.values[:, columns],
            controls={name: values[:, columns] for name, values in self.controls.items()},
            neutral=self.neutral,
            items=self.items,
        )

    def concept_means(self, control: str = "") -> tuple[tuple[Hashable, ...], Float64Array]:
        """Return the concepts and their mean values, shape (n_concepts, n_places).

        Args:
            control: name of the control whose values are returned; "" means the measure.
        """
        values = self.controls[control] if control else self.values
        names = tuple(dict.fromkeys(self.concepts))
        rows = {name: [n for n, c in enumerate(self.concepts) if c == name] for name in names}
        return names, np.array([column_means(values[rows[name]]) for name in names]).reshape(
            len(names), len(self.places)
        )

    def points(self, bootstrap: Bootstrap = _BOOTSTRAP) -> tuple[CurvePoint, ...]:
        """Return estimate, control, difference and corrected p-value at each place.

        Args:
            bootstrap: number of resamples, level and seed of the bands; the seed is also that of
                the sign flips.
        """
        _, means = self.concept_means()
        control = next(iter(self.controls), "")
        _, reference = self.concept_means(control)
        differences = means - (reference if control else self.neutral)
        estimates = banded(means, bootstrap)
        controls = banded(reference, bootstrap) if control else None
        p_values = corrected_p_values(differences, bootstrap.seed)
        return tuple(
            CurvePoint(
                place=place,
                estimate=estimates[n],
                control=None if controls is None else controls[n],
                difference=difference,
                p_value=p_values[n],
            )
            for n, (place, difference) in enumerate(
                zip(self.places, banded(differences, bootstrap), strict=True)
            )
        )

    def data(self) -> DataTable:
        """Return a table with one row per item and place, with the values of all controls."""
        names = ("item", "concept", "site", "span", "value", *self.controls)
        arrays = (self.values, *self.controls.values())
        rows = [
            (
                self.items[row] if self.items else str(row),
                concept if isinstance(concept, str) else repr(concept),
                place.site,
                place.span,
                *(None if np.isnan(a[row, column]) else float(a[row, column]) for a in arrays),
            )
            for row, concept in enumerate(self.concepts)
            for column, place in enumerate(self.places)
        ]
        return DataTable.from_rows(names, rows)

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return a table with one row per place, and the number of items and concepts."""
        rows = tuple(
            (
                point.place.site,
                point.place.span,
                str(point.estimate),
                "–" if point.control is None else str(point.control),
                "–" if point.p_value is None else f"{point.p_value:.3g}",
            )
            for point in self.points()
        )
        header = ("site", "span", self.measure, "control", "p (corrected)")
        n_undefined = int(np.isnan(self.values).all(axis=1).sum())
        counts = (
            f"{len(self.concepts)} items ({n_undefined} undefined), "
            f"{len(set(self.concepts))} concepts; simultaneous 95 % bands."
        )
        return (Table(header, rows, (4,)),), (counts,)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Plot one line per span over the sites, with bands, and the control (extra `report`).

        Args:
            axes: axes of matplotlib; None makes a figure.

        Raises:
            MissingDependencyError: if matplotlib is not installed.
            InvalidInputError: if no value is defined.
        """
        return draw_kind("audioprobe.interpretability.curve_plots", "curve", self, axes)
