"""Constrained decoding: a response that is one of several given texts.

The probability of every text is computed, so that the result is exact. Masking tokens while a
response is generated would choose the most probable token at each step, and may end in a text that
is not the most probable one.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from audioprobe.errors import UnsupportedInputError
from audioprobe.types import Decoding, Response


def choose(log_likelihoods: Sequence[float], decoding: Decoding) -> Response:
    """Return one of `decoding.choices` as the response.

    Args:
        log_likelihoods: log-probability of each choice as the whole response, in nats.
        decoding: settings with at least one choice. Sampling uses the same seed for every prompt.

    Returns:
        The response without leading and trailing spaces, with its log-likelihood in the details.
    """
    values = np.asarray(log_likelihoods, dtype=np.float64)
    if decoding.temperature == 0:
        index = int(values.argmax())
    else:
        probabilities = softmax(values / decoding.temperature)
        index = int(np.random.default_rng(decoding.seed).choice(len(values), p=probabilities))
    details = {"log-likelihood (nats)": float(values[index])}
    return Response(decoding.choices[index].strip(), details=details)


def refuse_choices(decoding: Decoding | None, name: str, advice: str) -> None:
    """Raise `UnsupportedInputError` if a response must be one of several choices.

    Args:
        decoding: decoding settings.
        name: the model, for the message.
        advice: what to do instead.
    """
    if decoding is not None and decoding.choices:
        raise UnsupportedInputError(f"{name} cannot choose among given responses. {advice}")
