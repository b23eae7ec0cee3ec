"""Forward passes in which prompts about one clip share its audio and their common words.

A row of a pass contains the audio tokens of a clip, the tokens with which all its texts start, and
then a tree of the other tokens (`TokenTree`). Prompts about different clips are different rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audioprobe.models.causal_lm.prompt_cache import PASS_COST, cache_name
from audioprobe.models.causal_lm.token_tree import TokenTree
from audioprobe.models.ltu.network import LTUNetwork

PASS_TOKENS = 1024
"""Largest number of positions in a forward pass, unless a single row is longer.

Matrix products reach the full speed of a CPU core with a few hundred rows, and the cost of
attention grows with the square of the length.
"""


class Branches:
    """Texts about one clip, or without audio, as one row of a forward pass.

    Attributes:
        audio_tokens: shape (n_tokens, hidden); None for texts without audio.
        start: tokens with which all texts start.
        tree: the tokens after `start`.
    """

    def __init__(self, audio_tokens: Tensor | None, start: Sequence[int] = ()) -> None:
        self.audio_tokens = audio_tokens
        self.start = tuple(start)
        self.tree = TokenTree()

    def n_before(self, net: LTUNetwork) -> int:
        """Return the number of positions before the tree in the input of the LLaMA."""
        return net.n_positions(self.audio_tokens) + len(self.start)

    def length(self, net: LTUNetwork) -> int:
        """Return the number of positions in the input of the LLaMA."""
        return self.n_before(net) + len(self.tree)


Row = TypeVar("Row", bound=Branches)


def pass_batches(net: LTUNetwork, rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield rows of similar length that fit into one forward pass together, with padding.

    On a CPU, another row adds at most as much padding as another pass costs. A GPU waits for
    instructions in each pass, so that it computes as few passes as possible.
    """
    most_padding = PASS_COST if net.device.type == "cpu" else PASS_TOKENS
    batch: list[Row] = []
    longest = 0
    for row in sorted(rows, key=lambda row: row.length(net)):
        length, n_rows = row.length(net), len(batch)
        padding = n_rows * (length - longest)
        if batch and (padding > most_padding or length * (n_rows + 1) > PASS_TOKENS):
            yield batch
            batch = []
        batch.append(row)
        longest = length
    if batch:
        yield batch


def branch_states(
    net: LTUNetwork,
    rows: Sequence[Branches],
    cache: Any = None,  # noqa: ANN401 - caches of transformers have no type
    n_cached: int = 0,
) -> Tensor:
    """Return the states after the last layer, (n_rows, n_positions, hidden), with padding.

    Args:
        net: the network.
        rows: the rows of the forward pass.
        cache: cache of transformers, which grows by the positions of the pass; None for no cache.
        n_cached: number of positions in the cache. If there are any, they are the positions before
            the tree of the only row.
    """
    device = net.device
    embedded, positions = [], []
    for row in rows:
        audio = None if row.audio_tokens is None or n_cached else row.audio_tokens[None]
        ids = [*(() if n_cached else row.start), *row.tree.ids]
        embedded.append(net.embed(torch.tensor([ids], dtype=torch.long, device=device), audio)[0])
        n_before = len(embedded[-1]) - len(row.tree)
        positions.append(torch.cat([torch.arange(n_before), n_before + row.tree.depths()]))
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
    """Return True where a position sees another: those before a tree, its nodes, then padding.

    Args:
        tree: the last nodes of the row.
        longest: number of positions with padding, which sees only itself.
        length: number of positions without padding.

    Returns:
        Shape (longest, longest).
    """
    n_before = length - len(tree)
    mask = torch.eye(longest, dtype=torch.bool)
    mask[:length, :n_before] = torch.ones(length, n_before, dtype=torch.bool).tril()
    mask[n_before:length, n_before:length] = tree.visible()
    return mask
