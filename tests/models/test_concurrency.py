"""Order, concurrency and errors of concurrent calls."""

import pickle
import threading
import time
from collections.abc import Iterator

import pytest

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import Workers


def double(item: int, stop: threading.Event) -> int:
    return 2 * item


def test_one_worker_processes_items_in_order() -> None:
    seen: list[int] = []

    def call(item: int, stop: threading.Event) -> int:
        seen.append(item)
        return item

    assert list(Workers(1).map(range(1000), call, hash)) == seen == list(range(1000))


def test_streams_share_the_workers() -> None:
    lock, n_running, n_max = threading.Lock(), 0, 0

    def call(item: int, stop: threading.Event) -> int:
        nonlocal n_running, n_max
        with lock:
            n_running += 1
            n_max = max(n_max, n_running)
        time.sleep(0.01)
        with lock:
            n_running -= 1
        return item

    workers = Workers(3)
    results: list[list[int]] = []
    threads = [
        threading.Thread(
            target=lambda first=first: results.append(
                list(workers.map(range(first, first + 20), call, hash))
            )
        )
        for first in (0, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [list(range(20)), list(range(100, 120))]
    assert n_max == 3


def test_items_are_consumed_lazily() -> None:
    n_taken = 0

    def items() -> Iterator[int]:
        nonlocal n_taken
        for n in range(100):
            n_taken += 1
            yield n

    stream = Workers(4).map(items(), double, hash)
    assert [next(stream) for _ in range(3)] == [0, 2, 4]
    assert n_taken == 8 + 2
    assert list(stream) == [2 * n for n in range(3, 100)]


def test_closed_stream_starts_no_calls_and_results_of_started_calls_are_reused() -> None:
    items: list[int] = []
    proceed = threading.Event()

    def call(item: int, stop: threading.Event) -> int:
        items.append(item)
        if item:
            proceed.wait(5)
        return 2 * item

    workers = Workers(2)
    stream = workers.map(range(10), call, hash)
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    proceed.set()
    time.sleep(0.05)
    assert set(items) <= {0, 1, 2}
    assert list(workers.map(range(10), call, hash)) == [2 * n for n in range(10)]
    assert sorted(items) == [0, *range(10)]  # only the result that was yielded is computed twice


def test_error_of_the_items_is_raised_unchanged() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Workers(1).map(items(), double, hash))


def test_error_is_raised_after_the_results_before_it() -> None:
    def call(item: int, stop: threading.Event) -> int:
        if item == 2:
            raise RemoteError("odd")
        time.sleep(0.02)
        return item

    stream = Workers(4).map(range(9), call, hash)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(RemoteError, match="odd"):
        next(stream)


def test_pickled_copy_works() -> None:
    copy = pickle.loads(pickle.dumps(Workers(3)))
    assert list(copy.map([1, 2], double, hash)) == [2, 4]
    with pytest.raises(InvalidInputError, match="at least 1, got 0"):
        Workers(0)


def test_waiting_items_start_in_order() -> None:
    seen: list[int] = []
    proceed = threading.Event()

    def call(item: int, stop: threading.Event) -> int:
        seen.append(item)
        if item == 0:
            proceed.wait(5)
        elif item == 1:
            time.sleep(0.1)  # until the two after it wait
        elif item == 3:
            proceed.set()
        return item

    assert list(Workers(2).map(range(4), call, hash)) == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 3]
