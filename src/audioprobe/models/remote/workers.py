"""Many questions under way at once, answers in order."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.retry import RequestCancelledError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Waiting: TypeAlias = tuple[Hashable, "Future[Any]"]
_Job: TypeAlias = tuple["Future[Any]", object, "_Call"]

_AHEAD = 2  # items taken per worker: one under way, one for when another worker is slow


class Workers:
    """Threads that ask a slow service; they do not outlive the program.

    Items are taken as they are needed, up to twice as many as there are workers, and asked about in
    their order. Where a stream ends early, nothing new is begun; what is under way is let finish,
    and its answer is given when the same is asked next, for it may have been paid for.

    Args:
        concurrency: questions under way at once, over all streams.

    Raises:
        InvalidInputError: for less than one.
    """

    def __init__(self, concurrency: int) -> None:
        if concurrency < 1:
            raise InvalidInputError(f"concurrency must be at least 1, got {concurrency}.")
        self._concurrency = concurrency
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._n_working = 0
        self._pending: deque[_Job] = deque()
        self._unclaimed: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def answers(
        self,
        items: Iterable[Item],
        ask: Callable[[Item, threading.Event], Answer],
        key: Callable[[Item], Hashable],
    ) -> Iterator[Answer]:
        """One answer per item, in order.

        Args:
            items: taken as they are needed.
            ask: called in a thread; a set event asks it to stop trying.
            key: equal only for items whose answers are.

        Yields:
            All answers before the first failure.

        Raises:
            Exception: the failure; where a service refuses for good, that refusal.
        """
        queue = iter(items)
        waiting: deque[_Waiting] = deque()
        call = _Call(ask)
        is_open = True
        try:
            while True:
                while is_open and len(waiting) < _AHEAD * self._concurrency:
                    try:
                        item = next(queue)
                    except StopIteration:
                        is_open = False
                    else:
                        waiting.append((key(item), self._begin(key(item), item, call)))
                if not waiting:
                    return
                answer: Answer = call.result(waiting.popleft()[1])
                yield answer
        finally:
            call.stop.set()
            self._leave(waiting)

    def _begin(self, key: Hashable, item: object, call: "_Call") -> "Future[Any]":
        with self._lock:
            left = self._unclaimed.pop(key, None)
        if left is not None and not _gave_up(left):
            return left
        future: Future[Any] = Future()
        with self._lock:
            self._pending.append((future, item, call))
            if self._n_working == self._concurrency:
                return future
            self._n_working += 1
        threading.Thread(target=self._work, daemon=True, name="audioprobe-request").start()
        return future

    def _work(self) -> None:
        """Ask in the order of the items, until there is nothing to ask."""
        while True:
            with self._lock:
                if not self._pending:
                    self._n_working -= 1
                    return
                future, item, call = self._pending.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call.answer(item))
                except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                    future.set_exception(error)

    def _leave(self, waiting: Iterable[_Waiting]) -> None:
        """Forget what has not begun, remember what has."""
        begun = [(key, future) for key, future in waiting if not future.cancel()]
        with self._lock:
            for key, future in begun:
                self._unclaimed[key] = future
            while len(self._unclaimed) > _AHEAD * self._concurrency:
                self._unclaimed.popitem(last=False)

    def __getstate__(self) -> dict[str, int]:
        """The number alone: a copy in another process has threads of its own."""
        return {"_concurrency": self._concurrency}

    def __setstate__(self, state: dict[str, int]) -> None:
        """Restore, with nothing under way."""
        self.__dict__.update(state)
        self._start()


class _Call:
    """What the questions of one stream share: how to ask, when to stop, and why."""

    def __init__(self, ask: Callable[[Any, threading.Event], Any]) -> None:
        self.stop = threading.Event()
        self._ask = ask
        self._refusal: RemoteError | None = None

    def answer(self, item: object) -> object:
        if self.stop.is_set():
            raise RequestCancelledError("Not tried: another request failed for good.")
        try:
            return self._ask(item, self.stop)
        except RemoteError as error:
            if error.final:
                self._refusal = self._refusal or error
                self.stop.set()
            raise

    def result(self, future: "Future[Any]") -> Any:  # noqa: ANN401 - any answer
        try:
            return future.result()
        except RequestCancelledError:
            # Given up because of a later item, whose refusal is the cause.
            if self._refusal is None:
                raise
        raise self._refusal


def _gave_up(future: "Future[Any]") -> bool:
    return future.done() and isinstance(future.exception(), RequestCancelledError)
