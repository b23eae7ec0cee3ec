"""Choice by likelihood and the blind guesser, shared by probes, evaluation and studies."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.finetuning.study_records import before, record

from audioprobe.experiments.finetuning.storage import Measurement
from audioprobe.metrics.answers import TIE, blind_guesses, most_likely_option


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ((-1.0, -2.0), 0),
        ((-2.0, -1.0, -3.0), 1),
        ((-1.0, -1.0), None),
        ((-1.0, -1.0 - TIE / 2), None),
        ((-1.0, -1.0 - 3 * TIE), 0),
        ((math.nan, -1.0), None),
        ((-1.0, math.nan), None),
        ((-math.inf, -1.0), None),
        ((), None),
    ],
)
def test_ties_and_non_finite_likelihoods_give_no_choice(
    values: tuple[float, ...], chosen: int | None
) -> None:
    assert most_likely_option(values) == chosen


@given(st.lists(st.floats(-50, 0), min_size=2, max_size=5), st.randoms())
def test_choice_does_not_depend_on_option_order(values: list[float], random: object) -> None:
    chosen = most_likely_option(values)
    turned = most_likely_option(values[::-1])
    assert (chosen is None) == (turned is None)
    if chosen is not None and turned is not None:
        assert values[chosen] == values[::-1][turned]


@pytest.mark.parametrize(("yes", "right"), [(1.0, True), (-1.0, False), (0.0, None), (1e-9, None)])
def test_study_leaves_ties_out(yes: float, right: bool | None) -> None:
    answer = Measurement(measure="text accuracy", value=yes)
    values = [row.value for row in record([], first=before((answer,))).table()]
    assert values == ([] if right is None else [float(right)])


def test_blind_guesser_uses_base_rates_of_other_questions() -> None:
    birds = [(("bird", "yes"), ("yes",)), (("bird", "no"), ("no",))]
    dogs = [(("dog", "yes"), ("yes",)), (("dog", "no"), ("no",))]
    assert blind_guesses([birds] * 4, [0, 0, 0, 1], range(4)) == [1.0, 1.0, 1.0, 0.0]
    assert blind_guesses([birds] * 4, [0, 1, 0, 1], [0, 0, 1, 1]) == [0.5] * 4  # balanced pairs
    assert blind_guesses([birds], [0], [0]) == [0.5]  # no other questions: a random guess
    assert blind_guesses([birds, dogs], [0, 0], [0, 1]) == [1.0, 1.0]  # by the general key
