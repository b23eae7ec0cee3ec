"""Charts of the measurements of a study."""

from collections.abc import Iterator

import numpy as np

from audioprobe.experiments.interpretability.probe_data import LABELS, estimate_in
from audioprobe.experiments.interpretability.representations import (
    DISTANCE,
    LINEAR,
    SIMILARITY,
    TRANSFER,
)
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.trials import ALL, FAMILIARITY
from audioprobe.interpretability.site_curve import SiteCurve
from audioprobe.io.data_table import DataTable
from audioprobe.reports.charts import Chart
from audioprobe.reports.site_charts import site_curves, site_heat_map
from audioprobe.types import Estimate


def curve_charts(record: InterpretabilityRecord, name: str, curve: SiteCurve) -> Iterator[Chart]:
    """Yield charts of a curve: all spans with their control, familiar and unfamiliar, concepts.

    Args:
        record: the study, whose trials are the items of the curve.
        name: name of the curve.
        curve: the curve.
    """
    spans = list(dict.fromkeys(place.span for place in curve.places))
    control = next(iter(curve.controls), "")
    series = {}
    for span in spans:
        part = curve.at(span=span)
        series[span] = _estimates(record, part)
        if control:
            points = part.points(record.config.bootstrap)
            controls = {p.place.site: p.control for p in points if p.control is not None}
            series[f"{span}, control: {control}"] = controls
    caption = f"{name}: {curve.measure} by site, mean over concepts with simultaneous band."
    yield site_curves(series, curve.measure, caption, reference=curve.neutral)
    parts = {
        f"{FAMILIARITY[familiar]}, {span}": curve.at(span=span).only(mask)
        for familiar in (True, False)
        if (mask := record.trials.where(curve.items, familiar=familiar)).any()
        for span in spans
    }
    if len(parts) > len(spans):
        series = {key: _estimates(record, part) for key, part in parts.items()}
        caption = f"{name}: {curve.measure} for familiar and unfamiliar recordings."
        yield site_curves(series, curve.measure, caption, reference=curve.neutral)
    for span in spans:
        part = curve.at(span=span)
        concepts, means = part.concept_means()
        _, reference = part.concept_means(control)
        above = means - (reference if control else curve.neutral)
        sites = [place.site for place in part.places]
        scale = f"{curve.measure} minus {control or 'the value without effect'}"
        caption = f"{name}: {scale}, by concept and site; span {span}."
        yield site_heat_map(list(map(str, concepts)), sites, above, scale, caption)


def table_charts(name: str, table: DataTable) -> Iterator[Chart]:
    """Yield charts of a table of measurements; none for an unknown or an empty one."""
    if not len(table):
        return
    if name == LINEAR:
        for label in LABELS:
            caption = (
                f"AUC of linear probes of the {label} by site, on concepts that they were not "
                "trained on. The dashed line is chance."
            )
            series = _by_site(table, "auc", "{modality}, {group}", label=label)
            yield site_curves(series, "AUC", caption, reference=0.5)
    elif name == TRANSFER:
        for label in LABELS:
            caption = (
                f"AUC of probes of the {label} that are trained in one modality and tested in the "
                "other, and their ceiling: probes that are trained on the test modality."
            )
            series = _by_site(table, "auc", "{train} to {test}", label=label)
            series |= _by_site(table, "ceiling_auc", "{test} to {test} (ceiling)", label=label)
            yield site_curves(series, "AUC", caption, reference=0.5)
    elif name == DISTANCE:
        measures = ("separability", "retrieval", "cosine_difference")
        series = {
            measure.replace("_", " of "): points
            for measure in measures
            for points in _by_site(table, measure, "").values()
        }
        caption = "Separability of text and audio states, and whether concepts match, by site."
        yield site_curves(series, "value", caption)
    elif name == SIMILARITY:
        yield _similarities(table)


def _similarities(table: DataTable) -> Chart:
    """Return a heat map of the excess similarity of each pair of sites, of all recordings."""
    columns = [table.columns[name] for name in ("group", "first", "second", "excess")]
    rows = [row for row in zip(*columns, strict=True) if row[0] == ALL]
    first, second = (list(dict.fromkeys(str(row[n]) for row in rows)) for n in (1, 2))
    values = np.full((len(first), len(second)), np.nan)
    for _, text, audio, excess in rows:
        if isinstance(excess, float):
            values[first.index(str(text)), second.index(str(audio))] = excess
    caption = (
        "Similarity (CKA) of text (rows) and audio (columns) states of the same concepts, minus "
        "the mean of permuted concepts."
    )
    scale = "CKA above permuted concepts"
    return site_heat_map(first, second, values, scale, caption, row_title="site in text")


def _estimates(record: InterpretabilityRecord, curve: SiteCurve) -> dict[str, Estimate]:
    """Return the estimates of a curve of one span by site."""
    return {p.place.site: p.estimate for p in curve.points(record.config.bootstrap)}


def _by_site(
    table: DataTable, measure: str, name: str, **values: str
) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of each curve by site.

    Args:
        table: table of measurements.
        measure: name of the column with the estimate.
        name: name of the curve of a row, with names of columns in braces.
        values: values of columns that rows must have.
    """
    series: dict[str, dict[str, Estimate]] = {}
    for number in range(len(table)):
        row = {column: cells[number] for column, cells in table.columns.items()}
        if all(row[column] == value for column, value in values.items()):
            points = series.setdefault(name.format_map(row), {})
            points[str(row["site"])] = estimate_in(table, number, measure)
    return series
