"""Main effects: exact recovery, coverage of intervals, confounding, units."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.effects import Effect, main_effects

LEVELS = {"data": ("few", "many", "most"), "parts": ("projector", "all"), "held": ("no", "yes")}
BASELINE = {factor: levels[0] for factor, levels in LEVELS.items()}
RUNS = [(of, seed) for of in itertools.product(*LEVELS.values()) for seed in range(3)]
FACTORS = {factor: [of[n] for of, _ in RUNS] for n, factor in enumerate(LEVELS)}
SEEDS = [seed for _, seed in RUNS]
TRUTH = {("data", "many"): 0.5, ("data", "most"): 0.8, ("parts", "all"): -0.3, ("held", "yes"): 0.0}


def made(truth: dict[tuple[str, str], float], blocks: Sequence[float] = (0, 1, -2)) -> np.ndarray:
    """Return the values of all runs without noise."""
    return np.array(
        [
            3.0 + blocks[seed] + sum(truth.get(term, 0.0) for term in zip(LEVELS, of, strict=True))
            for of, seed in RUNS
        ]
    )


def noise(seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=len(RUNS))


def fitted(
    values: Sequence[float | None] | np.ndarray, blocks: Sequence[int] | None = SEEDS
) -> dict[tuple[str, str], Effect]:
    effects = main_effects(FACTORS, values, baseline=BASELINE, blocks=blocks)
    return {(effect.factor, effect.level): effect for effect in effects}


def value(effect: Effect) -> float:
    assert effect.estimate.value is not None
    return effect.estimate.value


EFFECTS = st.floats(-10, 10)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(TRUTH, EFFECTS)),
    st.tuples(EFFECTS, EFFECTS, EFFECTS),
    st.sets(st.integers(0, len(RUNS) - 1), max_size=8),
)
def test_effects_without_noise_are_exact_with_missing_runs(
    truth: dict[tuple[str, str], float], blocks: tuple[float, float, float], missing: set[int]
) -> None:
    values = [None if n in missing else float(v) for n, v in enumerate(made(truth, blocks))]
    effects = fitted(values)
    assert list(effects) == list(TRUTH)
    for term, effect in effects.items():
        assert value(effect) == pytest.approx(truth[term], abs=1e-9)
        assert effect.estimate.n == len(RUNS) - len(missing)
        assert effect.estimate.n_undefined == len(missing)
        runs = zip(FACTORS[term[0]], values, strict=True)
        assert effect.n_runs == sum(level == term[1] and v is not None for level, v in runs)


def test_effects_without_noise_have_no_interval() -> None:
    for effect in fitted(made(TRUTH)).values():
        assert (effect.estimate.low, effect.p_value) == (None, None)
        assert "no residuals to estimate the noise from" in effect.estimate.method


def _design() -> np.ndarray:
    terms = [[level == name for level in FACTORS[factor]] for factor, name in TRUTH]
    return np.array([*terms, *([seed == n for seed in SEEDS] for n in (1, 2))], dtype=float).T


def test_coefficients_agree_with_scikit_learn_and_numpy() -> None:
    values = made(TRUTH) + noise(0)
    effects = [value(effect) for effect in fitted(values).values()]
    regression = LinearRegression().fit(_design(), values)
    assert effects == pytest.approx(regression.coef_[:4].tolist())
    with_intercept = np.column_stack([_design(), np.ones(len(RUNS))])
    by_hand = np.linalg.lstsq(with_intercept, values, rcond=None)[0]
    assert effects == pytest.approx(by_hand[:4].tolist())


def test_interval_and_p_value_agree_with_textbook_formulas() -> None:
    values = made(TRUTH) + noise(1)
    x = np.column_stack([_design(), np.ones(len(RUNS))])
    coefficients, (squares,), rank, _ = np.linalg.lstsq(x, values, rcond=None)
    df = len(RUNS) - int(rank)
    errors = np.sqrt(squares / df * np.diag(np.linalg.inv(x.T @ x)))
    for n, effect in enumerate(fitted(values).values()):
        low, high = stats.t.interval(0.95, df, coefficients[n], errors[n])
        assert (effect.estimate.low, effect.estimate.high) == pytest.approx((low, high))
        assert effect.p_value == pytest.approx(2 * stats.t.sf(abs(coefficients[n]) / errors[n], df))
        assert effect.estimate.method == (
            "least squares, additive, 36 runs, 29 residual degrees of freedom, 95%"
        )


def test_two_levels_without_blocks_agree_with_the_t_test() -> None:
    values, levels = noise(2)[:11], ["a", "b", "b"] * 3 + ["a", "a"]
    (effect,) = main_effects({"x": levels}, values, baseline={"x": "a"})
    is_b = np.array(levels) == "b"
    expected = stats.ttest_ind(values[is_b], values[~is_b])
    assert effect.p_value == pytest.approx(float(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (effect.estimate.low, effect.estimate.high) == pytest.approx(tuple(interval))


def test_intervals_cover_the_true_effect_at_their_level() -> None:
    covered = []
    for seed in range(400):
        for term, effect in fitted(made(TRUTH) + noise(seed)).items():
            assert effect.estimate.low is not None
            assert effect.estimate.high is not None
            covered.append(effect.estimate.low <= TRUTH[term] <= effect.estimate.high)
    shares = np.reshape(covered, (400, -1)).mean(axis=0)
    assert ((shares > 0.92) & (shares < 0.975)).all(), shares


def test_shuffled_runs_have_few_small_p_values() -> None:
    values = made({("data", "most"): 3.0}, (0, 0, 0)) + noise(0)
    assert (fitted(values)["data", "most"].p_value or 1.0) < 1e-3
    rng = np.random.default_rng(0)
    shuffled = [
        effect.p_value
        for _ in range(200)
        for effect in fitted(rng.permutation(values)).values()
        if effect.p_value is not None
    ]
    assert len(shuffled) == 800
    assert 0.02 < np.mean(np.array(shuffled) < 0.05) < 0.08


def test_block_differences_are_not_noise() -> None:
    values = made(TRUTH, (0, 50, -50)) + noise(3, 0.1)
    assert (fitted(values)["parts", "all"].p_value or 1.0) < 1e-3
    assert (fitted(values, blocks=None)["parts", "all"].p_value or 0.0) > 0.5


def test_confounded_factors_are_undefined_and_others_are_not() -> None:
    factors = {
        "data": ["few", "many"] * 6,
        "rate": ["low", "high"] * 6,  # confounded with the data
        "parts": ["one", "one", "all", "all"] * 3,
    }
    values = np.array([float(n % 4 > 1) for n in range(12)]) + noise(0, 0.01)[:12]
    baseline = {"data": "few", "rate": "low", "parts": "one"}
    data, rate, parts = main_effects(factors, values, baseline=baseline)
    for effect in (data, rate):
        assert effect.estimate.value is None
        assert effect.estimate.method == "confounded with other factors"
        assert (effect.p_value, effect.n_runs) == (None, 6)
    assert value(parts) == pytest.approx(1.0, abs=0.02)
    assert parts.estimate.low is not None


def test_single_level_of_a_factor_can_be_confounded() -> None:
    factors = {"x": ["a", "a", "b", "b", "c", "c"], "y": ["0", "0", "0", "0", "1", "1"]}
    b, c, y = main_effects(factors, [1.0, 2, 3, 4, 5, 7], baseline={"x": "a", "y": "0"})
    assert value(b) == pytest.approx(2.0)
    assert (c.estimate.value, y.estimate.value) == (None, None)


def test_levels_equal_to_blocks_are_confounded() -> None:
    (effect,) = main_effects(
        {"x": ["a", "a", "b", "b"]}, [1.0, 2, 3, 4], baseline={"x": "a"}, blocks=[0, 0, 1, 1]
    )
    assert effect.estimate.value is None


def test_effects_without_degrees_of_freedom_have_no_interval() -> None:
    (effect,) = main_effects({"x": ["a", "b"]}, [1.0, 3.0], baseline={"x": "a"})
    assert value(effect) == pytest.approx(2.0)
    assert (effect.estimate.low, effect.p_value) == (None, None)
    assert "2 runs, 0 residual degrees of freedom" in effect.estimate.method


def test_levels_without_values_are_undefined() -> None:
    factors = {"x": ["a", "a", "b", "b", "c", "c"]}
    b, c = main_effects(factors, [1.0, 2.0, None, math.nan, 5.0, 6.0], baseline={"x": "a"})
    assert (b.estimate.value, b.n_runs, b.estimate.n_undefined) == (None, 0, 2)
    assert b.estimate.method == "no runs of this level"
    assert value(c) == pytest.approx(4.0)
    _, c = main_effects(factors, [None, None, 1.0, 2.0, 5.0, 6.0], baseline={"x": "a"})
    assert (c.estimate.value, c.estimate.method) == (None, "no runs of the baseline level")
    for effect in main_effects(factors, [None] * 6, baseline={"x": "a"}):
        assert (effect.estimate.value, effect.estimate.n_undefined) == (None, 6)


def test_invalid_designs_are_rejected() -> None:
    single = {"x": ["a", "b"]}
    with pytest.raises(InvalidInputError, match="Did you mean 'most'"):
        main_effects(FACTORS, made(TRUTH), baseline={**BASELINE, "data": "mots"})
    with pytest.raises(InvalidInputError, match="a baseline for each of x, got y"):
        main_effects(single, [1.0, 2.0], baseline={"y": "a"})
    with pytest.raises(InvalidInputError, match="a level of 'x' for each of 3 runs, got 2"):
        main_effects(single, [1.0, 2.0, 3.0], baseline={"x": "a"})
    with pytest.raises(InvalidInputError, match="a block for each of 2 runs, got 1"):
        main_effects(single, [1.0, 2.0], baseline={"x": "a"}, blocks=[0])
    with pytest.raises(InvalidInputError, match="a unit for each of 2 runs, got 1"):
        main_effects(single, [1.0, 2.0], baseline={"x": "a"}, units=[0])
    with pytest.raises(InvalidInputError, match="no infinite value"):
        main_effects(single, [1.0, math.inf], baseline={"x": "a"})
    with pytest.raises(InvalidInputError, match="at least one factor"):
        main_effects({}, [1.0], baseline={})
    with pytest.raises(InvalidInputError, match=r"in \(0, 1\), got 95"):
        main_effects(single, [1.0, 2.0], baseline={"x": "a"}, level=95)


UNITS = [of for of, _ in RUNS]


def with_units(values: Sequence[float | None] | np.ndarray) -> dict[tuple[str, str], Effect]:
    effects = main_effects(FACTORS, values, baseline=BASELINE, blocks=SEEDS, units=UNITS)
    return {(effect.factor, effect.level): effect for effect in effects}


def test_effects_with_units_agree_with_means_of_units() -> None:
    values = made(TRUTH) + noise(4)
    means = [float(np.mean(values[n : n + 3])) for n in range(0, len(RUNS), 3)]
    alone = main_effects(
        {factor: levels[::3] for factor, levels in FACTORS.items()}, means, baseline=BASELINE
    )
    for single, other in zip(with_units(values).values(), alone, strict=True):
        assert value(single) == pytest.approx(value(other))
        assert single.estimate.low == pytest.approx(other.estimate.low)
        assert single.p_value == pytest.approx(other.p_value)
        assert single.estimate.method == (
            "least squares, additive, 36 runs of 12 units, 7 residual degrees of freedom, 95%"
        )


def test_units_of_one_run_agree_with_runs() -> None:
    values = made(TRUTH) + noise(5)
    each = main_effects(FACTORS, values, baseline=BASELINE, blocks=SEEDS, units=range(len(RUNS)))
    for single, other in zip(each, fitted(values).values(), strict=True):
        assert single.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize("n_missing", [0, 7])
def test_seeds_are_not_counted_as_strategies(n_missing: int) -> None:
    covered: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        interactions = dict(zip(dict.fromkeys(UNITS), rng.normal(size=12), strict=True))
        values = made(TRUTH) + [interactions[of] for of in UNITS] + noise(seed, 0.3)
        values[rng.permutation(len(RUNS))[:n_missing]] = np.nan
        for as_units, effects in ((True, with_units(values)), (False, fitted(values))):
            for term, effect in effects.items():
                low, high = effect.estimate.low, effect.estimate.high
                assert low is not None
                assert high is not None
                covered[as_units].append(low <= TRUTH[term] <= high)
    assert 0.92 < np.mean(covered[True]) < 0.97  # 0.95 if no run is missing
    assert np.mean(covered[False]) < 0.85


def test_as_many_effects_as_units_leave_no_residuals() -> None:
    values, levels = [1.0, 1.5, 3.0, 3.5], ["a", "a", "b", "b"]
    (effect,) = main_effects({"x": levels}, values, baseline={"x": "a"}, units=levels)
    assert value(effect) == pytest.approx(2.0)
    assert (effect.estimate.low, effect.p_value) == (None, None)
    (alone,) = main_effects({"x": levels}, values, baseline={"x": "a"})
    assert alone.p_value is not None
