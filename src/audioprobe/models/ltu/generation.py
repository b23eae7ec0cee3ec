"""Answers of an LTU as token ids, and the likelihood of given ones.

Prompts of unequal length, with and without sound, stand in one batch with their padding on the left
and masked, at the positions that they would have alone: the company changes no answer.
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
    """A prompt as the network takes it.

    Attributes:
        input_ids: shape (n_text,), beginning-of-sequence first.
        audio_tokens: shape (n_tokens, hidden), or None for text alone.
    """

    input_ids: Tensor
    audio_tokens: Tensor | None = None

    @property
    def length(self) -> int:
        """Positions that it takes, those of the sound included."""
        return len(self.input_ids) + (0 if self.audio_tokens is None else len(self.audio_tokens))


@torch.inference_mode()
def generate(
    net: LTUNetwork, prompts: Sequence[TokenPrompt], decoding: Decoding, *, end: int
) -> list[GeneratedTokens]:
    """Continue each prompt.

    The repetition penalty sees the text of the prompt, as in the original, and not its sound.
    Greedy answers are computed in one batch; sampled ones prompt by prompt, each from the seed, so
    that they do not depend on the batch either.

    Args:
        net: the model.
        prompts: at least one.
        decoding: how to choose tokens.
        end: id of the end-of-sequence token.

    Raises:
        UnsupportedInputError: if a prompt and its longest answer exceed the model's context.
    """
    _refuse_too_long(net, prompts, decoding.max_new_tokens)

    def answer(batch: Sequence[TokenPrompt]) -> list[GeneratedTokens]:
        return continue_batch(net.llama, _together(net, batch), decoding, (end,))

    return generate_each(prompts, decoding, answer)


def _together(net: LTUNetwork, prompts: Sequence[TokenPrompt]) -> dict[str, Tensor]:
    # Padded with the token that every prompt begins with, so that the penalty sees nothing new.
    ids = left_padded([prompt.input_ids for prompt in prompts], int(prompts[0].input_ids[0]))
    embedded = [net.join(p.input_ids[None], _batch_of_one(p.audio_tokens))[0] for p in prompts]
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
    """How probable each continuation is after the prompt.

    The prompt, sound included, is encoded once; all continuations share its keys and values.

    Args:
        net: the model.
        prompt: what comes before.
        continuations: token ids, at least one each.

    Raises:
        InvalidInputError: for a continuation without tokens.
        UnsupportedInputError: if prompt and continuation exceed the model's context.
    """
    _refuse_too_long(net, [prompt], max(map(len, continuations), default=0))
    joined = net.join(prompt.input_ids[None], _batch_of_one(prompt.audio_tokens))
    return likelihood.log_likelihood(net.llama, {"inputs_embeds": joined}, continuations)


def _batch_of_one(audio_tokens: Tensor | None) -> Tensor | None:
    return None if audio_tokens is None else audio_tokens[None]


def _refuse_too_long(net: LTUNetwork, prompts: Sequence[TokenPrompt], n_new: int) -> None:
    limit = net.llama.config.max_position_embeddings
    longest = max(prompt.length for prompt in prompts)
    if longest + n_new > limit:
        raise UnsupportedInputError(
            f"A prompt of {longest} tokens and {n_new} new ones exceed the model's context of "
            f"{limit} tokens. Shorten the prompt, or allow fewer new tokens."
        )
