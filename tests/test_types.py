"""Values are validated where they are made."""

import math
from dataclasses import replace

import numpy as np
import pytest

from audioprobe import LogLikelihood, Response
from audioprobe.errors import AudioProbeError, InvalidInputError, NonFiniteError
from audioprobe.io.json_codec import from_json, to_json


@pytest.mark.parametrize("total", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_log_likelihood_is_a_finite_number(total: float) -> None:
    with pytest.raises(NonFiniteError):
        LogLikelihood(total, 2)


@pytest.mark.parametrize(("total", "n_tokens"), [(0.3, 1), (0.01, 3), (1e-3, 1)])
def test_a_log_likelihood_is_at_most_zero(total: float, n_tokens: int) -> None:
    with pytest.raises(InvalidInputError, match="at most 0 nats"):
        LogLikelihood(total, n_tokens)


@pytest.mark.parametrize(("total", "n_tokens"), [(1e-9, 1), (5e-5, 1), (2e-4, 8)])
def test_rounding_never_makes_a_probability_above_one(total: float, n_tokens: int) -> None:
    assert LogLikelihood(total, n_tokens).total == 0.0


@pytest.mark.parametrize("n_tokens", [0, -1])
def test_a_log_likelihood_is_of_at_least_one_token(n_tokens: int) -> None:
    with pytest.raises(AudioProbeError, match="at least one token"):
        LogLikelihood(-1.0, n_tokens)


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("<think>A bird?</think>\nA crow.", "A crow.", "A bird?"),
        ("A bird?</think>A crow.", "A crow.", "A bird?"),
        ("<think></think> Yes.", "Yes.", ""),
    ],
)
def test_reasoning_is_a_detail_of_a_response(text: str, answer: str, reasoning: str) -> None:
    response = Response(text, "length", details={"truncated audio (s)": 1.0})
    assert (response.text, response.finish) == (answer, "length")
    assert response.details == {"truncated audio (s)": 1.0, "reasoning": reasoning}
    assert from_json(Response, to_json(response)) == response == replace(response)


@pytest.mark.parametrize("text", ["A crow.", "", " I think so. ", "1 < 2"])
def test_a_response_without_reasoning_is_as_it_was_written(text: str) -> None:
    assert Response(text).text == text
    assert Response(text).details == {}


@pytest.mark.parametrize(
    "text", ["<think>A bird? A crow", "<think>A crow.</think>", "<think>a</think>\n\n<think>b"]
)
def test_reasoning_alone_is_no_response(text: str) -> None:
    with pytest.raises(InvalidInputError, match="reasoning only"):
        Response(text, "length")
