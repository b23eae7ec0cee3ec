"""Batches that fit: one that is too large for the memory is halved, and the next ones with it."""

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

_NOT_EVEN_ONE = (
    "Even one prompt does not fit into the memory. What takes less of it: a shorter prompt, fewer "
    'new tokens, dtype="bfloat16" (half of float32), quantization (a quarter of bfloat16, on a '
    "GPU), a smaller model."
)


def answer_one(answer: Callable[[], Answer]) -> Answer:
    """What is computed for one prompt, which cannot be halved.

    Raises:
        OutOfMemoryError: if it does not fit; says what would.
    """
    answers = _try(lambda _: [answer()], ())
    if answers is None:
        raise OutOfMemoryError(_NOT_EVEN_ONE)
    return answers[0]


def answer_in_batches(
    items: Iterable[Item], size: int, answer: Callable[[Sequence[Item]], Iterable[Answer]]
) -> Iterator[Answer]:
    """Answers to a stream of items, computed batch by batch.

    Args:
        items: pulled one batch ahead at most.
        size: items per batch to begin with.
        answer: one answer per item, the same in every company.

    Yields:
        The answers, in order.

    Raises:
        OutOfMemoryError: if a single item does not fit; says what would.
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
                raise OutOfMemoryError(_NOT_EVEN_ONE)
            size = len(batch) // 2
            warnings.warn(
                f"A batch of {len(batch)} does not fit into the memory; going on with batches of "
                f"{size}. Pass batch_size={size} to begin with it.",
                stacklevel=2,
            )
            continue
        waiting = waiting[len(batch) :]
        yield from answers


def _try(
    answer: Callable[[Sequence[Item]], Iterable[Answer]], batch: Sequence[Item]
) -> list[Answer] | None:
    """The answers, or None where the memory was too small."""
    try:
        return list(answer(batch))
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
    # After the handler, for its traceback holds on to the tensors of the attempt.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
