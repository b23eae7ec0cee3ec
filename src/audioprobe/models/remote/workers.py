"""Run concurrent calls in threads; results are in the order of the items."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from threading import Event
from typing import Any, TypeAlias, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.retry import RequestCancelledError, check_not_cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")
_Job: TypeAlias = tuple["Future[Any]", object, "_Stream"]

_AHEAD = 2  # items read per worker: one in progress, one waiting


class Workers:
    """Daemon threads that call a slow function, such as a request to a service.

    Items are read lazily, at most twice the number of workers ahead, and are started in order. If a
    stream ends early, no further call is started. Calls in progress finish. Because they may have
    cost money, their results are used if the same items are passed again.
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
        """Yield the result of each item, in order, up to the first error.

        The function receives an item and an event, and should stop when the event is set. The
        function `key` must return equal keys only for items with equal results. A `RemoteError`
        that is `final` stops the calls for all other items and is raised immediately; with
        `stop_at_any_error`, this applies to every `RemoteError`.
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
        """Cancel calls that have not started; store the other calls for a later stream."""
        started = [(key, future) for key, future in waiting if not future.cancel()]
        with self._lock:
            self._unclaimed.update(started)
            while len(self._unclaimed) > _AHEAD * self._concurrency:
                self._unclaimed.popitem(last=False)

    def __reduce__(self) -> tuple[object, ...]:
        return Workers, (self._concurrency,)


class _Stream:
    """The function of one stream, and the error that stopped the stream."""

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
        raise self._error  # error of a later item, which cancelled this item


def _is_cancelled(future: "Future[Any]") -> bool:
    return future.done() and isinstance(future.exception(), RequestCancelledError)
