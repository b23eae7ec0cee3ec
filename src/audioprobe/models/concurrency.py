"""Threads for concurrent requests, and a lock that can be pickled."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from threading import Event
from typing import Any, Self, TypeAlias, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError

Item = TypeVar("Item")
Result = TypeVar("Result")
_Job: TypeAlias = tuple["Future[Any]", object, "_Stream"]

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
        self._queue: deque[_Job] = deque()
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
            key: must return equal keys only for items with equal results.
            stop_at_any_error: if True, any `RemoteError` cancels all other calls and is raised
                immediately. If False, only a `RemoteError` whose attribute `final` is True does so.
        """
        stream = _Stream(function, stop_at_any_error)
        remaining = iter(items)
        waiting: deque[tuple[Hashable, Future[Any]]] = deque()
        try:
            while True:
                for item in islice(remaining, _AHEAD * self._concurrency - len(waiting)):
                    waiting.append((key(item), self._start(key(item), item, stream)))
                if not waiting:
                    return
                result: Result = stream.result(waiting.popleft()[1])
                yield result
        finally:
            stream.stop.set()
            self._abandon(waiting)

    def _start(self, key: Hashable, item: object, stream: "_Stream") -> "Future[Any]":
        """Queue the call for an item, or return an earlier call with the same key."""
        with self._lock:
            unclaimed = self._unclaimed.pop(key, None)
        if unclaimed is not None and not _is_cancelled(unclaimed):
            return unclaimed
        future: Future[Any] = Future()
        with self._lock:
            self._queue.append((future, item, stream))
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
                future, item, stream = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(stream.call(item))
                except BaseException as error:  # noqa: BLE001 - raised by future.result()
                    future.set_exception(error)

    def _abandon(self, waiting: Iterable[tuple[Hashable, "Future[Any]"]]) -> None:
        """Cancel calls that have not started; store other calls, so that `_start` finds them."""
        started = [(key, future) for key, future in waiting if not future.cancel()]
        with self._lock:
            self._unclaimed.update(started)
            while len(self._unclaimed) > _AHEAD * self._concurrency:
                self._unclaimed.popitem(last=False)

    def __reduce__(self) -> tuple[object, ...]:
        return Workers, (self._concurrency,)


class _Stream:
    """State of one `Workers.map`: its function, and the error that cancelled its calls."""

    def __init__(self, function: Callable[[Any, Event], Any], stop_at_any_error: bool) -> None:
        self.stop = Event()
        self._function = function
        self._stop_at_any_error = stop_at_any_error
        self._error: RemoteError | None = None

    def call(self, item: object) -> object:
        check_not_cancelled(self.stop)
        try:
            return self._function(item, self.stop)
        except RequestCancelledError:
            raise
        except RemoteError as error:
            if error.final or self._stop_at_any_error:
                self._error = self._error or error
                self.stop.set()
            raise

    def result(self, future: "Future[Any]") -> Any:  # noqa: ANN401 - any result
        try:
            return future.result()
        except RequestCancelledError:
            if self._error is None:
                raise
        raise self._error  # the error of another item, which cancelled this call


def _is_cancelled(future: "Future[Any]") -> bool:
    return future.done() and isinstance(future.exception(), RequestCancelledError)
