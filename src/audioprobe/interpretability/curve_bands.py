"""Simultaneous bands and corrected p-values of means over concepts at many places.

See the conventions of `site_curve`. Undefined values are NaN, and are left out of the means.
"""

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.significance import ROUNDING, exchanges_of
from audioprobe.types import Estimate, Float64Array

_N_FLIPS = 2000
_CHUNK = 4_000_000  # largest number of values of resamples in memory
_LEAST_CONCEPTS = 3  # with fewer, neither a band nor a test says anything


def column_means(values: Float64Array) -> Float64Array:
    """Return the mean of the defined values of each column; NaN if there are none.

    Columns may have any shape: the result has the shape of `values` without its first dimension.
    """
    counts = (~np.isnan(values)).sum(axis=0)
    sums = np.nansum(values, axis=0)
    out = np.full(values.shape[1:], np.nan)
    return np.asarray(np.divide(sums, counts, out=out, where=counts > 0), dtype=np.float64)


def banded(means: Float64Array, bootstrap: Bootstrap) -> list[Estimate]:
    """Return the mean over concepts at each place, with a simultaneous band.

    `means` has shape (n_concepts, n_places); undefined values are NaN.
    """
    defined = ~np.isnan(means)
    centre, errors = column_means(means), _standard_errors(means)
    usable = (defined.sum(axis=0) >= _LEAST_CONCEPTS) & (errors > ROUNDING)
    largest = np.zeros(bootstrap.n_resamples)
    if usable.any():
        largest = _largest_deviations(means[:, usable], centre[usable], bootstrap)
    factor = float(np.quantile(largest, bootstrap.level))
    return [
        _estimate(
            means[:, n],
            float(centre[n]),
            factor * float(errors[n]) if usable[n] else None,
            bootstrap,
        )
        for n in range(means.shape[1])
    ]


def _largest_deviations(
    means: Float64Array, centre: Float64Array, bootstrap: Bootstrap
) -> Float64Array:
    """Return the largest studentized deviation from the centre of each resample of concepts."""
    rng, (n_concepts, n_places) = np.random.default_rng(bootstrap.seed), means.shape
    size = max(1, _CHUNK // (n_concepts * n_places))
    parts = []
    for first in range(0, bootstrap.n_resamples, size):
        n = min(size, bootstrap.n_resamples - first)
        drawn = rng.integers(n_concepts, size=(n, n_concepts))
        samples = means[drawn].swapaxes(0, 1)  # concepts, resamples, places
        deviations = np.abs(column_means(samples) - centre)
        spread = _standard_errors(samples)
        ratio = np.zeros(spread.shape)
        np.divide(deviations, spread, out=ratio, where=spread > ROUNDING)
        parts.append(ratio.max(axis=1))
    return np.concatenate(parts)


def _estimate(
    values: Float64Array, centre: float, width: float | None, bootstrap: Bootstrap
) -> Estimate:
    """Return the estimate at a place.

    Args:
        values: mean of each concept; NaN if it is undefined.
        centre: mean over concepts.
        width: half of the width of the band; None if there is no band.
        bootstrap: settings of the band.
    """
    n_defined = int((~np.isnan(values)).sum())
    n_undefined = len(values) - n_defined
    if not n_defined:
        return Estimate(value=None, n=0, n_undefined=n_undefined, method="undefined for all items")
    if width is None:
        reason = f"no band: fewer than {_LEAST_CONCEPTS} concepts, or equal values"
        return Estimate(value=centre, n=n_defined, n_undefined=n_undefined, method=reason)
    return Estimate(
        value=centre,
        n=n_defined,
        n_undefined=n_undefined,
        low=centre - width,
        high=centre + width,
        method=f"simultaneous band, {bootstrap.n_resamples} resamples, seed {bootstrap.seed}",
        n_groups=n_defined,
        unit="concepts",
    )


def _standard_errors(means: Float64Array) -> Float64Array:
    """Return the standard error of the mean of each column; NaN with fewer than two values."""
    counts = (~np.isnan(means)).sum(axis=0)
    deviations = means - column_means(means)
    squares = np.nansum(deviations**2, axis=0)
    out = np.full(means.shape[1:], np.nan)
    variances = np.divide(squares, counts * (counts - 1.0), out=out, where=counts > 1)
    return np.asarray(np.sqrt(variances), dtype=np.float64)


def corrected_p_values(differences: Float64Array, seed: int) -> list[float | None]:
    """Return the corrected p-value of the mean difference at each place, from sign flips."""
    defined = ~np.isnan(differences)
    counts = defined.sum(axis=0)
    usable = counts >= _LEAST_CONCEPTS
    values = np.where(defined, differences, 0.0)[:, usable]
    signs = 1.0 - 2.0 * exchanges_of(len(differences), _N_FLIPS, seed)
    n = counts[usable].astype(np.float64)
    means = signs @ values / n
    squares = (values**2).sum(axis=0) / n
    variances = np.maximum(squares - means**2, 0) / (n - 1)
    floor = np.maximum(squares, ROUNDING) * ROUNDING  # equal values of one sign
    statistics = np.abs(means) / np.sqrt(variances + floor)
    largest = statistics.max(axis=1, initial=0.0)
    p_values: list[float | None] = [None] * differences.shape[1]
    for position, column in enumerate(np.flatnonzero(usable)):
        observed = statistics[0, position]
        p_values[column] = float(np.mean(largest >= observed * (1 - 1e-9)))
    return p_values
