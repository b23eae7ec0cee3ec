"""Generate token ids with an LTU, and compute likelihoods of token ids.

A batch may contain prompts of different lengths, with and without audio. Padding is on the left and
is masked, and position ids do not count padding, so that responses do not depend on the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audioprobe.errors import UnsupportedInputError
from audioprobe.models.causal_lm import likelihood
from audioprobe.models.causal_lm.generation import (
    GeneratedTokens,
    continue_batch,
    generate_each,
    left_padded,
)
from audioprobe.models.ltu.network import LTUNetwork
from audioprobe.types import Decoding, LogLikelihood


@dataclass(frozen=True, slots=True, eq=False)
class TokenPrompt:
    """A prompt as input of the network.

    Attributes:
        input_ids: token ids of the text, shape (n_text,), beginning-of-sequence token first.
        audio_tokens: shape (n_tokens, hidden); None for a prompt without audio.
    """

    input_ids: Tensor
    audio_tokens: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of positions in the sequence, including audio tokens."""
        return len(self.input_ids) + (0 if self.audio_tokens is None else len(self.audio_tokens))


@torch.inference_mode()
def generate(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], decoding: Decoding, *, eos_token_id: int
) -> list[GeneratedTokens]:
    """Return a continuation of each prompt.

    As in the authors' code, the repetition penalty also applies to the text tokens of the prompt.
    Greedy decoding processes all prompts in one batch. Sampling processes each prompt separately,
    with the same seed.

    Args:
        net: the network.
        prompts: at least one prompt.
        decoding: decoding settings.
        eos_token_id: id of the end-of-sequence token.

    Raises:
        UnsupportedInputError: if a prompt and its longest possible response exceed the model's
            context.
    """
    _check_length(net, prompts, decoding.max_new_tokens)

    def answer(batch: Sequence[TokenPrompt]) -> list[GeneratedTokens]:
        return continue_batch(net.llama, batch_inputs(net, batch), decoding, (eos_token_id,))

    return generate_each(prompts, decoding, answer)


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


@torch.inference_mode()
def log_likelihood(
    net: LTUNetwork, prompt: TokenPrompt, continuations: Sequence[Sequence[int]]
) -> list[LogLikelihood]:
    """Return the log-likelihood of each continuation after the prompt.

    The prompt, including its audio, is processed once; all continuations use the same key-value
    cache.

    Args:
        net: the network.
        prompt: prompt before the continuations.
        continuations: token ids of each continuation, at least one token each.

    Raises:
        InvalidInputError: if a continuation is empty.
        UnsupportedInputError: if prompt and continuation exceed the model's context.
    """
    _check_length(net, [prompt], max(map(len, continuations), default=0))
    return likelihood.log_likelihood(
        net.llama, {"inputs_embeds": _embed(net, prompt)}, continuations
    )


def _embed(net: LTUNetwork, prompt: TokenPrompt) -> Tensor:
    audio_tokens = None if prompt.audio_tokens is None else prompt.audio_tokens[None]
    return net.embed(prompt.input_ids[None], audio_tokens)


def _check_length(net: LTUNetwork, prompts: Sequence[TokenPrompt], n_new: int) -> None:
    limit = net.llama.config.max_position_embeddings
    longest = max(prompt.length for prompt in prompts)
    if longest + n_new > limit:
        raise UnsupportedInputError(
            f"A prompt of {longest} tokens and {n_new} new tokens exceed the model's context of "
            f"{limit} tokens. Shorten the prompt or reduce the number of new tokens."
        )
