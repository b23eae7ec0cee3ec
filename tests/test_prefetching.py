"""Results are computed ahead in one background thread, in order, and the thread ends."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.models.encoding_ahead import encode_ahead
from audioprobe.prefetching import WaitingClock, compute_ahead, prefetched

NAME = "audioprobe-ahead"


EARLIER: set[threading.Thread] = set()  # threads of iterators that other tests left open


def n_threads() -> int:
    started = set(threading.enumerate()) - EARLIER
    return sum(thread.name.startswith(NAME) for thread in started)


@pytest.fixture(autouse=True)
def no_thread_remains() -> Iterator[None]:
    EARLIER.clear()
    EARLIER.update(threading.enumerate())
    yield
    gc.collect()
    assert n_threads() == 0


@settings(deadline=None)
@given(st.lists(st.integers()), st.integers(1, 20))
def test_results_are_those_of_map_in_order(items: list[int], n_ahead: int) -> None:
    assert list(compute_ahead(lambda n: 2 * n, items, n_ahead)) == [2 * n for n in items]
    assert list(prefetched(items, n_ahead)) == items


@settings(deadline=None)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(1, 5), st.booleans())
def test_errors_are_raised_in_their_place(
    n_before: int, n_after: int, n_ahead: int, of_source: bool
) -> None:
    error = ValueError("damaged")

    def source() -> Iterator[int]:
        for n in range(n_before + 1 + n_after):
            if of_source and n == n_before:
                raise error
            yield n

    def function(n: int) -> int:
        if n == n_before:
            raise error
        return n

    for stream in (
        compute_ahead(function, source(), n_ahead),
        prefetched(map(function, source()), n_ahead),
    ):
        results: list[int] = []
        with pytest.raises(ValueError, match="damaged") as caught:
            results.extend(stream)
        assert results == list(range(n_before))
        assert caught.value is error
        assert list(stream) == []


@pytest.mark.parametrize("n_ahead", [1, 3, 8])
def test_at_most_n_items_are_read_and_computed_ahead(n_ahead: int) -> None:
    read: list[int] = []
    computed: list[int] = []

    def source() -> Iterator[int]:
        for n in count():
            read.append(n)
            yield n

    stream = compute_ahead(computed.append, source(), n_ahead)
    for position in range(5):
        next(stream)
        deadline = time.monotonic() + 10
        while len(computed) < position + 1 + n_ahead and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(read) == len(computed) == position + 1 + n_ahead
    stream.close()
    assert len(computed) == 5 + n_ahead


def test_the_source_is_read_by_the_caller_and_the_function_by_one_other_thread() -> None:
    readers, workers = set(), set()

    def source() -> Iterator[int]:
        for n in range(20):
            readers.add(threading.get_ident())
            yield n

    list(compute_ahead(lambda _: workers.add(threading.get_ident()), source(), 4))
    assert readers == {threading.get_ident()}
    assert len(workers) == 1
    assert workers != readers


def test_closing_waits_for_the_call_in_progress_and_starts_no_other() -> None:
    started, release, finished = threading.Event(), threading.Event(), []

    def function(n: int) -> int:
        if n:
            started.set()
            release.wait(10)
        finished.append(n)
        return n

    stream = compute_ahead(function, count(), 5)
    assert next(stream) == 0
    assert started.wait(10)
    threading.Timer(0.05, release.set).start()
    stream.close()
    assert finished == [0, 1]
    assert n_threads() == 0


def test_deleting_the_iterator_ends_the_thread() -> None:
    stream = prefetched(count(), 2)
    next(stream)
    assert n_threads() == 1
    del stream
    gc.collect()
    assert n_threads() == 0


def test_an_iterator_that_was_never_used_starts_no_thread() -> None:
    stream = prefetched(count(), 2)
    assert n_threads() == 0
    stream.close()


def test_nested_streams_end_together() -> None:
    stream = compute_ahead(str, prefetched(count(), 3), 3)
    assert [next(stream) for _ in range(10)] == [str(n) for n in range(10)]
    stream.close()
    del stream
    gc.collect()
    assert n_threads() == 0


@pytest.mark.parametrize("ending", ["", "raise KeyboardInterrupt", "import sys; sys.exit()"])
def test_the_interpreter_exits_while_a_stream_is_open(ending: str) -> None:
    code = (
        "from itertools import count\n"
        "from audioprobe.prefetching import prefetched\n"
        f"stream = prefetched(count(), 5)\nprint(next(stream), flush=True)\n{ending}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "0\n"
    assert ("KeyboardInterrupt" in done.stderr) == ("KeyboardInterrupt" in ending)


def test_n_ahead_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="n_ahead must be at least 1, got 0"):
        next(compute_ahead(str, [1], 0))


def test_the_clock_measures_the_share_of_time_spent_waiting() -> None:
    clock = WaitingClock()
    list(compute_ahead(time.sleep, [0.1] * 3, 1))
    assert clock.share > 0.5
    clock = WaitingClock()
    for _ in compute_ahead(int, range(3), 1):
        time.sleep(0.1)
    assert clock.share < 0.5


def test_the_clock_measures_only_its_own_thread() -> None:
    clock = WaitingClock()
    thread = threading.Thread(target=lambda: list(compute_ahead(time.sleep, [0.1] * 2, 1)))
    thread.start()
    thread.join()
    assert clock.share == 0


def test_torch_uses_one_thread_in_the_background_and_as_many_as_before_elsewhere() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    later: list[int] = []
    try:
        assert list(encode_ahead(lambda _: torch.get_num_threads(), range(3), 2)) == [1, 1, 1]
        assert torch.get_num_threads() == 3
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [3]
    finally:
        torch.set_num_threads(before)
