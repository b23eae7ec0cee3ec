"""Batches shrink until they fit into memory, and results do not change."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprobe.errors import OutOfMemoryError
from audioprobe.models.causal_lm.generation import run_in_batches


def doubled(most: int, error: Exception, sizes: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Return a function that doubles numbers and fails for batches larger than its limit."""

    def answer(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > most:
            raise error
        return [2 * item for item in batch]

    return answer


SHORTAGES = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)


@pytest.mark.filterwarnings("ignore:A batch of")
@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 9), st.integers(1, 9), st.sampled_from(SHORTAGES))
def test_results_do_not_depend_on_memory(
    items: list[int], size: int, most: int, error: Exception
) -> None:
    sizes: list[int] = []
    answer = doubled(most, error, sizes)
    assert list(run_in_batches(items, size, answer)) == [2 * item for item in items]
    assert len([n for n in sizes if n > most]) <= 4  # halved once for all, not at every batch


def test_warning_names_the_batch_size_that_fits() -> None:
    with pytest.warns(UserWarning, match="does not fit") as caught:
        assert list(run_in_batches(range(8), 8, doubled(2, MemoryError(), []))) == [
            2 * n for n in range(8)
        ]
    assert [str(w.message)[:12] for w in caught] == ["A batch of 8", "A batch of 4"]
    assert "Pass batch_size=2" in str(caught[-1].message)


def test_single_item_beyond_memory_raises_with_advice() -> None:
    stream = run_in_batches([1], 1, doubled(0, SHORTAGES[0], []))
    with pytest.raises(OutOfMemoryError, match="fewer new tokens"):
        list(stream)


def test_other_errors_propagate() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        list(run_in_batches([1, 2], 2, doubled(0, RuntimeError("shape mismatch"), [])))


def test_at_most_one_batch_is_read_ahead() -> None:
    pulled: list[int] = []

    def tell() -> Iterator[int]:
        for n in range(100):
            pulled.append(n)
            yield n

    stream = run_in_batches(tell(), 4, list)
    next(stream)
    assert len(pulled) == 4


@pytest.mark.filterwarnings("ignore:A batch of")
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 50)), st.integers(1, 9), st.integers(1, 9))
def test_results_and_their_order_do_not_depend_on_sorting(
    items: list[int], size: int, most: int
) -> None:
    answer = doubled(most, MemoryError(), [])
    expected = [2 * item for item in items]
    assert list(run_in_batches(items, size, answer, length=abs)) == expected
    answer = doubled(most, MemoryError(), [])
    assert list(run_in_batches(items, size, answer, group=lambda item: item % 3)) == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=100), st.integers(1, 9), st.booleans())
def test_at_most_four_batches_are_open_and_each_contains_the_first_item_without_result(
    items: list[int], size: int, in_groups: bool
) -> None:
    pulled: list[int] = []
    batches: list[list[int]] = []

    def source() -> Iterator[tuple[int, int]]:
        for position, item in enumerate(items):
            pulled.append(position)
            yield position, item

    def answer(batch: Sequence[tuple[int, int]]) -> list[int]:
        batches.append([position for position, _ in batch])
        return batches[-1]

    results = run_in_batches(
        source(),
        size,
        answer,
        length=None if in_groups else lambda pair: pair[1],
        group=(lambda pair: pair[1] % 5) if in_groups else None,
    )
    for n_results, result in enumerate(results):
        assert result == n_results
        assert len(pulled) - n_results <= 4 * size
    assert len(batches[0]) == min(size, len(items))  # no waiting for more than one batch
    done: set[int] = set()
    for batch in batches:
        assert min(set(range(len(items))) - done) in batch
        assert not done & set(batch)
        done |= set(batch)
    assert done == set(range(len(items)))


def test_items_of_similar_length_are_computed_together() -> None:
    batches: list[list[int]] = []

    def answer(batch: Sequence[int]) -> Sequence[int]:
        batches.append(list(batch))
        return batch

    items = [10, 90] * 40
    assert list(run_in_batches(items, 8, answer, length=abs)) == items
    mixed = [batch for batch in batches if len(set(batch)) > 1]
    assert len(mixed) <= 2  # the first batch, and the last
    assert all(len(batch) == 8 for batch in batches)
    batches.clear()
    assert list(run_in_batches(items, 8, answer)) == items
    assert all(len(set(batch)) == 2 for batch in batches)


def test_items_of_one_length_are_computed_in_their_order() -> None:
    batches: list[list[int]] = []

    def answer(batch: Sequence[int]) -> Sequence[int]:
        batches.append(list(batch))
        return batch

    assert list(run_in_batches(range(20), 6, answer, length=lambda _: 1)) == list(range(20))
    assert batches == [list(range(20))[n : n + 6] for n in (0, 6, 12, 18)]


def test_items_of_a_group_are_computed_together_and_in_their_order() -> None:
    """Four items are read for the first batch, and then eight, with three about the clip b."""
    batches: list[list[str]] = []

    def answer(batch: Sequence[str]) -> Sequence[str]:
        batches.append(list(batch))
        return batch

    items = [f"{clip}{n}" for n in range(4) for clip in "abc"]
    assert list(run_in_batches(items, 4, answer, group=lambda item: item[0])) == items
    assert batches == [
        ["a0", "a1", "b0", "c0"],
        ["b1", "b2", "b3", "c1"],
        ["a2", "a3", "c2", "c3"],
    ]
