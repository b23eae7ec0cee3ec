"""Values are validated where they are made."""

import math

import numpy as np
import pytest

from audioprobe import LogLikelihood
from audioprobe.errors import AudioProbeError, InvalidInputError, NonFiniteError


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
