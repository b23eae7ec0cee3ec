"""Run computations in batches; if a batch does not fit into memory, halve the batch size."""

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
        OutOfMemoryError: if the computation does not fit into memory.
    """
    answers = _try(lambda _: [answer()], ())
    if answers is None:
        raise OutOfMemoryError(_SINGLE_PROMPT)
    return answers[0]


def answer_in_batches(
    items: Iterable[Item], size: int, answer: Callable[[Sequence[Item]], Iterable[Answer]]
) -> Iterator[Answer]:
    """Yield one result per item, in order, computed in batches.

    After an out-of-memory error, the batch size is halved and stays halved.

    Args:
        items: items to process; at most one batch is read ahead.
        size: initial batch size.
        answer: function that returns one result per item of a batch. A result must not depend on
            the other items of the batch.

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
    """Return the results of a batch, or None if it does not fit into memory."""
    try:
        return list(answer(batch))
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # Return outside the handler: the traceback keeps the tensors of the failed attempt alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
