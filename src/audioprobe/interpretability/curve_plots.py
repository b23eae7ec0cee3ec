"""Figures of curves over sites (extra `report`), for `SiteCurve.plot`."""

from collections.abc import Callable, Mapping

import numpy as np

from audioprobe.errors import InvalidInputError, needs_extra
from audioprobe.interpretability.site_curve import CurvePoint, SiteCurve
from audioprobe.io.text_table import printable
from audioprobe.plots.canvas import Canvas
from audioprobe.plots.figures import LINE, legend, plain

with needs_extra("report"):
    from matplotlib.axes import Axes

_MOST_NAMES = 40  # sites whose names are written


def plot_curve(curve: SiteCurve, canvas: Canvas) -> Axes:
    """Draw one line with a band per span; dashed lines are controls."""
    points = curve.points()
    if all(point.estimate.value is None for point in points):
        raise InvalidInputError("No value is defined, so nothing can be drawn.")
    sites = list(dict.fromkeys(place.site for place in curve.places))
    axes = canvas(3.0 + 0.2 * len(sites), 4.2)
    axes.axhline(curve.neutral, color=LINE, linewidth=1, linestyle="--")
    for number, span in enumerate(dict.fromkeys(place.span for place in curve.places)):
        line = {p.place.site: p for p in points if p.place.span == span}
        _draw_line(axes, sites, line, f"C{number % 10}", printable(span))
    every = -(-len(sites) // _MOST_NAMES)
    axes.set_xticks(
        range(0, len(sites), every), [printable(s) for s in sites[::every]], rotation=90, fontsize=7
    )
    axes.set_ylabel(curve.measure)
    legend(axes, "best")
    plain(axes)
    return axes


def _draw_line(
    axes: Axes, sites: list[str], line: Mapping[str, CurvePoint], color: str, name: str
) -> None:
    """Draw the estimates of a span with their band, and its control."""
    across = [n for n, site in enumerate(sites) if site in line]
    chosen = [line[sites[n]] for n in across]

    def heights(values: list[float | None]) -> list[float]:
        return [np.nan if value is None else value for value in values]

    estimates = [point.estimate for point in chosen]
    axes.plot(across, heights([e.value for e in estimates]), color=color, marker=".", label=name)
    low, high = heights([e.low for e in estimates]), heights([e.high for e in estimates])
    axes.fill_between(across, low, high, color=color, alpha=0.2, linewidth=0)
    controls = [point.control for point in chosen if point.control is not None]
    if len(controls) == len(chosen):
        values = heights([c.value for c in controls])
        axes.plot(across, values, color=color, linestyle=":", label=f"{name}, control")


PLOTS: Mapping[str, Callable[[SiteCurve, Canvas], Axes]] = {"curve": plot_curve}
"""Functions that draw a curve, by the name of the plot."""
