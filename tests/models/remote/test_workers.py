"""Order, limits and endings of many questions at once."""

import pickle
import threading
import time
from collections.abc import Iterator

import pytest

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.workers import Workers


def double(item: int, stop: threading.Event) -> int:
    return 2 * item


def test_one_worker_asks_strictly_in_order_a_thousand_times() -> None:
    seen: list[int] = []

    def ask(item: int, stop: threading.Event) -> int:
        seen.append(item)
        return item

    assert list(Workers(1).answers(range(1000), ask, hash)) == seen == list(range(1000))


def test_streams_share_the_workers() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def ask(item: int, stop: threading.Event) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return item

    workers = Workers(3)
    found: list[list[int]] = []
    threads = [
        threading.Thread(
            target=lambda first=first: found.append(
                list(workers.answers(range(first, first + 20), ask, hash))
            )
        )
        for first in (0, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [list(range(20)), list(range(100, 120))]
    assert most == 3


def test_items_are_taken_as_they_are_needed() -> None:
    n_taken = 0

    def items() -> Iterator[int]:
        nonlocal n_taken
        for n in range(100):
            n_taken += 1
            yield n

    stream = Workers(4).answers(items(), double, hash)
    assert [next(stream) for _ in range(3)] == [0, 2, 4]
    assert n_taken == 8 + 2
    assert list(stream) == [2 * n for n in range(3, 100)]


def test_a_stream_that_is_left_begins_nothing_more_and_keeps_what_was_begun() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def ask(item: int, stop: threading.Event) -> int:
        asked.append(item)
        if item:
            go_on.wait(5)
        return 2 * item

    workers = Workers(2)
    stream = workers.answers(range(10), ask, hash)
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    go_on.set()
    time.sleep(0.05)
    begun = set(asked)
    assert begun <= {0, 1, 2}
    assert list(workers.answers(range(10), ask, hash)) == [2 * n for n in range(10)]
    assert sorted(asked) == [0, *range(10)]  # only the answer that was given already, twice


def test_an_error_in_the_items_is_raised_as_it_is() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Workers(1).answers(items(), double, hash))


def test_a_failure_comes_after_the_answers_before_it() -> None:
    def ask(item: int, stop: threading.Event) -> int:
        if item == 2:
            raise RemoteError("odd")
        time.sleep(0.02)
        return item

    stream = Workers(4).answers(range(9), ask, hash)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(RemoteError, match="odd"):
        next(stream)


def test_a_copy_starts_afresh() -> None:
    copy = pickle.loads(pickle.dumps(Workers(3)))
    assert list(copy.answers([1, 2], double, hash)) == [2, 4]
    with pytest.raises(InvalidInputError, match="at least 1, got 0"):
        Workers(0)


def test_what_waits_is_asked_in_order_while_the_first_is_slow() -> None:
    seen: list[int] = []
    go_on = threading.Event()

    def ask(item: int, stop: threading.Event) -> int:
        seen.append(item)
        if item == 0:
            go_on.wait(5)
        elif item == 1:
            time.sleep(0.1)  # until the two after it wait
        elif item == 3:
            go_on.set()
        return item

    assert list(Workers(2).answers(range(4), ask, hash)) == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 3]
