"""Features and other inputs of a network, computed in the background while the network runs."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

import torch

from audioprobe.prefetching import compute_ahead

Item = TypeVar("Item")
Encoded = TypeVar("Encoded")


def encode_ahead(
    encode: Callable[[Item], Encoded], items: Iterable[Item], n_ahead: int
) -> Iterator[Encoded]:
    """Yield the inputs of a network for each item, in order; see `compute_ahead`.

    The background thread computes with one thread of torch. With more, it and the network would
    wait for each other's threads at every operation, if there are few cores.

    Args:
        encode: function that converts an item to inputs of the network.
        items: read lazily, in the thread of the caller.
        n_ahead: number of items to encode beyond the one in use; a batch, so that the next one is
            encoded while the network computes this one.
    """
    return compute_ahead(encode, items, n_ahead, prepare=_use_one_thread)


def _use_one_thread(worker: Executor) -> None:
    """Make torch use one thread in operations that `worker` runs."""
    n_threads = torch.get_num_threads()
    # The first call in a thread gives it the default number; a number set before would be lost.
    worker.submit(torch.get_num_threads).result()
    worker.submit(torch.set_num_threads, 1).result()
    # torch's setting belongs to a thread, but is also the default of threads that start later.
    torch.set_num_threads(n_threads)
