"""Signal detection with known sensitivity and bias."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.answers import criterion, d_prime
from audioprobe.metrics.bootstrap import Bootstrap

BALANCED = np.arange(200) % 2 == 0


def detection(targets: npt.ArrayLike, answers: npt.ArrayLike) -> tuple[float, float]:
    """Return d' and criterion of all trials."""
    once = np.ones((1, len(np.asarray(targets))))
    return float(d_prime(targets, answers)(once)[0]), float(criterion(targets, answers)(once)[0])


def test_always_yes_has_no_sensitivity() -> None:
    sensitivity, bias = detection(BALANCED, np.ones(200))
    assert sensitivity == 0.0
    assert bias < -2


def test_always_right_has_high_sensitivity_and_no_bias() -> None:
    sensitivity, bias = detection(BALANCED, BALANCED)
    assert sensitivity > 5
    assert bias == pytest.approx(0.0)


def test_known_sensitivity_and_bias_are_recovered() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(200_000) < 0.5
    sensitivity, bias = detection(right, rng.normal(size=len(right)) + 1.5 * right > 1.0)
    assert sensitivity == pytest.approx(1.5, abs=0.02)
    assert bias == pytest.approx(1.0 - 0.75, abs=0.02)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_negating_questions_and_answers_changes_only_the_sign_of_the_bias(
    trials: list[tuple[bool, bool]],
) -> None:
    right, answers = np.array(trials).T
    original, negated = detection(right, answers), detection(~right, ~answers)
    assert negated[0] == pytest.approx(original[0], nan_ok=True)
    assert negated[1] == pytest.approx(-original[1], nan_ok=True)
    assert math.isnan(original[0]) == (right.all() or not right.any())


def test_resampled_d_prime_agrees_with_d_prime_of_all_trials() -> None:
    rng = np.random.default_rng(1)
    answers = rng.random(200) < 0.4 + 0.3 * BALANCED
    measured = Bootstrap(100).estimate(d_prime(BALANCED, answers), 200)
    assert measured.value == pytest.approx(detection(BALANCED, answers)[0])
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low < measured.value < measured.high  # type: ignore[operator]


def test_d_prime_needs_questions_of_both_kinds() -> None:
    assert all(map(math.isnan, detection([1, 1], [1, 0])))
    assert Bootstrap(10).estimate(d_prime([1, 1], [1, 0]), 2).value is None
    with pytest.raises(InvalidInputError):
        detection([], [])
