"""Generate token ids with any causal model of transformers; results do not depend on the batch."""

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
    """Generated token ids, and whether an end-of-sequence token followed them."""

    ids: tuple[int, ...]
    ended: bool


@torch.inference_mode()
def generate_each(
    prompts: Sequence[Item],
    decoding: Decoding,
    answer: Callable[[Sequence[Item]], Sequence[GeneratedTokens]],
) -> list[GeneratedTokens]:
    """Generate greedily in one batch, or sample for each prompt separately with the same seed.

    Args:
        prompts: at least one prompt.
        decoding: decoding settings.
        answer: function that returns one output per prompt.
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
    """Generate a continuation of each row of a batch.

    Args:
        model: a causal model of transformers.
        inputs: inputs of the model. `input_ids` has shape (n_prompts, n_text). It must be padded on
            the left with tokens of the same row, so that padding does not change the repetition
            penalty.
        decoding: decoding settings.
        ends: ids of end-of-sequence tokens; () if the model has no such token.

    Raises:
        NonFiniteError: if the scores of a token are not finite.
    """
    n_text = inputs["input_ids"].shape[1]
    options = generation_options(decoding, ends)
    options["logits_processor"].append(_FiniteScores(n_text, ends))
    sequences = model.generate(**inputs, **options)
    return [_until_end(row, ends) for row in sequences[:, n_text:].tolist()]


def generation_options(decoding: Decoding, ends: Sequence[int]) -> dict[str, Any]:
    """Convert decoding settings to keyword arguments of transformers' `generate`."""
    processors = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        # Not as an option of `generate`, which would exempt some text tokens from the penalty if
        # the batch contains padding or audio.
        penalty = float(decoding.repetition_penalty)
        processors.append(RepetitionPenaltyLogitsProcessor(penalty))
    options: dict[str, Any] = {
        "max_new_tokens": decoding.max_new_tokens,
        "do_sample": decoding.temperature > 0,
        "logits_processor": processors,
        "eos_token_id": list(ends) or None,
        "pad_token_id": ends[0] if ends else 0,
    }
    if decoding.temperature > 0:
        options |= {
            "top_k": decoding.top_k or 0,  # 0 means no limit; transformers' default is 50
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
        }
    return options


def left_padded(rows: Sequence[Tensor], value: float) -> Tensor:
    """Stack rows of different lengths; pad them on the left."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")


class _FiniteScores(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Logits processor that raises if scores are not finite.

    With such scores, greedy decoding would silently choose the first token. Individual scores of
    minus infinity are allowed, because some models exclude tokens in this way. Rows that have ended
    are not checked.
    """

    def __init__(self, n_text: int, ends: Sequence[int]) -> None:
        self._n_text = n_text
        self._ends = tuple(ends)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        invalid = ~scores.amax(-1).isfinite()  # NaN is the maximum of any row that contains it
        if invalid.any():
            new = input_ids[invalid, self._n_text :]
            ends = torch.tensor(self._ends, dtype=new.dtype, device=new.device)
            if not torch.isin(new, ends).any(-1).all():
                raise NonFiniteError(
                    f"The scores of token {new.shape[1] + 1} of a response must be finite, got NaN "
                    f"or infinity. {NonFiniteError.ADVICE}"
                )
        return scores


def _until_end(new_ids: list[int], ends: Sequence[int]) -> GeneratedTokens:
    for position, token in enumerate(new_ids):
        if token in ends:
            return GeneratedTokens(tuple(new_ids[:position]), ended=True)
    return GeneratedTokens(tuple(new_ids), ended=False)
