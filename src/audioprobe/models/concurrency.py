"""Threads for concurrent requests, and a lock that can be pickled."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from threading import Event
from typing import Any, Self, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items read per thread: one in progress, one waiting


class PicklableLock(threading.Condition):
    """A lock with a condition variable; a pickled copy is unlocked."""

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


class RequestCancelledError(RemoteError):
    """Error for a request that was not sent because another request failed permanently."""


def check_not_cancelled(stop: Event) -> None:
    """Raise `RequestCancelledError` if the event `stop` is set."""
    if stop.is_set():
        raise RequestCancelledError("Request not sent, because another request failed permanently.")


class Workers:
    """Daemon threads that call a slow function, such as a request to a service, for many items.

    Calls start in the order of the items. If the caller stops reading results, no further call
    starts, but calls in progress finish. Because such calls may have cost money, their results are
    returned when the same items are passed again.

    Args:
        concurrency: number of threads. Up to twice as many items are read in advance.
    """

    def __init__(self, concurrency: int) -> None:
        if concurrency < 1:
            raise InvalidInputError(f"concurrency must be at least 1, got {concurrency}.")
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._n_threads = 0
        self._queue: deque[tuple[Future[Any], Callable[[], object]]] = deque()
        self._unclaimed: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def map(
        self,
        items: Iterable[Item],
        function: Callable[[Item, Event], Result],
        key: Callable[[Item], Hashable],
        *,
        stop_at_any_error: bool = False,
    ) -> Iterator[Result]:
        """Yield the result of `function` for each item, in order, up to the first error.

        Args:
            items: read lazily.
            function: receives an item and an event; it should end early if the event is set.
            key: function that returns a key for an item. An unused result of an earlier call with
                the same key is returned again, so items with different results need different keys.
            stop_at_any_error: if True, any `RemoteError` cancels all other calls and is raised
                immediately. If False, only a `RemoteError` whose attribute `final` is True does so.
        """
        stop = Event()
        causes: list[RemoteError] = []  # errors that cancelled other calls

        def call(item: Item) -> Result:
            check_not_cancelled(stop)
            try:
                return function(item, stop)
            except RequestCancelledError:
                raise
            except RemoteError as error:
                if error.final or stop_at_any_error:
                    causes.append(error)
                    stop.set()
                raise

        remaining = iter(items)
        waiting: deque[tuple[Hashable, Future[Any]]] = deque()
        try:
            while True:
                for item in islice(remaining, _AHEAD * self._concurrency - len(waiting)):
                    waiting.append((key(item), self._start(key(item), partial(call, item))))
                if not waiting:
                    return
                future = waiting.popleft()[1]
                if isinstance(future.exception(), RequestCancelledError) and causes:
                    raise causes[0]
                result: Result = future.result()
                yield result
        finally:
            stop.set()
            self._abandon(waiting)

    def _start(self, key: Hashable, call: Callable[[], object]) -> "Future[Any]":
        """Return the future result of a call.

        If an earlier call with this key was started but its result was not used, return that
        result. Otherwise, queue the call.
        """
        with self._lock:
            unclaimed = self._unclaimed.pop(key, None)
        if unclaimed is not None and not _is_cancelled(unclaimed):
            return unclaimed
        future: Future[Any] = Future()
        with self._lock:
            self._queue.append((future, call))
            if self._n_threads == self._concurrency:
                return future
            self._n_threads += 1
        threading.Thread(target=self._work, daemon=True, name="audioprobe-request").start()
        return future

    def _work(self) -> None:
        """Process queued calls until the queue is empty."""
        while True:
            with self._lock:
                if not self._queue:
                    self._n_threads -= 1
                    return
                future, call = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - raised by future.result()
                    future.set_exception(error)

    def _abandon(self, waiting: Iterable[tuple[Hashable, "Future[Any]"]]) -> None:
        """Cancel calls that have not started; store the results of other calls for `_start`."""
        started = [(key, future) for key, future in waiting if not future.cancel()]
        with self._lock:
            self._unclaimed.update(started)
            while len(self._unclaimed) > _AHEAD * self._concurrency:
                self._unclaimed.popitem(last=False)

    def __reduce__(self) -> tuple[object, ...]:
        return Workers, (self._concurrency,)


def _is_cancelled(future: "Future[Any]") -> bool:
    return future.done() and isinstance(future.exception(), RequestCancelledError)
