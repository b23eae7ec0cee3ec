"""Generate token ids with any causal model of transformers, in batches that fit into memory.

The token ids that are generated for a prompt do not depend on the other prompts of its batch.
"""

import gc
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from audioprobe.devices import is_out_of_memory
from audioprobe.errors import NonFiniteError, OutOfMemoryError, UnsupportedInputError
from audioprobe.types import Decoding

_SORTED_BATCHES = 4  # batches of items among which similar items are found

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class GeneratedTokens:
    """Token ids of one response, and the reason why generation stopped.

    `ended` is True if the model generated an end-of-sequence token, and False if the response
    reached the maximum number of new tokens.
    """

    ids: tuple[int, ...]
    ended: bool

    @property
    def finish(self) -> Literal["stop", "length"]:
        """Value for `Response.finish`: "stop" if `ended` is True, otherwise "length"."""
        return "stop" if self.ended else "length"


def run_single(compute: Callable[[], Result]) -> Result:
    """Call `compute()` once for a single prompt, and return its result.

    Raises:
        OutOfMemoryError: if the computation does not fit into memory.
    """
    (result,) = run_in_batches([None], 1, lambda _: [compute()])
    return result


def run_in_batches(
    items: Iterable[Item],
    size: int,
    compute: Callable[[Sequence[Item]], Iterable[Result]],
    length: Callable[[Item], int] | None = None,
    group: Callable[[Item], Hashable] | None = None,
) -> Iterator[Result]:
    """Yield one result per item, in order, computed in batches.

    After an out-of-memory error, this and all later batches have half the size.

    Args:
        items: items to process; at most one batch is read ahead, or four with `length` or `group`.
        size: initial batch size.
        compute: function that returns one result per item of a batch. A result must not depend on
            the other items of the batch.
        length: function that returns the length of an item. Items of similar length are then
            computed together, so that batches need less padding: each batch contains the first item
            without a result, and those read ahead that are closest to it in length.
        group: function that returns what items have in common, such as a clip. Items of a group are
            then computed together, in their order: each batch contains the first item without a
            result, those of its group, and then those of the next groups; `length` is not used.

    Raises:
        OutOfMemoryError: if a single item does not fit into memory.
    """
    queue = enumerate(items)
    waiting: dict[int, Item] = {}  # items without a result, by position
    results: dict[int, Result] = {}  # results of items after the first one in `waiting`
    n_yielded = 0
    in_order = length is None and group is None
    while True:
        n_open = len(waiting) + len(results)
        # Read two batches for each one computed, so that the first is computed as soon as possible.
        n_read = size if in_order or not n_yielded else 2 * size
        most = size if in_order else _SORTED_BATCHES * size
        waiting |= islice(queue, max(0, min(n_read, most - n_open)))
        if not waiting:
            return
        batch = _next_batch(waiting, size, length, group)
        computed = _try(compute, [waiting[n] for n in batch])
        if computed is None:
            if len(batch) == 1:
                raise OutOfMemoryError(
                    "A single prompt does not fit into memory. Use a shorter prompt, fewer new "
                    'tokens, dtype="bfloat16" (half the memory of float32), quantization (a '
                    "quarter of bfloat16, on a GPU), or a smaller model."
                )
            size = len(batch) // 2
            warnings.warn(
                f"A batch of {len(batch)} does not fit into memory; continuing with batches of "
                f"{size}. Pass batch_size={size} to avoid this.",
                stacklevel=2,
            )
            continue
        results |= zip(batch, computed, strict=True)
        for n in batch:
            del waiting[n]
        while n_yielded in results:
            yield results.pop(n_yielded)
            n_yielded += 1


def _next_batch(
    waiting: Mapping[int, Item],
    size: int,
    length: Callable[[Item], int] | None,
    group: Callable[[Item], Hashable] | None,
) -> list[int]:
    """Return the positions of up to `size` items: the first one, and those similar to it."""
    positions = list(waiting)
    first = positions[0]
    if group is not None:
        groups: dict[Hashable, list[int]] = {}
        for n in positions:
            groups.setdefault(group(waiting[n]), []).append(n)
        return [n for members in groups.values() for n in members][:size]
    if length is None or len(positions) <= size:
        return positions[:size]
    lengths = {n: length(waiting[n]) for n in positions}
    positions.sort(key=lengths.__getitem__)
    place = positions.index(first)
    starts = range(max(0, place - size + 1), min(place, len(positions) - size) + 1)
    start = min(starts, key=lambda n: lengths[positions[n + size - 1]] - lengths[positions[n]])
    return positions[start : start + size]


