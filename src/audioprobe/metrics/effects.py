"""Results of a designed experiment: main effects of its factors, and the Pareto front.

Conventions:
    A run is one observation of the experiment, with one level of every factor. Its value is
    modelled as the sum of an intercept, the effect of its block (such as a seed), one effect per
    factor, and noise. Interactions between factors are not modelled and count as noise.

    A unit is a combination of levels that is run several times, with different seeds. All runs of a
    unit have the same interactions, so a hundred seeds of two units are still two units. If units
    are passed, the noise is estimated from the residuals of the means of units, as in a split-plot
    experiment; otherwise it is assumed to be independent between runs.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

_RELATIVE_ROUNDING = 1e-12  # residuals below this share of the values are rounding errors
_UNDETERMINED = 1e-8  # a coefficient with a larger component in the null space is undetermined


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of one level of a factor.

    Attributes:
        factor: name of the factor.
        level: name of the level, which is compared with the baseline level of the factor.
        estimate: difference from the baseline level, in the unit of the values; `n` counts the
            fitted runs, `n_undefined` the runs without a value. The value is None if the design
            does not determine the difference; `method` states the reason.
        n_runs: number of fitted runs with this level.
        p_value: two-sided p-value of the hypothesis that there is no difference; None if the noise
            cannot be estimated.
    """

    factor: str
    level: str
    estimate: Estimate
    n_runs: int
    p_value: float | None


