"""Batches that fit into memory: after a failure, the batch size is halved for the rest."""

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch

from audioprobe.devices import is_out_of_memory
from audioprobe.errors import OutOfMemoryError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_SINGLE_PROMPT = (
    "A single prompt does not fit into memory. Use a shorter prompt, fewer new tokens, "
    'dtype="bfloat16" (half the memory of float32), quantization (a quarter of bfloat16, on a '
    "GPU), or a smaller model."
)


def answer_one(answer: Callable[[], Answer]) -> Answer:
    """Return the result of a computation for one prompt.

    Raises:
        OutOfMemoryError: if it does not fit into memory.
    """
    answers = _try(lambda _: [answer()], ())
    if answers is None:
        raise OutOfMemoryError(_SINGLE_PROMPT)
    return answers[0]


def answer_in_batches(
    items: Iterable[Item], size: int, answer: Callable[[Sequence[Item]], Iterable[Answer]]
) -> Iterator[Answer]:
    """Yield the results for a stream of items, computed in batches, in order.

    Args:
        items: read at most one batch ahead.
        size: initial batch size.
        answer: returns one result per item, independent of the batch.

    Raises:
        OutOfMemoryError: if a single item does not fit into memory.
    """
    queue = iter(items)
    waiting: list[Item] = []
    while True:
        waiting += islice(queue, max(0, size - len(waiting)))
        if not waiting:
            return
        batch = waiting[:size]
        answers = _try(answer, batch)
        if answers is None:
            if len(batch) == 1:
                raise OutOfMemoryError(_SINGLE_PROMPT)
            size = len(batch) // 2
            warnings.warn(
                f"A batch of {len(batch)} does not fit into memory; continuing with batches of "
                f"{size}. Pass batch_size={size} to avoid this.",
                stacklevel=2,
            )
            continue
        waiting = waiting[len(batch) :]
        yield from answers


def _try(
    answer: Callable[[Sequence[Item]], Iterable[Answer]], batch: Sequence[Item]
) -> list[Answer] | None:
    """The results, or None if memory was too small."""
    try:
        return list(answer(batch))
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # Outside the handler, as its traceback references the tensors of the attempt.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
