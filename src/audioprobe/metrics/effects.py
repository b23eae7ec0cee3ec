"""What each factor of a designed experiment does by itself, told apart from all others.

Conventions:
    A run has one level of every factor and one value. The model is additive: a value is an
    intercept, the effect of its block (such as a seed), one effect of each factor's level, and
    noise. Interactions are no part of it, and end up in the noise.

    Runs of one unit (a combination of levels that was run by several seeds) share their
    interactions: a hundred seeds of two strategies are still two strategies. With units, noise is
    what means of units leave unexplained, as in a split-plot experiment. Without, it is independent
    from run to run.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.types import BoolArray, Estimate, Float64Array, FloatArray

_NOTHING = 1e-12  # of a sum of residuals that only rounding has left, relative to the values
_ALONG = 1e-8  # of a direction along which the design tells nothing


@dataclass(frozen=True, slots=True)
class Effect:
    """What one level of a factor changes.

    Attributes:
        factor: whose level it is.
        level: compared with the factor's baseline level.
        estimate: difference from the baseline level, in the unit of the values; `n` counts the
            runs that were fitted, `n_undefined` those left out because they have no value. The
            value is None where the design does not tell it, and `method` says why.
        n_runs: runs of this level among those that were fitted.
        p_value: two-sided, of no difference; None where there is no estimate of the noise.
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
    """Effects of all levels against their baselines, by ordinary least squares.

    A level whose difference from its baseline is a combination of other columns of the design (of
    factors or blocks) cannot be told apart from them: it is undefined, while the others are not.
    p-values are of single levels; for all of them together see `many_tests.holm`.

    Args:
        factors: level of each factor for each run, shape (n_runs,) each.
        values: of each run; None or NaN leaves a run out.
        baseline: level of each factor against which its other levels are told.
        blocks: of each run; differences between blocks are taken out. None is a single block.
        units: of each run; None lets each be its own. Where every unit has as many runs in every
            block, intervals are those of least squares over means of units; elsewhere they are
            close to it.
        level: of the intervals (Student's t with the residual degrees of freedom), in (0, 1).

    Returns:
        One for each level but the baselines, in the order of the factors and of first appearance.
        Without residual degrees of freedom, or where nothing is left to be noise, an effect has
        neither interval nor p-value.

    Raises:
        InvalidInputError: if there are no factors or runs, lengths differ, a value is infinite,
            a baseline is missing or no level of its factor, or `level` is not in (0, 1).
    """
    numbers = np.array(values, dtype=np.float64)
    _check(factors, numbers, baseline, {"block": blocks, "unit": units}, level)
    there = ~np.isnan(numbers)
    columns = {
        (factor, name): np.array([own == name for own in levels])[there]
        for factor, levels in factors.items()
        for name in dict.fromkeys(levels)
    }
    terms = [(factor, name) for factor, name in columns if name != baseline[factor]]
    # The intercept stands for the first block.
    rest = _members(blocks, there)[1:] if blocks is not None else ()
    design = np.array([*(columns[term] for term in terms), np.ones(int(there.sum())), *rest]).T
    fit = _Fit.of(design, numbers[there], None if units is None else _members(units, there))
    n_left_out = int(np.count_nonzero(~there))
    found = []
    for index, (factor, name) in enumerate(terms):
        n_runs = int(columns[factor, name].sum())
        if not n_runs or not columns[factor, baseline[factor]].any():
            why = f"no runs of {'the baseline' if n_runs else 'this'} level"
            undefined = Estimate(value=None, n=0, n_undefined=n_left_out, method=why)
            found.append(Effect(factor, name, undefined, n_runs, None))
            continue
        estimate, p_value = fit.effect(index, level, n_left_out)
        found.append(Effect(factor, name, estimate, n_runs, p_value))
    return tuple(found)


