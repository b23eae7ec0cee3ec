"""Compute the next results of a stream in a background thread while the caller uses earlier ones.

NumPy, torch, soxr and the audio decoders release Python's global lock while they compute, so that
decoding, resampling and features of the next clips run at the same time as a model.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import repeat
from typing import TypeVar, cast

from audioprobe.errors import InvalidInputError

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()


class _Waiting(threading.local):
    """Seconds that each thread has waited for results."""

    seconds = 0.0


_waiting = _Waiting()


class WaitingClock:
    """Clock that measures the time since its creation, and the part of it spent waiting.

    Only the thread that creates the clock is measured: the time in which it waits for results of
    `compute_ahead` and `prefetched`.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._waited_before = _waiting.seconds

    @property
    def share(self) -> float:
        """Share of the time in which the thread waited, from 0 to 1."""
        elapsed = time.perf_counter() - self._start
        return min(1.0, (_waiting.seconds - self._waited_before) / elapsed) if elapsed else 0.0


def compute_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    n_ahead: int,
    *,
    prepare: Callable[[Executor], None] | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of a function for each item, in order, computed in one background thread.

    Items are read in the thread of the caller, so that their source needs no locks. An error of the
    source or of the function is raised where the result of its item would be yielded. The thread
    ends with the iterator: after the last result, after an error, or when the iterator is closed or
    deleted. It then finishes the call in progress, and no other call starts.

    Args:
        function: called for one item at a time.
        items: read lazily.
        n_ahead: number of items to read and compute beyond the one whose result is in use.
        prepare: called once with the executor of the thread, before the first item is read.

    Raises:
        InvalidInputError: if `n_ahead` is below 1.
    """
    if n_ahead < 1:
        raise InvalidInputError(f"n_ahead must be at least 1, got {n_ahead}.")
    source = iter(items)
    pending: deque[Future[Result]] = deque()
    worker = ThreadPoolExecutor(1, thread_name_prefix="audioprobe-ahead")
    is_open = True
    try:
        if prepare is not None:
            prepare(worker)
        while True:
            while is_open and len(pending) <= n_ahead:
                try:
                    pending.append(worker.submit(function, next(source)))
                except StopIteration:
                    is_open = False
                except Exception as error:  # noqa: BLE001 - raised in its place below
                    is_open = False
                    pending.append(Future())
                    pending[-1].set_exception(error)
            if not pending:
                return
            yield _result(pending.popleft())
    finally:
        worker.shutdown(wait=True, cancel_futures=True)


def prefetched(items: Iterable[Item], n_ahead: int) -> Generator[Item, None, None]:
    """Yield items in order, which a background thread reads ahead.

    The source of the items runs in that thread only. See `compute_ahead` for errors and the end of
    the thread.

    Args:
        items: source of the items.
        n_ahead: number of items to read beyond the one in use.

    Raises:
        InvalidInputError: if `n_ahead` is below 1.
    """
    source = iter(items)
    for item in compute_ahead(lambda _: next(source, _END), repeat(None), n_ahead):
        if item is _END:
            return
        yield cast("Item", item)


def _result(future: "Future[Result]") -> Result:
    """Return the result of a future, and add the time until it is there to `_waiting`."""
    start = time.perf_counter()
    try:
        return future.result()
    finally:
        _waiting.seconds += time.perf_counter() - start
