"""Results of lenses: curves of several measures over sites, and what was read at each place."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.interpretability.lens_places import ItemName
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.data_table import DataTable, TidyData
from audioprobe.io.text_table import Displayed, Table
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.types import Float64Array

Positions: TypeAlias = Literal["mean", "best"]
"""How the readings of the positions of a span are combined: their mean, or the best of them."""
POSITIONS: tuple[Positions, ...] = get_args(Positions)

_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class LensResult(TidyData, Displayed):
    """What a lens reads from the activations of prompts.

    Attributes:
        lens: name of the lens, with the rules by which it read.
        curves: curve of each measure, by the name of the measure and the combination of positions.
            The best of many positions is high by chance alone, but the controls are combined in
            the same way.
        readings: what was read at each place: the most likely tokens, or the nearest texts. Texts
            come from a model or its vocabulary.
        words: tokens by which words were read; an empty table for lenses that read no tokens.
        failures: cause of each prompt without values, keyed by its index.
    """

    lens: str
    curves: Mapping[tuple[str, Positions], SiteCurve]
    readings: DataTable
    words: DataTable
    failures: Mapping[int, str]

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(dict.fromkeys(measure for measure, _ in self.curves))

    def curve(self, measure: str = "first", positions: Positions = "mean") -> SiteCurve:
        """Return the curve of a measure.

        Args:
            measure: name of a measure; see `measures`.
            positions: how the positions of a span are combined.

        Raises:
            InvalidInputError: if the lens has no such measure.
        """
        if (measure, positions) not in self.curves:
            raise InvalidInputError(
                f"Expected a measure ({', '.join(self.measures)}) and positions "
                f"({', '.join(POSITIONS)}), got {measure!r} and {positions!r}."
                f"{did_you_mean(measure, self.measures)}"
            )
        return self.curves[measure, positions]

    def data(self) -> DataTable:
        """Return the values of all measures and their controls, one row per item and place."""
        return DataTable.joined(
            ({"lens": self.lens, "measure": measure, "positions": positions}, curve.data())
            for (measure, positions), curve in self.curves.items()
        )

    def displayed(self) -> tuple[tuple[Table, ...], tuple[str, ...]]:
        """Return the table of the measure "first", and which other measures there are."""
        tables, sentences = self.curve().displayed()
        others = ", ".join(self.measures)
        return tables, (
            *sentences,
            f"Lens: {self.lens}. Mean over positions. {len(self.failures)} prompts failed.",
            f"Measures: {others}.",
        )


def compare_lenses(
    results: Mapping[str, LensResult],
    *,
    measure: str = "first",
    positions: Positions = "mean",
    bootstrap: Bootstrap = _BOOTSTRAP,
) -> DataTable:
    """Return one table of a measure of several lenses, with a row per lens and place.

    Values of lenses with different candidates have different chance levels: compare the columns
    "difference", which are values minus control.

    Args:
        results: results of the same prompts, keyed by the name of the lens.
        measure: name of a measure that all lenses have, such as "first" or "reciprocal rank".
        positions: how the positions of a span are combined.
        bootstrap: settings of the bands.

    Raises:
        InvalidInputError: if there are no results, they are of other concepts or prompts, or a lens
            does not have the measure.
    """
    curves = {name: result.curve(measure, positions) for name, result in results.items()}
    if len({(curve.items, curve.concepts) for curve in curves.values()}) != 1:
        raise InvalidInputError(
            f"Expected lenses of the same prompts in the same order, got results of other prompts "
            f"({', '.join(results)}). Pass the same prompts and concepts to all lenses."
        )
    names = ("lens", "site", "span", measure, "low", "high", "control", "difference", "p_value")
    rows = [
        (
            name,
            point.place.site,
            point.place.span,
            point.estimate.value,
            point.estimate.low,
            point.estimate.high,
            None if point.control is None else point.control.value,
            point.difference.value,
            point.p_value,
        )
        for name, curve in curves.items()
        for point in curve.points(bootstrap)
    ]
    return DataTable.from_rows(names, rows)


def curves_of(
    measures: Sequence[str],
    places: tuple[Place, ...],
    items: Sequence[ItemName],
    values: Float64Array,
    controls: Mapping[str, Float64Array],
) -> dict[tuple[str, Positions], SiteCurve]:
    """Return the curve of each measure and combination of positions.

    Args:
        measures: names of the measures.
        places: the places.
        items: name and concept of each item.
        values: shape (n_items, n_places, 2, n_measures); the third axis is `POSITIONS`.
        controls: values of each control, of the same shape.
    """
    return {
        (measure, positions): SiteCurve(
            measure=f"{measure} ({positions} over positions)",
            places=places,
            concepts=tuple(item.concept for item in items),
            values=values[:, :, p, m],
            controls={name: array[:, :, p, m] for name, array in controls.items()},
            items=tuple(item.id for item in items),
        )
        for m, measure in enumerate(measures)
        for p, positions in enumerate(POSITIONS)
    }


def target_measures(
    n_measures: int,
    readings: Mapping[int, Mapping[Place, Float64Array]],
    places: Sequence[Place],
    targets: Sequence[int | None],
    concepts: Sequence[Hashable],
) -> tuple[Float64Array, Float64Array]:
    """Return the measures of the target of each prompt, and those of targets of other concepts.

    The second array is the expected value if another concept is drawn at random, and then the
    target of one of its prompts. Without information on the prompts, both arrays have the same mean
    over concepts, also if a lens prefers some targets.

    Args:
        n_measures: number of measures.
        readings: measures of all targets at the places of each prompt, keyed by its index, shape
            (2, n_targets, n_measures) each; places that a prompt does not have are absent.
        places: the places.
        targets: index of the target of each prompt; None if it has no target.
        concepts: concept of each prompt.

    Returns:
        Arrays of shape (n_prompts, n_places, 2, n_measures); NaN where a value is undefined.
    """
    examples = [array for by_place in readings.values() for array in by_place.values()]
    n_targets = examples[0].shape[1] if examples else 0
    measures = np.full((len(targets), len(places), 2, n_measures), np.nan)
    shuffled = measures.copy()
    counts: dict[Hashable, Float64Array] = {}
    for target, concept in zip(targets, concepts, strict=True):
        if target is not None and examples:
            counts.setdefault(concept, np.zeros(n_targets))[target] += 1
    for n, by_place in readings.items():
        target = targets[n]
        if target is None:
            continue
        others = [each / each.sum() for concept, each in counts.items() if concept != concepts[n]]
        shares = np.mean(others, axis=0) if others else None
        for column, place in enumerate(places):
            if place in by_place:
                measures[n, column] = by_place[place][:, target]
                if shares is not None:
                    shuffled[n, column] = np.einsum("t,ptm->pm", shares, by_place[place])
    return measures, shuffled
