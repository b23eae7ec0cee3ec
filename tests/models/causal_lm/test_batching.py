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
@settings(max_examples=30, deadline=None)
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
