"""What a lens reads from the states of a span: measures of words, and the most likely tokens.

Each position is read alone; the readings are combined afterwards ("mean" or "best").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.interpretability.activations import States
from audioprobe.interpretability.answer_logits import log_probabilities
from audioprobe.interpretability.lens_words import WordTokens
from audioprobe.interpretability.tuned_lens import TunedLens
from audioprobe.protocols import Inspectable

MEASURES = (
    "log-probability",
    "reciprocal rank",
    "first",
    "vocabulary log-probability",
    "vocabulary reciprocal rank",
)
"""Measures of a word: among the candidate words, then among the vocabulary. More is better."""

_CHUNK = 64  # positions whose logits are in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class SpanReading:
    """What a lens reads from the states of a span of one prompt at one site.

    Attributes:
        values: shape (2, n_chosen, n_measures): mean and best over the positions, for each chosen
            word and each of `MEASURES`.
        top_ids: ids of the tokens with the highest mean probability over the positions.
        top_means: their mean probabilities.
        top_bests: their highest probabilities at any position.
    """

    values: npt.NDArray[np.float64]
    top_ids: tuple[int, ...]
    top_means: tuple[float, ...]
    top_bests: tuple[float, ...]


def check_lens_sites(sites: tuple[str, ...]) -> None:
    """Raise `InvalidInputError` unless a lens can read the states of the sites."""
    for site in sites:
        if not (site in ("lm.embed", "lm.norm", "lm.logits") or site.startswith("lm.resid.")):
            raise InvalidInputError(
                f'Expected sites of the residual stream ("lm.embed", "lm.resid.*", "lm.norm", '
                f'"lm.logits"), got {site!r}. A lens cannot read other states; audio tokens after '
                'the connector are the span "audio" of "lm.embed".'
            )


def lens_logits(
    model: Inspectable, site: str, states: Tensor, lens: TunedLens | None = None
) -> Tensor:
    """Return the logits that a lens reads from states at a site.

    The final norm is applied once: not to states at "lm.norm", which have it already. Values at
    "lm.logits" are returned in float32.

    Args:
        model: the model.
        site: a site that `check_lens_sites` accepts.
        states: shape (..., width).
        lens: translators of the sites; None for the logit lens.

    Returns:
        Shape (..., n_vocabulary).
    """
    if site == "lm.logits":
        return states.float()
    if site == "lm.norm":
        return model.vocabulary_logits(states, normalized=True)
    return model.vocabulary_logits(states if lens is None else lens.translate(site, states))


@torch.inference_mode()
def read_site(
    model: Inspectable,
    site: str,
    spans: Sequence[States],
    words: WordTokens,
    *,
    chosen: Sequence[int],
    lens: TunedLens | None = None,
    n_top: int = 5,
) -> list[SpanReading]:
    """Return what a lens reads from the states of several spans at one site.

    Args:
        model: the model.
        site: site of the states.
        spans: states of each span, shape (n_positions, width).
        words: the candidate words.
        chosen: indices of the words whose measures are returned.
        lens: translators of the sites; None for the logit lens.
        n_top: number of the most likely tokens.

    Raises:
        NonFiniteError: if logits are NaN or infinite.
    """
    values, totals, highest = [], [torch.zeros(())] * len(spans), [torch.zeros(())] * len(spans)
    states = torch.from_numpy(np.concatenate(spans))
    owners = np.repeat(np.arange(len(spans)), [len(span) for span in spans])
    for first in range(0, len(states), _CHUNK):
        rows = slice(first, first + _CHUNK)
        logs = log_probabilities(lens_logits(model, site, states[rows], lens))
        values.append(measures_of(logs, words, chosen).cpu().double())
        probabilities = logs.exp().cpu()
        for number in np.unique(owners[rows]):
            part = probabilities[torch.from_numpy(owners[rows] == number)]
            totals[number] = totals[number] + part.sum(dim=0, dtype=torch.float64)
            highest[number] = torch.maximum(highest[number], part.amax(dim=0))
    positions = torch.split(torch.cat(values), [len(span) for span in spans])
    return [
        _reading(values, total / len(values), best, n_top)
        for values, total, best in zip(positions, totals, highest, strict=True)
    ]


def _reading(values: Tensor, means: Tensor, highest: Tensor, n_top: int) -> SpanReading:
    """Return the reading of a span.

    Args:
        values: measures at each position, shape (n_positions, n_chosen, n_measures).
        means: mean probability of each token over the positions.
        highest: highest probability of each token.
        n_top: number of the most likely tokens.
    """
    combined = torch.stack([values.mean(dim=0), values.amax(dim=0)])
    top = means.topk(min(n_top, len(means)))
    return SpanReading(
        np.asarray(combined.numpy(), dtype=np.float64),
        tuple(top.indices.tolist()),
        tuple(top.values.tolist()),
        tuple(highest[top.indices].tolist()),
    )


def measures_of(log_probs: Tensor, words: WordTokens, chosen: Sequence[int]) -> Tensor:
    """Return the measures of chosen words at each position.

    Ranks count from 1; each tie with another word or token counts as half a rank. A word is first
    if its rank is 1. For words that are read by several tokens, the closed list compares the mean
    log-probability of their tokens, and measures of the vocabulary are means over the tokens.

    Args:
        log_probs: log-probabilities of the vocabulary, shape (n_positions, n_vocabulary).
        words: the candidate words.
        chosen: indices of the words whose measures are returned.

    Returns:
        Shape (n_positions, n_chosen, n_measures), in the order of `MEASURES`.
    """
    scores, indices = words.averaged(log_probs[:, list(words.unique_ids)]), list(chosen)
    ranks = ranks_among(scores[:, indices], scores)
    chosen_words = words.only(chosen)
    tokens = log_probs[:, list(chosen_words.unique_ids)]
    measures = (
        scores.log_softmax(dim=-1)[:, indices],
        1 / ranks,
        (ranks == 1).to(scores.dtype),
        scores[:, indices],
        chosen_words.averaged(1 / ranks_among(tokens, log_probs)),
    )
    return torch.stack(measures, dim=-1)


def ranks_among(chosen: Tensor, values: Tensor) -> Tensor:
    """Return the rank of chosen values among all values of their row; ties count half.

    Args:
        chosen: values that are also in `values`, shape (n_rows, n_chosen).
        values: shape (n_rows, n_values).

    Returns:
        1 plus the number of larger values plus half of the number of other equal values, shape
        (n_rows, n_chosen).
    """
    # The sum of signs is the number of larger values minus the number of smaller values.
    signs = [(values - column[:, None]).sign_().sum(dim=-1) for column in chosen.unbind(dim=-1)]
    return (values.shape[-1] + 1 + torch.stack(signs, dim=-1)) / 2
