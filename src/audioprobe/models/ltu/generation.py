"""Generate token ids with an LTU.

A batch may contain prompts of different lengths, with and without audio. Padding is on the left and
is masked, and position ids do not count padding, so that responses do not depend on the batch.
Prompts about the same audio share its positions and their common words, which the LLaMA computes
once (`Branches`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    check_context,
    continue_batch,
    left_padded,
)
from audioprobe.models.causal_lm.prompt_cache import cache_name
from audioprobe.models.ltu.branches import (
    PASS_COST,
    PASS_TOKENS,
    Branches,
    branch_states,
    pass_batches,
)
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import Decoding, Option

_Path: TypeAlias = tuple[Branches, list[int]]  # a row, and the positions of a prompt in it


@dataclass(frozen=True, slots=True, eq=False)
class TokenPrompt:
    """A prompt as input of the network.

    Attributes:
        input_ids: token ids of the text, shape (n_text,), beginning-of-sequence token first.
        audio_tokens: shape (n_tokens, hidden); None for a prompt without audio.
    """

    input_ids: Tensor
    audio_tokens: Tensor | None = None


EncodedPrompt: TypeAlias = tuple[TokenPrompt, dict[str, Option]]
"""A prompt as input of the network, and details of its response."""


def use_static_cache(net: LTUNetwork) -> None:
    """Let the LLaMA generate with keys and values of a fixed size, in place.

    transformers then compiles the steps of the generation on a GPU (CUDA graphs), which removes the
    time in which the GPU waits for instructions. Prompts do not share their beginnings, and
    responses can differ by rounding from those without it, and between sizes of a batch.
    """
    net.llama.generation_config.cache_implementation = "static"


def has_static_cache(net: LTUNetwork) -> bool:
    """Return whether the LLaMA generates with keys and values of a fixed size."""
    name: str | None = net.llama.generation_config.cache_implementation
    return name == "static"


def length_of(net: LTUNetwork, prompt: TokenPrompt) -> int:
    """Return the number of positions of a prompt in the input of the LLaMA, with audio tokens."""
    return len(prompt.input_ids) + net.n_positions(prompt.audio_tokens)


@torch.inference_mode()
def generate(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], decoding: Decoding, *, eos_token_id: int
) -> list[GeneratedTokens]:
    """Return the generated token ids of each prompt; `prompts` must not be empty.

    As in the authors' code, the repetition penalty also applies to the text tokens of the prompt.
    A sampled response depends on the seed and the prompt, not on the other prompts of the batch.
    Prompts whose audio tokens are the same tensor share it.

    Raises:
        UnsupportedInputError: if a prompt and its longest possible response exceed the model's
            context.
    """
    longest = max(length_of(net, prompt) for prompt in prompts)
    check_context(net.llama, longest, decoding.max_new_tokens)
    inputs = batch_inputs(net, prompts)
    with net.reading([prompt.audio_tokens for prompt in prompts]):
        return continue_batch(net.llama, inputs, decoding, (eos_token_id,))


def batch_inputs(net: LTUNetwork, prompts: Sequence[TokenPrompt]) -> dict[str, Any]:
    """Return the inputs of transformers' `generate` for a batch, padded on the left.

    They contain the keys and values of all tokens but the last of each prompt, if sharing these
    between prompts saves more than an additional forward pass costs. With a static cache, or if
    a prompt is a single token without audio, nothing is shared.
    """
    # Pad with the first token of every prompt, so that the repetition penalty does not change.
    ids = left_padded([prompt.input_ids for prompt in prompts], int(prompts[0].input_ids[0]))
    passes, paths = ([], []) if has_static_cache(net) else _shared_passes(net, prompts)
    if not passes:
        embedded, mask = _embed_batch(net, prompts)
        return {"input_ids": ids, "inputs_embeds": embedded, "attention_mask": mask}
    cache, mask = _cache_of(net, passes, paths)
    last = net.embed(torch.stack([prompt.input_ids[-1:] for prompt in prompts]), None)
    return {
        "input_ids": ids,
        # transformers skips the positions that the cache contains.
        "inputs_embeds": functional.pad(last, (0, 0, mask.shape[1], 0)),
        "attention_mask": functional.pad(mask, (0, 1), value=1).to(ids.device),
        cache_name(net.llama): cache,
    }


def _shared_passes(
    net: LTUNetwork, prompts: Sequence[TokenPrompt]
) -> tuple[list[list[Branches]], list[_Path]]:
    """Return the rows of each pass over prompts without their last tokens, and the prompts' paths.

    There are no passes if sharing saves less than it costs, or if a row would be empty.
    """
    longest = max(length_of(net, prompt) for prompt in prompts)
    rows, paths = _branches(net, prompts, longest + PASS_TOKENS)
    passes = list(pass_batches(net, rows))
    n_shared = sum(len(batch) * max(row.length(net) for row in batch) for batch in passes)
    n_shared += len(prompts) + PASS_COST * len(passes)
    has_empty_row = not all(row.length(net) for row in rows)
    return ([] if has_empty_row or n_shared >= len(prompts) * longest else passes), paths


def _branches(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], limit: int
) -> tuple[list[Branches], list[_Path]]:
    """Return prompts without their last tokens as rows of up to `limit` positions, and their paths.

    The cost of attention grows with the square of the length of a row.
    """
    rows: list[Branches] = []
    open_rows: dict[int, Branches] = {}  # row to which prompts about a clip are added
    paths = []
    for prompt in prompts:
        key, ids = id(prompt.audio_tokens), prompt.input_ids[:-1].tolist()
        row = open_rows.get(key)
        if row is None or row.length(net) + row.tree.n_new(ids) > limit:
            row = open_rows[key] = Branches(prompt.audio_tokens)
            rows.append(row)
        n_audio = net.n_positions(prompt.audio_tokens)
        paths.append((row, [*range(n_audio), *(n_audio + node for node in row.tree.add(ids))]))
    return rows, paths


def _cache_of(
    net: LTUNetwork, passes: Sequence[Sequence[Branches]], paths: Sequence[_Path]
) -> tuple[DynamicCache, Tensor]:
    """Compute the rows of all passes; return the cache of the paths, and the mask of its positions.

    Args:
        net: the network.
        passes: rows of each forward pass.
        paths: place of each prompt.
    """
    places: dict[int, tuple[DynamicCache, int]] = {}
    for batch in passes:
        cache = DynamicCache()
        branch_states(net, batch, cache)
        places |= {id(row): (cache, n) for n, row in enumerate(batch)}
    selected = DynamicCache()
    for number in range(net.llama.config.num_hidden_layers):
        parts: dict[str, list[Tensor]] = {"keys": [], "values": []}
        for row, positions in paths:
            cache, n = places[id(row)]
            for name, tensors in parts.items():
                # Shape of the tensor: (n_rows, n_heads, n_positions, width).
                tensors.append(getattr(cache.layers[number], name)[n][:, positions].transpose(0, 1))
        keys, values = (left_padded(tensors, 0.0).transpose(1, 2) for tensors in parts.values())
        selected.update(keys, values, number)
    ones = [torch.ones(len(positions), dtype=torch.long) for _, positions in paths]
    return selected, left_padded(ones, 0)


def _embed_batch(net: LTUNetwork, prompts: Sequence[TokenPrompt]) -> tuple[Tensor, Tensor]:
    """Return the input of the LLaMA for prompts, padded on the left, and its mask.

    Their shapes are (n_prompts, length, hidden) and (n_prompts, length).
    """
    rows = [_embed(net, prompt) for prompt in prompts]
    mask = left_padded([torch.ones(len(row), dtype=torch.long) for row in rows], 0)
    return left_padded(rows, 0.0), mask.to(rows[0].device)


def _embed(net: LTUNetwork, prompt: TokenPrompt) -> Tensor:
    """Return the input of the LLaMA for one prompt, shape (length, hidden)."""
    audio_tokens = None if prompt.audio_tokens is None else prompt.audio_tokens[None]
    return net.embed(prompt.input_ids[None], audio_tokens)[0]
