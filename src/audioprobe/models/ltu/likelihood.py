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
from torch.nn.utils.rnn import pad_sequence

from audioprobe.models.causal_lm.generation import check_context
from audioprobe.models.causal_lm.likelihood import common_start, require_tokens
from audioprobe.models.causal_lm.prompt_cache import cache_name
from audioprobe.models.causal_lm.token_tree import TokenTree
from audioprobe.models.ltu.generation import TokenPrompt, length_of
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import LogLikelihood

PASS_TOKENS = 1024
"""Largest number of positions in a forward pass, unless a single sequence is longer.

Matrix products reach the full speed of a CPU core with a few hundred rows, and the cost of
attention grows with the square of the length.
"""
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


class _Branches:
    """Sequences about one clip, or without audio, as one row of a forward pass."""

    def __init__(self, audio_tokens: Tensor | None) -> None:
        self.audio_tokens = audio_tokens
        self.tree = TokenTree()
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
    rows: list[_Branches] = []
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
    for batch in _batches(net, rows):
        _score(net, batch, totals)
    counts = [len(ids) for ids in continuations]
    return [
        [LogLikelihood(total, n) for total, n in zip(values, counts, strict=True)]
        for values in totals.reshape(len(prompts), len(continuations)).tolist()
    ]


def _parts(
    audio_tokens: Tensor | None, sequences: Sequence[_Sequence], limit: int
) -> Iterator[_Branches]:
    """Yield the sequences in parts of at most `limit` nodes, and of at least one sequence."""
    part = _Branches(audio_tokens)
    for sequence in sequences:
        if len(part.tree) and len(part.tree) + part.tree.n_new(sequence.inputs) > limit:
            yield part
            part = _Branches(audio_tokens)
        part.add(sequence)
    if len(part.tree):
        yield part


def _batches(net: LTUNetwork, rows: Sequence[_Branches]) -> Iterator[list[_Branches]]:
    """Yield rows that fit into one forward pass together, with padding."""
    batch: list[_Branches] = []
    longest = 0
    for row in rows:
        longest = max(longest, _length(net, row))
        if batch and longest * (len(batch) + 1) > PASS_TOKENS:
            yield batch
            batch, longest = [], _length(net, row)
        batch.append(row)
    if batch:
        yield batch


def _length(net: LTUNetwork, row: _Branches) -> int:
    return net.n_positions(row.audio_tokens) + len(row.tree)


def _score_with_cache(
    net: LTUNetwork, audio_tokens: Tensor | None, sequences: Sequence[_Sequence], totals: Tensor
) -> None:
    """Score sequences that do not fit into one pass; audio and common start are computed once."""
    start = common_start([sequence.prompt for sequence in sequences])
    rest = [_Sequence(s.number, s.prompt[len(start) :], s.continuation) for s in sequences]
    ids = torch.tensor([start], dtype=torch.long, device=net.llama.device)
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
    rows: Sequence[_Branches],
    totals: Tensor,
    cache: Any = None,  # noqa: ANN401 - caches of transformers have no type
    n_cached: int = 0,
) -> None:
    """Add the log-likelihoods of all sequences of a forward pass to `totals`.

    A cache contains the audio and the beginning of the only row; it grows.
    """
    states = _states(net, rows, cache, n_cached)
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


def _states(
    net: LTUNetwork,
    rows: Sequence[_Branches],
    cache: Any,  # noqa: ANN401
    n_cached: int,
) -> Tensor:
    """Return the states after the last layer, (n_rows, n_positions, hidden), with padding."""
    device = net.llama.device
    embedded, positions = [], []
    for row in rows:
        audio = None if row.audio_tokens is None or n_cached else row.audio_tokens[None]
        embedded.append(net.embed(torch.tensor([row.tree.ids], device=device), audio)[0])
        n_audio = len(embedded[-1]) - len(row.tree)
        positions.append(torch.cat([torch.arange(n_audio), n_audio + row.tree.depths()]))
    longest = max(map(len, embedded))
    mask = torch.stack(
        [_mask(row.tree, longest, len(e)) for row, e in zip(rows, embedded, strict=True)]
    )
    before = torch.ones(len(rows), longest, n_cached, dtype=torch.bool)
    options = {} if cache is None else {cache_name(net.llama.model): cache}
    with net.reading([row.audio_tokens for row in rows]):
        outputs = net.llama.model(
            inputs_embeds=pad_sequence(embedded, batch_first=True),
            attention_mask=torch.cat([before, mask], dim=2)[:, None].to(device),
            position_ids=(n_cached + pad_sequence(positions, batch_first=True)).to(device),
            use_cache=cache is not None,
            **options,
        )
    states: Tensor = outputs.last_hidden_state
    return states


def _mask(tree: TokenTree, longest: int, length: int) -> Tensor:
    """Return True where a position sees another: audio, nodes of a tree, then padding.

    Args:
        tree: the last nodes of the row.
        longest: number of positions with padding, which sees only itself.
        length: number of positions without padding.

    Returns:
        Shape (longest, longest).
    """
    n_audio = length - len(tree)
    mask = torch.eye(longest, dtype=torch.bool)
    mask[:length, :n_audio] = torch.ones(length, n_audio, dtype=torch.bool).tril()
    mask[n_audio:length, n_audio:length] = tree.visible()
    return mask
