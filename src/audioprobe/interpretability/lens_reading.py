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
def read_span(
    model: Inspectable,
    site: str,
    states: States,
    words: WordTokens,
    *,
    chosen: Sequence[int],
    lens: TunedLens | None = None,
    n_top: int = 5,
) -> SpanReading:
    """Return what a lens reads from the states of a span.

    Args:
        model: the model.
        site: site of the states.
        states: shape (n_positions, width).
        words: the candidate words.
        chosen: indices of the words whose measures are returned.
        lens: translators of the sites; None for the logit lens.
        n_top: number of the most likely tokens.

    Raises:
        NonFiniteError: if logits are NaN or infinite.
    """
    values, total, highest = [], torch.zeros(()), torch.zeros(())
    for chunk in torch.split(torch.from_numpy(states), _CHUNK):
        logs = log_probabilities(lens_logits(model, site, chunk, lens))
        values.append(measures_of(logs, words)[:, list(chosen)].cpu().double())
        probabilities = logs.exp().cpu()
        total = total + probabilities.double().sum(dim=0)
        highest = torch.maximum(highest, probabilities.amax(dim=0))
    positions = torch.cat(values)
    combined = torch.stack([positions.mean(dim=0), positions.amax(dim=0)])
    means, ids = (total / len(states)).topk(min(n_top, len(total)))
    return SpanReading(
        np.asarray(combined.numpy(), dtype=np.float64),
        tuple(ids.tolist()),
        tuple(means.tolist()),
        tuple(highest[ids].tolist()),
    )


def measures_of(log_probs: Tensor, words: WordTokens) -> Tensor:
    """Return the measures of each word at each position.

    Ranks count from 1; each tie with another word or token counts as half a rank. A word is first
    if its rank is 1. For words that are read by several tokens, the closed list compares the mean
    log-probability of their tokens, and measures of the vocabulary are means over the tokens.

    Args:
        log_probs: log-probabilities of the vocabulary, shape (n_positions, n_vocabulary).
        words: the candidate words.

    Returns:
        Shape (n_positions, n_words, n_measures), in the order of `MEASURES`.
    """
    tokens = log_probs[:, list(words.unique_ids)]
    scores = words.averaged(tokens)
    ranks = ranks_among(scores, scores)
    vocabulary_ranks = ranks_among(tokens, log_probs)
    measures = (
        scores.log_softmax(dim=-1),
        1 / ranks,
        (ranks == 1).to(scores.dtype),
        scores,
        words.averaged(1 / vocabulary_ranks),
    )
    return torch.stack(measures, dim=-1)


def ranks_among(chosen: Tensor, values: Tensor) -> Tensor:
    """Return the rank of chosen values among all values of their row; ties count half.

    The cost does not grow with the number of chosen values: each value is counted in the interval
    between two chosen values to which it belongs.

    Args:
        chosen: values that are also in `values`, shape (n_rows, n_chosen).
        values: shape (n_rows, n_values).

    Returns:
        1 plus the number of larger values plus half of the number of other equal values, shape
        (n_rows, n_chosen).
    """
    ordered, order = chosen.sort(dim=-1)
    ordered, values = ordered.contiguous(), values.contiguous()
    n_larger = _n_above(torch.searchsorted(ordered, values), ordered)
    n_at_least = _n_above(torch.searchsorted(ordered, values, right=True), ordered)
    ranks = 1 + n_larger + (n_at_least - n_larger - 1) / 2
    return torch.empty_like(ranks).scatter_(-1, order, ranks)


def _n_above(intervals: Tensor, ordered: Tensor) -> Tensor:
    """Return how many values are in an interval above each chosen value.

    Args:
        intervals: number of chosen values below each value, shape (n_rows, n_values).
        ordered: the chosen values in ascending order, shape (n_rows, n_chosen).
    """
    counts = intervals.new_zeros(len(ordered), ordered.shape[-1] + 1)
    counts.scatter_add_(-1, intervals, torch.ones_like(intervals))
    return counts.flip(-1).cumsum(dim=-1).flip(-1)[:, 1:]