def _members(owners: Sequence[Hashable], there: BoolArray) -> BoolArray:
    """Which of the fitted runs each owner has, shape (n_owners, n_fitted)."""
    kept = [owner for owner, fitted in zip(owners, there, strict=True) if fitted]
    each = [[own == owner for own in kept] for owner in dict.fromkeys(kept)]
    return np.array(each, dtype=np.bool_).reshape(len(each), len(kept))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Least squares of smallest norm, and what of it the design determines.

    Attributes:
        coefficients: of each column of the design.
        errors: standard errors of the coefficients for noise of variance 1.
        determined: False where a column is a combination of others.
        n_runs: that were fitted.
        df: residual degrees of freedom; of units, where there are any.
        noise: standard deviation of the residuals; None where nothing is left to be noise.
        n_units: that were fitted; None where each run is its own.
    """

    coefficients: Float64Array
    errors: Float64Array
    determined: BoolArray
    n_runs: int
    df: float
    noise: float | None
    n_units: int | None

    @classmethod
    def of(cls, design: Float64Array, values: Float64Array, units: BoolArray | None) -> "_Fit":
        # All directions of coefficients are wanted, and of runs only those that are fitted.
        left, sizes, right = np.linalg.svd(design, full_matrices=design.shape[0] < design.shape[1])
        smallest = max(design.shape) * np.finfo(np.float64).eps * sizes.max(initial=0.0)
        rank = int(np.count_nonzero(sizes > smallest))
        # A coefficient is determined if no direction that leaves the fit as it is touches it.
        free = np.linalg.norm(right[rank:], axis=0)
        inverse = right[:rank].T / sizes[:rank]
        span = left[:, :rank]
        scores = span.T @ values
        residuals, df = values - span @ scores, float(len(values) - rank)
        if units is not None:
            # Of residuals and of what is fitted, the part that all runs of a unit share.
            means = units / np.sqrt(units.sum(axis=1, keepdims=True))
            residuals = means @ residuals
            df = len(means) - float(np.square(means @ span).sum())
        apart = float(np.linalg.norm(residuals))
        is_noise = df > _ALONG and apart > _NOTHING * float(np.linalg.norm(values))
        return cls(
            coefficients=inverse @ scores,
            errors=np.linalg.norm(inverse, axis=1),
            determined=free < _ALONG,
            n_runs=len(values),
            df=df,
            noise=apart / math.sqrt(df) if is_noise else None,
            n_units=None if units is None else len(units),
        )

    def effect(self, index: int, level: float, n_left_out: int) -> tuple[Estimate, float | None]:
        """A coefficient with its interval, and the p-value of 0."""
        if not self.determined[index]:
            why = "confounded with other factors"
            return Estimate(value=None, n=0, n_undefined=n_left_out, method=why), None
        value = float(self.coefficients[index])
        runs = f"{self.n_runs} runs"
        runs += "" if self.n_units is None else f" of {self.n_units} units"
        method = f"least squares, additive, {runs}, {self.df:.4g} residual degrees of freedom"
        if self.noise is None:
            why = "no interval: nothing is left to be noise"
            return Estimate(
                value=value, n=self.n_runs, n_undefined=n_left_out, method=f"{method}, {why}"
            ), None
        error = self.noise * float(self.errors[index])
        student = stats.t(self.df)
        margin = error * float(student.ppf((1 + level) / 2))
        estimate = Estimate(
            value=value,
            n=self.n_runs,
            n_undefined=n_left_out,
            low=value - margin,
            high=value + margin,
            method=f"{method}, {level:.0%}",
        )
        return estimate, float(2 * student.sf(abs(value) / error))


def _check(
    factors: Mapping[str, Sequence[str]],
    values: Float64Array,
    baseline: Mapping[str, str],
    belongs: Mapping[str, Sequence[Hashable] | None],
    level: float,
) -> None:
    if values.ndim != 1 or not values.size or not factors or np.isinf(values).any():
        raise InvalidInputError(
            "Expected at least one factor, and values of shape (n_runs,), at least one and none "
            f"infinite, got {len(factors)} factors and values of shape {values.shape}."
        )
    if not 0 < level < 1:
        raise InvalidInputError(f"The level of an interval must be in (0, 1), got {level}.")
    for what, owners in belongs.items():
        if owners is not None and len(owners) != len(values):
            raise InvalidInputError(
                f"Expected a {what} for each of {len(values)} runs, got {len(owners)}."
            )
    if factors.keys() != baseline.keys():
        raise InvalidInputError(
            f"Expected a baseline for each of {', '.join(factors)}, got {', '.join(baseline)}."
        )
    for factor, levels in factors.items():
        if len(levels) != len(values):
            raise InvalidInputError(
                f"Expected a level of {factor!r} for each of {len(values)} runs, got {len(levels)}."
            )
        if baseline[factor] not in levels:
            hint = did_you_mean(baseline[factor], set(levels))
            raise InvalidInputError(
                f"No run has the baseline level {baseline[factor]!r} of {factor!r}.{hint}"
            )
