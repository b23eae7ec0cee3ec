"""Signal detection with known sensitivity and bias."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.signal_detection import d_prime, detection

BALANCED = np.arange(200) % 2 == 0


def test_always_yes_has_no_sensitivity() -> None:
    measured = detection(BALANCED, np.ones(200))
    assert (measured.accuracy, measured.yes_rate, measured.d_prime) == (0.5, 1.0, 0.0)
    assert measured.criterion is not None
    assert measured.criterion < -2


def test_always_right_has_high_sensitivity_and_no_bias() -> None:
    measured = detection(BALANCED, BALANCED)
    assert measured.d_prime is not None
    assert measured.d_prime > 5
    assert measured.criterion == pytest.approx(0.0)


def test_known_sensitivity_and_bias_are_recovered() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(200_000) < 0.5
    measured = detection(right, rng.normal(size=len(right)) + 1.5 * right > 1.0)
    assert measured.d_prime == pytest.approx(1.5, abs=0.02)
    assert measured.criterion == pytest.approx(1.0 - 0.75, abs=0.02)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_negating_questions_and_answers_changes_only_the_sign_of_the_bias(
    trials: list[tuple[bool, bool]],
) -> None:
    right, answers = np.array(trials).T
    original, negated = detection(right, answers), detection(~right, ~answers)
    assert original.accuracy == negated.accuracy
    if original.d_prime is not None:
        assert negated.d_prime == pytest.approx(original.d_prime)
        assert negated.criterion == pytest.approx(-original.criterion)  # type: ignore[operator]


def test_resampled_d_prime_agrees_with_detection() -> None:
    rng = np.random.default_rng(1)
    answers = rng.random(200) < 0.4 + 0.3 * BALANCED
    measured = Bootstrap(100).estimate(d_prime(BALANCED, answers), 200)
    assert measured.value == pytest.approx(detection(BALANCED, answers).d_prime)
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low < measured.value < measured.high  # type: ignore[operator]


def test_d_prime_needs_questions_of_both_kinds() -> None:
    measured = detection([1, 1], [1, 0])
    assert (measured.d_prime, measured.false_alarm_rate, measured.hit_rate) == (None, None, 0.5)
    with pytest.raises(InvalidInputError):
        detection([], [])