def main_effects(
    factors: Mapping[str, Sequence[str]],
    values: Sequence[float | None] | FloatArray,
    *,
    baseline: Mapping[str, str],
    blocks: Sequence[Hashable] | None = None,
    units: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> tuple[Effect, ...]:
    """Return the effect of every level of each factor, compared with the baseline of the factor.

    Effects are estimated by ordinary least squares. The effect of a level is undefined if its
    column in the design matrix is a linear combination of other columns. p-values are uncorrected.

    Args:
        factors: for each factor, its level in each run, shape (n_runs,).
        values: value of each run; runs with None or NaN are excluded.
        baseline: for each factor, the level with which its other levels are compared.
        blocks: block of each run; differences between blocks are removed. None means one block.
        units: unit of each run; None makes each run its own unit. If every unit has the same number
            of runs in every block, the intervals equal those of least squares over the means of
            units; otherwise they approximate them.
        level: confidence level of the intervals (Student's t), in (0, 1).

    Returns:
        One effect per level except baselines, in the order of the factors and of first appearance.
        If there are no residual degrees of freedom, or all residuals are 0, an effect has neither
        an interval nor a p-value.

    Raises:
        InvalidInputError: if an argument is empty, infinite, of another length, or not in (0, 1),
            or if a baseline is missing or not a level of its factor.
    """
    numbers = np.array(values, dtype=np.float64)
    _check(factors, numbers, baseline, {"block": blocks, "unit": units}, level)
    fitted = ~np.isnan(numbers)
    columns = {
        (factor, name): np.array([value == name for value in levels])[fitted]
        for factor, levels in factors.items()
        for name in dict.fromkeys(levels)
    }
    terms = [(factor, name) for factor, name in columns if name != baseline[factor]]
    # The intercept belongs to the first block.
    block_columns = () if blocks is None else _indicators(blocks, fitted)[1:]
    intercept = np.ones(int(fitted.sum()))
    design = np.array([*(columns[term] for term in terms), intercept, *block_columns]).T
    unit_rows = None if units is None else _indicators(units, fitted)
    fit = _LeastSquares.of(design, numbers[fitted], unit_rows)
    n_left_out = int(np.count_nonzero(~fitted))
    effects = []
    for index, (factor, name) in enumerate(terms):
        n_runs = int(columns[factor, name].sum())
        if n_runs and columns[factor, baseline[factor]].any():
            estimate, p_value = fit.effect(index, level, n_left_out)
        else:
            reason = f"no runs of {'the baseline' if n_runs else 'this'} level"
            estimate = Estimate(value=None, n=0, n_undefined=n_left_out, method=reason)
            p_value = None
        effects.append(Effect(factor, name, estimate, n_runs, p_value))
    return tuple(effects)


def pareto_front(
    gains: Sequence[float | None] | FloatArray, losses: Sequence[float | None] | FloatArray
) -> BoolArray:
    """Return which points are on the Pareto front: no other point dominates them.

    Point A dominates point B if its gain is not smaller, its loss is not larger, and at least one
    of both is better. Equal points are all on the front or all off it. A point with an undefined
    gain or loss is not on the front and does not dominate other points.

    Args:
        gains: shape (n_points,), larger is better; None or NaN if undefined.
        losses: shape (n_points,), smaller is better; None or NaN if undefined.
    """
    gain, loss = (np.array(values, dtype=np.float64) for values in (gains, losses))
    if gain.ndim != 1 or gain.shape != loss.shape:
        raise InvalidInputError(
            "Expected gains and losses of the same shape (n_points,), got "
            f"{gain.shape} and {loss.shape}."
        )
    defined = np.flatnonzero(~(np.isnan(gain) | np.isnan(loss)))
    on_front = np.zeros(len(gain), dtype=np.bool_)
    last = None
    # Sorted by decreasing gain, then by increasing loss.
    for index in defined[np.lexsort((loss[defined], -gain[defined]))]:
        point = gain[index], loss[index]
        if last is None or point[1] < last[1] or point == last:
            on_front[index] = True
            last = point
    return on_front


def _indicators(names: Sequence[Hashable], fitted: BoolArray) -> BoolArray:
    """Return indicator variables for the regression, shape (n_names, n_fitted).

    An entry is True if the fitted run (column) has the name (row) of a level, block or unit.
    """
    selected = [name for name, is_fitted in zip(names, fitted, strict=True) if is_fitted]
    rows = [[name == other for other in selected] for name in dict.fromkeys(selected)]
    return np.array(rows, dtype=np.bool_).reshape(len(rows), len(selected))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _LeastSquares:
    """Result of a minimum-norm least-squares fit of the values of runs to a design matrix."""

    coefficients: Float64Array  # one per column of the design matrix
    errors: Float64Array  # standard errors of the coefficients for noise of variance 1
    determined: BoolArray  # False for a column that is a linear combination of other columns
    n_runs: int
    df: float  # residual degrees of freedom, of the units if there are units
    noise: float | None  # standard deviation of the residuals; None if it cannot be estimated
    n_units: int | None  # None if each run is its own unit

    @classmethod
    def of(
        cls, design: Float64Array, values: Float64Array, units: BoolArray | None
    ) -> "_LeastSquares":
        # The null space needs all right singular vectors.
        left, sizes, right = np.linalg.svd(design, full_matrices=design.shape[0] < design.shape[1])
        smallest = max(design.shape) * np.finfo(np.float64).eps * sizes.max(initial=0.0)
        rank = int(np.count_nonzero(sizes > smallest))
        inverse = right[:rank].T / sizes[:rank]
        span = left[:, :rank]
        projections = span.T @ values
        residuals, df = values - span @ projections, float(len(values) - rank)
        if units is not None:
            # Replace the residuals and the span by their means over the runs of each unit.
            means = units / np.sqrt(units.sum(axis=1, keepdims=True))
            residuals = means @ residuals
            df = len(means) - float(np.square(means @ span).sum())
        norm = float(np.linalg.norm(residuals))
        has_noise = df > _UNDETERMINED and norm > _RELATIVE_ROUNDING * float(np.linalg.norm(values))
        return cls(
            coefficients=inverse @ projections,
            errors=np.linalg.norm(inverse, axis=1),
            determined=np.linalg.norm(right[rank:], axis=0) < _UNDETERMINED,
            n_runs=len(values),
            df=df,
            noise=norm / math.sqrt(df) if has_noise else None,
            n_units=None if units is None else len(units),
        )

    def effect(self, index: int, level: float, n_left_out: int) -> tuple[Estimate, float | None]:
        """Return a coefficient with its confidence interval, and the p-value that it is not 0."""
        if not self.determined[index]:
            reason = "confounded with other factors"
            return Estimate(value=None, n=0, n_undefined=n_left_out, method=reason), None
        value = float(self.coefficients[index])
        units = "" if self.n_units is None else f" of {self.n_units} units"
        method = f"least squares, additive, {self.n_runs} runs{units}"
        method += f", {self.df:.4g} residual degrees of freedom"
        if self.noise is None:
            method += ", no interval: no residuals to estimate the noise from"
            return Estimate(value=value, n=self.n_runs, n_undefined=n_left_out, method=method), None
        error = self.noise * float(self.errors[index])
        margin = error * float(stdtrit(self.df, (1 + level) / 2))
        estimate = Estimate(
            value=value,
            n=self.n_runs,
            n_undefined=n_left_out,
            low=value - margin,
            high=value + margin,
            method=f"{method}, {level:.0%}",
        )
        return estimate, float(2 * stdtr(self.df, -abs(value) / error))


def _check(
    factors: Mapping[str, Sequence[str]],
    values: Float64Array,
    baseline: Mapping[str, str],
    names: Mapping[str, Sequence[Hashable] | None],
    level: float,
) -> None:
    if values.ndim != 1 or not values.size or not factors or np.isinf(values).any():
        raise InvalidInputError(
            "Expected at least one factor and at least one value, shape (n_runs,), and no infinite "
            f"value, got {len(factors)} factors and values of shape {values.shape}."
        )
    if not 0 < level < 1:
        raise InvalidInputError(f"A confidence level must be in (0, 1), got {level}.")
    if factors.keys() != baseline.keys():
        raise InvalidInputError(
            f"Expected a baseline for each of {', '.join(factors)}, got {', '.join(baseline)}."
        )
    levels = {f"level of {factor!r}": names for factor, names in factors.items()}
    for what, entries in {**names, **levels}.items():
        if entries is not None and len(entries) != len(values):
            raise InvalidInputError(
                f"Expected a {what} for each of {len(values)} runs, got {len(entries)}."
            )
    for factor, of_runs in factors.items():
        if baseline[factor] not in of_runs:
            hint = did_you_mean(baseline[factor], set(of_runs))
            raise InvalidInputError(
                f"No run has the baseline level {baseline[factor]!r} of {factor!r}.{hint}"
            )
