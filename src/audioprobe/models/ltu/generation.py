"""Generate token ids with an LTU.

A batch may contain prompts of different lengths, with and without audio. Padding is on the left and
is masked, and position ids do not count padding, so that responses do not depend on the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    check_context,
    continue_batch,
    left_padded,
)
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import Decoding


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

    Raises:
        UnsupportedInputError: if a prompt and its longest possible response exceed the model's
            context.
    """
    longest = max(length_of(net, prompt) for prompt in prompts)
    check_context(net.llama, longest, decoding.max_new_tokens)
    with net.reading([prompt.audio_tokens for prompt in prompts]):
        return continue_batch(net.llama, batch_inputs(net, prompts), decoding, (eos_token_id,))


def batch_inputs(net: LTUNetwork, prompts: Sequence[TokenPrompt]) -> dict[str, Tensor]:
    """Return the inputs of transformers' `generate` for a batch, padded on the left."""
    # Pad with the first token of every prompt, so that the repetition penalty does not change.
    ids = left_padded([prompt.input_ids for prompt in prompts], int(prompts[0].input_ids[0]))
    embedded = [_embed(net, prompt)[0] for prompt in prompts]
    mask = left_padded([torch.ones(len(e), dtype=torch.long) for e in embedded], 0)
    return {
        "input_ids": ids,
        "inputs_embeds": left_padded(embedded, 0.0),
        "attention_mask": mask.to(ids.device),
    }


def _embed(net: LTUNetwork, prompt: TokenPrompt) -> Tensor:
    """Return the input of the LLaMA for one prompt, shape (1, length, hidden)."""
    audio_tokens = None if prompt.audio_tokens is None else prompt.audio_tokens[None]
    return net.embed(prompt.input_ids[None], audio_tokens)
