"""Log-likelihoods of continuations with an LTU, for many prompts and continuations at once.

Prompts about the same audio share its positions and their common beginnings, and continuations
share their prompt (`TokenTree`). Prompts about different audio are rows of one forward pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from audioprobe.models.causal_lm.generation import check_context
from audioprobe.models.causal_lm.likelihood import require_tokens
from audioprobe.models.causal_lm.prompt_cache import common_start
from audioprobe.models.causal_lm.token_tree import TokenTree
from audioprobe.models.ltu.branches import (
    PASS_TOKENS,
    Branches,
    branch_states,
    pass_batches,
)
from audioprobe.models.ltu.generation import TokenPrompt, length_of
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import LogLikelihood

_LOGITS = 128  # positions whose logits are computed at once: 25 MB for a vocabulary of 49,152


@dataclass(frozen=True, slots=True)
class _Sequence:
    """A prompt, without the start of its row, with a continuation.

    `number` is the index of their log-likelihood.
    """

    number: int
    prompt: Sequence[int]
    continuation: Sequence[int]

    @property
    def inputs(self) -> list[int]:
        """The tokens that the model reads; the last token predicts nothing."""
        return [*self.prompt, *self.continuation[:-1]]


class _ScoredBranches(Branches):
    """Sequences about one clip, or without audio, as one row of a forward pass."""

    def __init__(self, audio_tokens: Tensor | None, start: Sequence[int]) -> None:
        super().__init__(audio_tokens, start)
        self.predictions: list[tuple[int, int, int]] = []  # node, next token, number of sequence

    def add(self, sequence: _Sequence) -> None:
        nodes = self.tree.add(sequence.inputs)[len(sequence.prompt) - 1 :]
        self.predictions += [
            (node, token, sequence.number)
            for node, token in zip(nodes, sequence.continuation, strict=True)
        ]


def log_likelihoods(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], continuations: Sequence[Sequence[int]]
) -> list[list[LogLikelihood]]:
    """Return the log-likelihood of each continuation of each prompt.

    Args:
        net: the network.
        prompts: the prompts; those whose audio tokens are the same tensor share it.
        continuations: token ids of each continuation, at least one token each.

    Raises:
        InvalidInputError: if a continuation is empty.
        NonFiniteError: if the log-likelihood of a continuation is not finite.
        UnsupportedInputError: if prompt and continuation exceed the model's context.
    """
    totals = summed_log_probabilities(net, prompts, continuations)
    counts = [len(ids) for ids in continuations]
    return [
        [LogLikelihood(total, n) for total, n in zip(values, counts, strict=True)]
        for values in totals.tolist()
    ]


@torch.inference_mode()
def summed_log_probabilities(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], continuations: Sequence[Sequence[int]]
) -> Tensor:
    """Return the values of `log_likelihoods`, (n_prompts, n_continuations); they may be NaN.

    The tensor is on the CPU, in double precision.

    Raises:
        InvalidInputError: if a continuation is empty.
        UnsupportedInputError: if prompt and continuation exceed the model's context.
    """
    require_tokens(continuations)
    longest = max(map(len, continuations), default=0)
    by_audio: dict[int, list[int]] = {}  # numbers of the prompts about each clip
    for number, prompt in enumerate(prompts):
        check_context(net.llama, length_of(net, prompt), longest)
        by_audio.setdefault(id(prompt.audio_tokens), []).append(number)
    totals = torch.zeros(len(prompts) * len(continuations), dtype=torch.double)
    rows: list[_ScoredBranches] = []
    for numbers in by_audio.values():
        parts = _parts({number: prompts[number] for number in numbers}, continuations)
        if len(parts) > 1 and parts[0].n_before(net):
            _score_with_cache(net, parts, totals)
        else:
            rows += parts
    for batch in pass_batches(net, rows):
        _score(net, batch, totals)
    return totals.reshape(len(prompts), len(continuations))


def _parts(
    prompts: Mapping[int, TokenPrompt], continuations: Sequence[Sequence[int]]
) -> list[_ScoredBranches]:
    """Return the continuations of prompts about one clip, by number, as rows with the same start.

    The tree of a row has at most `PASS_TOKENS` nodes, unless a single sequence has more.
    """
    ids = {number: prompt.input_ids.tolist() for number, prompt in prompts.items()}
    audio_tokens = next(iter(prompts.values())).audio_tokens
    start = common_start(list(ids.values()))
    parts: list[_ScoredBranches] = []
    for number, prompt in ids.items():
        for n, continuation in enumerate(continuations):
            numbered = number * len(continuations) + n
            sequence = _Sequence(numbered, prompt[len(start) :], continuation)
            if not parts or _exceeds(parts[-1].tree, sequence):
                parts.append(_ScoredBranches(audio_tokens, start))
            parts[-1].add(sequence)
    return parts


def _exceeds(tree: TokenTree, sequence: _Sequence) -> bool:
    """Return whether a tree would have too many nodes with another sequence."""
    return len(tree) + tree.n_new(sequence.inputs) > PASS_TOKENS


def _score_with_cache(net: LTUNetwork, parts: Sequence[_ScoredBranches], totals: Tensor) -> None:
    """Score parts that do not fit into one pass; audio and start are computed once."""
    cache, n_cached = DynamicCache(), parts[0].n_before(net)
    branch_states(net, [Branches(parts[0].audio_tokens, parts[0].start)], cache)
    for part in parts:
        _score(net, [part], totals, cache, n_cached)
        cache.crop(-len(part.tree))


def _score(
    net: LTUNetwork,
    rows: Sequence[_ScoredBranches],
    totals: Tensor,
    cache: Any = None,  # noqa: ANN401 - caches of transformers have no type
    n_cached: int = 0,
) -> None:
    """Add the log-likelihoods of all sequences of a forward pass to `totals`.

    A cache contains the positions before the tree of the only row; it grows.
    """
    states = branch_states(net, rows, cache, n_cached)
    n_before = [0 if n_cached else row.n_before(net) for row in rows]
    columns = zip(
        *(
            (n * states.shape[1] + n_before[n] + node, token, number)
            for n, row in enumerate(rows)
            for node, token, number in row.predictions
        ),
        strict=True,
    )
    positions, tokens, numbers = (torch.tensor(column) for column in columns)
    used, inverse = torch.unique(positions, return_inverse=True)
    flat = states.flatten(0, 1)[used.to(states.device)]
    for start in range(0, len(used), _LOGITS):
        logits = net.llama.lm_head(flat[start : start + _LOGITS]).float()
        chosen = (inverse >= start) & (inverse < start + _LOGITS)
        at = (inverse[chosen] - start).to(logits.device)
        scores = logits[at, tokens[chosen].to(logits.device)] - logits.logsumexp(-1)[at]
        totals.index_add_(0, numbers[chosen], scores.double().cpu())
