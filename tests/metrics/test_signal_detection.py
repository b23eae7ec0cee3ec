"""Listeners whose sensitivity and bias are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.metrics.signal_detection import d_prime, detection

BALANCED = np.arange(200) % 2 == 0


def test_who_always_says_yes_cannot_tell() -> None:
    found = detection(BALANCED, np.ones(200))
    assert (found.accuracy, found.yes_rate, found.d_prime) == (0.5, 1.0, 0.0)
    assert found.criterion is not None
    assert found.criterion < -2


def test_who_is_always_right_tells_best() -> None:
    found = detection(BALANCED, BALANCED)
    assert found.d_prime is not None
    assert found.d_prime > 5
    assert found.criterion == pytest.approx(0.0)


def test_a_listener_of_known_sensitivity_and_bias() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(200_000) < 0.5
    found = detection(right, rng.normal(size=len(right)) + 1.5 * right > 1.0)
    assert found.d_prime == pytest.approx(1.5, abs=0.02)
    assert found.criterion == pytest.approx(1.0 - 0.75, abs=0.02)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_turning_questions_and_answers_around_changes_the_sign_of_the_bias_alone(
    trials: list[tuple[bool, bool]],
) -> None:
    right, said = np.array(trials).T
    one, other = detection(right, said), detection(~right, ~said)
    assert one.accuracy == other.accuracy
    if one.d_prime is not None:
        assert other.d_prime == pytest.approx(one.d_prime)
        assert other.criterion == pytest.approx(-one.criterion)  # type: ignore[operator]


def test_resamples_of_all_trials_give_the_same() -> None:
    rng = np.random.default_rng(1)
    said = rng.random(200) < 0.4 + 0.3 * BALANCED
    found = Bootstrap(100).estimate(d_prime(BALANCED, said), 200)
    assert found.value == pytest.approx(detection(BALANCED, said).d_prime)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_without_questions_of_both_kinds_nothing_is_told_apart() -> None:
    found = detection([1, 1], [1, 0])
    assert (found.d_prime, found.false_alarm_rate, found.hit_rate) == (None, None, 0.5)
    with pytest.raises(InvalidInputError):
        detection([], [])
