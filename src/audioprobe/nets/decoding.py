"""Answers of an LTU as token ids, and the likelihood of given ones.

Prompts of unequal length, with and without sound, stand in one batch with their padding on the left
and masked, at the positions that they would have alone: the company changes no answer.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from audioprobe.errors import InvalidInputError, UnsupportedInputError
from audioprobe.nets.ltu import LtuNet
from audioprobe.types import Decoding, LogLikelihood

CHUNK = 32  # continuations scored at once over copies of one prefix


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


@dataclass(frozen=True, slots=True)
class Answer:
    """New token ids, and whether the model ended by itself."""

    ids: tuple[int, ...]
    ended: bool


@torch.inference_mode()
def generate(
    net: LtuNet, prompts: Sequence[TokenPrompt], decoding: Decoding, *, end: int
) -> list[Answer]:
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
    if decoding.temperature == 0:
        return _continue(net, prompts, decoding, end)
    answers = []
    for prompt in prompts:
        with torch.random.fork_rng():
            torch.manual_seed(decoding.seed)
            answers += _continue(net, [prompt], decoding, end)
    return answers


def _continue(
    net: LtuNet, prompts: Sequence[TokenPrompt], decoding: Decoding, end: int
) -> list[Answer]:
    begin = int(prompts[0].input_ids[0])
    # Padded with the token that every prompt begins with, so that the penalty sees nothing new.
    ids = _left_padded([prompt.input_ids for prompt in prompts], begin)
    embedded = [net.join(p.input_ids[None], _batch_of_one(p.audio_tokens))[0] for p in prompts]
    mask = _left_padded([torch.ones(len(e), dtype=torch.long) for e in embedded], 0)
    sampling = {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        # 0 is "all"; without it transformers falls back on 50.
        "top_k": decoding.top_k or 0,
    }
    llama: Any = net.llama  # `generate` comes from a mixin that type checkers do not find
    sequences = llama.generate(
        input_ids=ids,
        inputs_embeds=_left_padded(embedded, 0.0),
        attention_mask=mask.to(ids.device),
        max_new_tokens=decoding.max_new_tokens,
        do_sample=decoding.temperature > 0,
        logits_processor=_penalty(decoding),
        bos_token_id=begin,
        eos_token_id=end,
        pad_token_id=end,
        **(sampling if decoding.temperature > 0 else {}),
    )
    return [_answer(row, end) for row in sequences[:, ids.shape[1] :].tolist()]


def _penalty(decoding: Decoding) -> LogitsProcessorList:
    """The repetition penalty, put in by hand.

    `generate` would count a prompt's pads by the attention mask, sound included, and spare as many
    tokens of its text.
    """
    if decoding.repetition_penalty == 1:
        return LogitsProcessorList()
    return LogitsProcessorList([RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty)])


def _answer(new_ids: list[int], end: int) -> Answer:
    if end in new_ids:
        return Answer(tuple(new_ids[: new_ids.index(end)]), ended=True)
    return Answer(tuple(new_ids), ended=False)


@torch.inference_mode()
def log_likelihood(
    net: LtuNet, prompt: TokenPrompt, continuations: Sequence[Sequence[int]]
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
    if any(not len(ids) for ids in continuations):
        raise InvalidInputError("A continuation needs at least one token, got none.")
    longest = max(map(len, continuations), default=0)
    _refuse_too_long(net, [prompt], longest)
    prefix = net.llama(
        inputs_embeds=net.join(prompt.input_ids[None], _batch_of_one(prompt.audio_tokens)),
        use_cache=True,
        logits_to_keep=1,
    )
    first = prefix.logits[0, -1].float().log_softmax(-1)
    scored: list[LogLikelihood] = []
    for start in range(0, len(continuations), CHUNK):
        chunk = [torch.tensor(ids) for ids in continuations[start : start + CHUNK]]
        scored += _score(net, chunk, first, prefix.past_key_values, prompt.length)
    return scored


def _score(
    net: LtuNet, chunk: Sequence[Tensor], first: Tensor, cache: object, n_prefix: int
) -> Iterator[LogLikelihood]:
    """Scores of continuations over one encoded prefix, which stays as it is."""
    ids = pad_sequence(list(chunk), batch_first=True).to(first.device)
    repeated = copy.deepcopy(cache)
    repeated.batch_repeat_interleave(len(chunk))  # type: ignore[attr-defined]
    # Pads stand on the right, where no earlier token sees them.
    positions = torch.arange(n_prefix, n_prefix + ids.shape[1], device=ids.device)
    logits = net.llama(
        input_ids=ids, past_key_values=repeated, position_ids=positions.expand_as(ids)
    ).logits
    later = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    for row, (token_ids, scores) in enumerate(zip(ids, later, strict=True)):
        n_tokens = len(chunk[row])
        total = first[token_ids[0]].double() + scores[: n_tokens - 1].double().sum()
        yield LogLikelihood(float(total), n_tokens)


def _left_padded(rows: Sequence[Tensor], value: float) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")


def _batch_of_one(audio_tokens: Tensor | None) -> Tensor | None:
    return None if audio_tokens is None else audio_tokens[None]


def _refuse_too_long(net: LtuNet, prompts: Sequence[TokenPrompt], n_new: int) -> None:
    limit = net.llama.config.max_position_embeddings
    longest = max(prompt.length for prompt in prompts)
    if longest + n_new > limit:
        raise UnsupportedInputError(
            f"A prompt of {longest} tokens and {n_new} new ones exceed the model's context of "
            f"{limit} tokens. Shorten the prompt, or allow fewer new tokens."
        )
