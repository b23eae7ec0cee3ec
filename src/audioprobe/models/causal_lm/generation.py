"""Answers of any causal model of transformers as token ids, the same in every company."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
)

from audioprobe.errors import NonFiniteError
from audioprobe.types import Decoding

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GeneratedTokens:
    """New token ids, and whether the model ended by itself."""

    ids: tuple[int, ...]
    ended: bool


@torch.inference_mode()
def generate_each(
    prompts: Sequence[Item],
    decoding: Decoding,
    answer: Callable[[Sequence[Item]], Sequence[GeneratedTokens]],
) -> list[GeneratedTokens]:
    """Greedy answers in one batch; sampled ones prompt by prompt, each from the seed.

    So sampled answers do not depend on the batch either.

    Args:
        prompts: at least one.
        decoding: how to choose tokens.
        answer: one answer per prompt.
    """
    if decoding.temperature == 0:
        return list(answer(prompts))
    answers: list[GeneratedTokens] = []
    for prompt in prompts:
        with torch.random.fork_rng():
            torch.manual_seed(decoding.seed)
            answers += answer([prompt])
    return answers


def continue_batch(
    model: Any,  # noqa: ANN401 - `generate` comes from a mixin that type checkers do not find
    inputs: Mapping[str, Tensor],
    decoding: Decoding,
    ends: Sequence[int],
) -> list[GeneratedTokens]:
    """Continue each row of a batch.

    Args:
        model: a causal model of transformers.
        inputs: what it takes; `input_ids`, shape (n_prompts, n_text), padded on the left with
            tokens of the same row, so that the repetition penalty sees nothing new.
        decoding: how to choose tokens.
        ends: ids that end an answer; () where the model has none.

    Raises:
        NonFiniteError: if the scores that a token of an answer is chosen by are not finite.
    """
    n_text = inputs["input_ids"].shape[1]
    options = options_of(decoding, ends)
    options["logits_processor"].append(_FiniteScores(n_text, ends))
    sequences = model.generate(**inputs, **options)
    return [_answer(row, ends) for row in sequences[:, n_text:].tolist()]


def options_of(decoding: Decoding, ends: Sequence[int]) -> dict[str, Any]:
    """What a decoding is in the words of transformers' `generate`.

    Args:
        decoding: how to choose tokens.
        ends: ids that end an answer.
    """
    options: dict[str, Any] = {
        "max_new_tokens": decoding.max_new_tokens,
        "do_sample": decoding.temperature > 0,
        "logits_processor": _penalty(decoding),
        "eos_token_id": list(ends) or None,
        "pad_token_id": ends[0] if ends else 0,
    }
    if decoding.temperature > 0:
        # 0 is "all"; without it transformers falls back on 50.
        options |= {"top_k": decoding.top_k or 0}
        options |= {"temperature": decoding.temperature, "top_p": decoding.top_p}
    return options


def left_padded(rows: Sequence[Tensor], value: float) -> Tensor:
    """One tensor of rows that end together."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")


def _penalty(decoding: Decoding) -> LogitsProcessorList:
    """The repetition penalty, put in by hand.

    `generate` would count a prompt's pads by the attention mask, sound included, and spare as many
    tokens of its text.
    """
    if decoding.repetition_penalty == 1:
        return LogitsProcessorList()
    penalty = float(decoding.repetition_penalty)
    return LogitsProcessorList([RepetitionPenaltyLogitsProcessor(penalty)])


class _FiniteScores(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Refuses scores that no token can be chosen by: greedy decoding would take the first token.

    Single scores of minus infinity are allowed, for some models rule tokens out by them.

    Args:
        n_text: tokens of the prompt, in each row.
        ends: ids that end an answer; what is computed for a row behind them is not used.
    """

    def __init__(self, n_text: int, ends: Sequence[int]) -> None:
        self._n_text = n_text
        self._ends = tuple(ends)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores, unchanged.

        Raises:
            NonFiniteError: if a row that goes on has NaN, plus infinity, or no finite score.
        """
        broken = ~scores.amax(-1).isfinite()  # NaN is the maximum of any row that holds it
        if broken.any():
            new = input_ids[broken, self._n_text :]
            ended = torch.isin(
                new, torch.tensor(self._ends, dtype=new.dtype, device=new.device)
            ).any(-1)
            if not ended.all():
                raise NonFiniteError(
                    f"The scores of token {new.shape[1] + 1} of an answer must be finite, got NaN "
                    f"or infinity. {NonFiniteError.ADVICE}"
                )
        return scores


def _answer(new_ids: list[int], ends: Sequence[int]) -> GeneratedTokens:
    for position, token in enumerate(new_ids):
        if token in ends:
            return GeneratedTokens(tuple(new_ids[:position]), ended=True)
    return GeneratedTokens(tuple(new_ids), ended=False)