def _try(
    compute: Callable[[Sequence[Item]], Iterable[Result]], batch: Sequence[Item]
) -> list[Result] | None:
    """Return the results of a batch, or None if the batch does not fit into memory."""
    try:
        return list(compute(batch))
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # Return outside the handler: the traceback keeps the tensors of the failed attempt alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def check_context(model: Any, n_prompt: int, n_new: int) -> None:  # noqa: ANN401 - no common type
    """Raise `UnsupportedInputError` if a prompt and its response do not fit into a model's context.

    `n_prompt` is the number of tokens in the prompt, including audio tokens; `n_new` is the maximum
    number of tokens in the response.
    """
    config = model.config.get_text_config(decoder=True)
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and n_prompt + n_new > limit:
        raise UnsupportedInputError(
            f"A prompt of {n_prompt} tokens and {n_new} new tokens exceed the model's context of "
            f"{limit} tokens. Shorten the prompt or its audio, or allow fewer new tokens."
        )


@torch.inference_mode()
def continue_batch(
    model: Any,  # noqa: ANN401 - `generate` comes from a mixin that type checkers do not find
    inputs: Mapping[str, Tensor],
    decoding: Decoding,
    ends: Sequence[int],
) -> list[GeneratedTokens]:
    """Return the generated tokens of each prompt in a batch.

    Sampling draws from a random generator of its own for each prompt, all with the same seed, so
    that a response does not depend on the other prompts.

    Args:
        model: a causal model of transformers.
        inputs: inputs of the model. `input_ids` has shape (n_prompts, n_text). A shorter
            prompt must be padded on the left with tokens that it contains, because the repetition
            penalty also counts padding.
        decoding: decoding settings.
        ends: ids of end-of-sequence tokens; () if the model has no such token.

    Raises:
        NonFiniteError: if the scores of a token are not finite.
    """
    n_text = inputs["input_ids"].shape[1]
    options = generation_options(decoding, ends)
    options["logits_processor"].insert(0, _FiniteScores(n_text, ends))
    if decoding.temperature > 0:
        options["logits_processor"].append(_SeededSampling(decoding.seed))
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
    # The three steps of sampling, in the order of transformers.
    if decoding.temperature > 0:
        if decoding.temperature != 1:
            processors.append(TemperatureLogitsWarper(float(decoding.temperature)))
        if decoding.top_k is not None:
            processors.append(TopKLogitsWarper(decoding.top_k))
        if decoding.top_p < 1:
            processors.append(TopPLogitsWarper(float(decoding.top_p)))
    return {
        "max_new_tokens": decoding.max_new_tokens,
        "do_sample": False,  # `_SeededSampling` draws, because transformers has one seed per batch
        "logits_processor": processors,
        "eos_token_id": list(ends) or None,
        "pad_token_id": ends[0] if ends else 0,
    }


def left_padded(rows: Sequence[Tensor], value: float) -> Tensor:
    """Stack rows of different lengths into one tensor, padded on the left with `value`."""
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


class _SeededSampling(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Logits processor that draws the next token of every row, and excludes all other tokens.

    A row of a batch gets the same tokens as transformers' sampling of this row alone after
    `torch.manual_seed(seed)`.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not self._generators:
            device = scores.device
            self._generators = [
                torch.Generator(device).manual_seed(self._seed) for _ in range(len(input_ids))
            ]
        shares = torch.softmax(scores, dim=-1)
        drawn = [
            torch.multinomial(row, 1, generator=generator)
            for row, generator in zip(shares, self._generators, strict=True)
        ]
        return torch.full_like(scores, -torch.inf).scatter_(1, torch.stack(drawn), 0.0)


def _until_end(new_ids: list[int], ends: Sequence[int]) -> GeneratedTokens:
    """Return the token ids before the first end-of-sequence token."""
    for position, token in enumerate(new_ids):
        if token in ends:
            return GeneratedTokens(tuple(new_ids[:position]), ended=True)
    return GeneratedTokens(tuple(new_ids), ended=False)
