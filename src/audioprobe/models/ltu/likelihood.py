"""Log-likelihoods of continuations with an LTU, for many prompts and continuations at once.

Prompts about the same audio share its positions and their common beginnings, and continuations
share their prompt (`TokenTree`). Prompts about different audio are rows of one forward pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from audioprobe.models.causal_lm.generation import check_context
from audioprobe.models.causal_lm.likelihood import require_tokens
from audioprobe.models.causal_lm.prompt_cache import cache_name, common_start
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
    """A prompt with a continuation; `number` is the index of their log-likelihood."""

    number: int
    prompt: Sequence[int]
    continuation: Sequence[int]

    @property
    def inputs(self) -> list[int]:
        """The tokens that the model reads; the last token predicts nothing."""
        return [*self.prompt, *self.continuation[:-1]]


class _ScoredBranches(Branches):
    """Sequences about one clip, or without audio, as one row of a forward pass."""

    def __init__(self, audio_tokens: Tensor | None) -> None:
        super().__init__(audio_tokens)
        self.predictions: list[tuple[int, int, int]] = []  # node, next token, number of sequence

    def add(self, sequence: _Sequence) -> None:
        nodes = self.tree.add(sequence.inputs)[len(sequence.prompt) - 1 :]
        self.predictions += [
            (node, token, sequence.number)
            for node, token in zip(nodes, sequence.continuation, strict=True)
        ]


@torch.inference_mode()
def log_likelihoods(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], continuations: Sequence[Sequence[int]]
) -> list[list[LogLikelihood]]:
    """Return the log-likelihood of each continuation of each prompt.

    Consecutive prompts whose audio tokens are the same tensor share it.

    Args:
        net: the network.
        prompts: the prompts.
        continuations: token ids of each continuation, at least one token each.

    Raises:
        InvalidInputError: if a continuation is empty.
        NonFiniteError: if the log-likelihood of a continuation is not finite.
        UnsupportedInputError: if prompt and continuation exceed the model's context.
    """
    require_tokens(continuations)
    longest = max(map(len, continuations), default=0)
    for prompt in prompts:
        check_context(net.llama, length_of(net, prompt), longest)
    totals = torch.zeros(len(prompts) * len(continuations), dtype=torch.double)
    rows: list[_ScoredBranches] = []
    numbered = enumerate(prompts)
    for _, group in groupby(numbered, key=lambda item: id(item[1].audio_tokens)):
        members = dict(group)
        audio_tokens = next(iter(members.values())).audio_tokens
        sequences = [
            _Sequence(number * len(continuations) + n, prompt_ids, ids)
            for number, prompt in members.items()
            for prompt_ids in [prompt.input_ids.tolist()]
            for n, ids in enumerate(continuations)
        ]
        parts = list(_parts(audio_tokens, sequences, PASS_TOKENS - net.n_positions(audio_tokens)))
        if len(parts) > 1:
            _score_with_cache(net, audio_tokens, sequences, totals)
        else:
            rows += parts
    for batch in pass_batches(net, rows):
        _score(net, batch, totals)
    counts = [len(ids) for ids in continuations]
    return [
        [LogLikelihood(total, n) for total, n in zip(values, counts, strict=True)]
        for values in totals.reshape(len(prompts), len(continuations)).tolist()
    ]


def _parts(
    audio_tokens: Tensor | None, sequences: Sequence[_Sequence], limit: int
) -> Iterator[_ScoredBranches]:
    """Yield the sequences in parts of at most `limit` nodes, and of at least one sequence."""
    part = _ScoredBranches(audio_tokens)
    for sequence in sequences:
        if len(part.tree) and len(part.tree) + part.tree.n_new(sequence.inputs) > limit:
            yield part
            part = _ScoredBranches(audio_tokens)
        part.add(sequence)
    if len(part.tree):
        yield part


def _score_with_cache(
    net: LTUNetwork, audio_tokens: Tensor | None, sequences: Sequence[_Sequence], totals: Tensor
) -> None:
    """Score sequences that do not fit into one pass; audio and common start are computed once."""
    start = common_start([sequence.prompt for sequence in sequences])
    rest = [_Sequence(s.number, s.prompt[len(start) :], s.continuation) for s in sequences]
    ids = torch.tensor([start], dtype=torch.long, device=net.device)
    embedded = net.embed(ids, None if audio_tokens is None else audio_tokens[None])
    cache = None
    if embedded.shape[1]:
        with net.reading([audio_tokens]):
            outputs = net.llama.model(inputs_embeds=embedded, use_cache=True)
        cache = getattr(outputs, cache_name(net.llama.model))
    for part in _parts(audio_tokens, rest, PASS_TOKENS):
        _score(net, [part], totals, cache, embedded.shape[1])
        if cache is not None:
            cache.crop(-len(part.tree))


def _score(
    net: LTUNetwork,
    rows: Sequence[_ScoredBranches],
    totals: Tensor,
    cache: Any = None,  # noqa: ANN401 - caches of transformers have no type
    n_cached: int = 0,
) -> None:
    """Add the log-likelihoods of all sequences of a forward pass to `totals`.

    A cache contains the audio and the beginning of the only row; it grows.
    """
    states = branch_states(net, rows, cache, n_cached)
    n_audio = [0 if n_cached else net.n_positions(row.audio_tokens) for row in rows]
    columns = zip(
        *(
            (n * states.shape[1] + n_audio[n] + node, token, number)
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
