"""Generate token ids with an LTU.

A batch may contain prompts of different lengths, with and without audio. Padding is on the left and
is masked, and position ids do not count padding, so that responses do not depend on the batch.
Prompts about the same audio share its positions and their common beginning, which the LLaMA
computes once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    check_context,
    continue_batch,
    left_padded,
)
from audioprobe.models.causal_lm.likelihood import common_start
from audioprobe.models.causal_lm.prompt_cache import cache_name
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import Decoding

_PASS_COST = 16  # positions that a CPU core computes in the time in which it reads the weights


@dataclass(frozen=True, slots=True, eq=False)
class TokenPrompt:
    """A prompt as input of the network.

    Attributes:
        input_ids: token ids of the text, shape (n_text,), beginning-of-sequence token first.
        audio_tokens: shape (n_tokens, hidden); None for a prompt without audio.
    """

    input_ids: Tensor
    audio_tokens: Tensor | None = None


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

    They contain the keys and values of common beginnings if sharing these saves more than an
    additional forward pass costs, and the padding between beginning and rest.
    """
    # Pad with the first token of every prompt, so that the repetition penalty does not change.
    ids = left_padded([prompt.input_ids for prompt in prompts], int(prompts[0].input_ids[0]))
    starts, numbers = _common_starts(prompts)
    rests = [
        prompt.input_ids[len(starts[number].input_ids) :]
        for prompt, number in zip(prompts, numbers, strict=True)
    ]
    n_start = max(length_of(net, start) for start in starts)
    n_rest = max(map(len, rests))
    longest = max(length_of(net, prompt) for prompt in prompts)
    n_shared = len(starts) * n_start + len(prompts) * n_rest + _PASS_COST
    if n_shared >= len(prompts) * longest:
        embedded, mask = _embed_batch(net, prompts)
        return {"input_ids": ids, "inputs_embeds": embedded, "attention_mask": mask}
    cache, start_mask = _process(net, starts)
    rows = torch.tensor(numbers, device=ids.device)
    cache.batch_select_indices(rows)
    embedded, mask = _embed_batch(net, [TokenPrompt(rest) for rest in rests])
    return {
        "input_ids": ids,
        # transformers skips the positions that the cache contains.
        "inputs_embeds": functional.pad(embedded, (0, 0, n_start, 0)),
        "attention_mask": torch.cat([start_mask[rows], mask], 1),
        cache_name(net.llama): cache,
    }


def _common_starts(prompts: Sequence[TokenPrompt]) -> tuple[list[TokenPrompt], list[int]]:
    """Return the common beginning of the prompts about each clip, and its number for each prompt.

    A beginning does not contain the last token of a prompt, which predicts the first new one.
    """
    members: dict[int, list[TokenPrompt]] = {}
    for prompt in prompts:
        members.setdefault(id(prompt.audio_tokens), []).append(prompt)
    starts = []
    for group in members.values():
        n_same = len(common_start([prompt.input_ids.tolist() for prompt in group]))
        starts.append(TokenPrompt(group[0].input_ids[:n_same], group[0].audio_tokens))
    numbers = {key: number for number, key in enumerate(members)}
    return starts, [numbers[id(prompt.audio_tokens)] for prompt in prompts]


def _process(net: LTUNetwork, prompts: Sequence[TokenPrompt]) -> tuple[Any, Tensor]:
    """Return the cache of the LLaMA after prompts, and the mask of its positions."""
    embedded, mask = _embed_batch(net, prompts)
    with net.reading([prompt.audio_tokens for prompt in prompts]):
        outputs = net.llama.model(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
        )
    return getattr(outputs, cache_name(net.llama.model)), mask


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
