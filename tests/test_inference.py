"""Errors are assigned to single items, for every batch size of the model."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pytest

from audioprobe.errors import ContractError, InvalidInputError, RemoteError, WeightsError
from audioprobe.inference import PromptFailure, infer_each, map_prompts
from audioprobe.progress import ProgressEvent
from audioprobe.types import Prompt

BUSY = RemoteError("busy", status=503, retryable=True)
REJECTED = RemoteError("wrong key", status=401, final=True)


class Doubler:
    """Model that doubles numbers in batches; it raises the error that is listed for a number."""

    def __init__(self, batch_size: int, errors: dict[int, Exception] | None = None) -> None:
        self._batch_size = batch_size
        self._errors = errors or {}
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Iterable[int]) -> Iterator[int]:
        stream = iter(numbers)
        while batch := list(islice(stream, self._batch_size)):
            self.batches.append(batch)
            for number in batch:
                if number in self._errors:
                    raise self._errors[number]
            yield from (2 * number for number in batch)


def keyed(numbers: Iterable[int]) -> Iterator[tuple[str, int]]:
    return ((str(number), number) for number in numbers)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 100])
def test_only_the_items_that_cause_errors_get_errors(batch_size: int) -> None:
    errors: dict[int, Exception] = {4: BUSY, 5: InvalidInputError("odd"), 40: BUSY}
    results = list(infer_each(Doubler(batch_size, errors), keyed(range(50))))
    assert results == [(str(n), errors.get(n, 2 * n)) for n in range(50)]


def test_at_most_16_items_are_run_one_at_a_time_after_an_error() -> None:
    model = Doubler(40, {0: BUSY})
    assert len(list(infer_each(model, keyed(range(40))))) == 40
    assert [len(batch) for batch in model.batches] == [40, *[1] * 16, 24]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_final_error_is_given_to_all_remaining_items_without_a_call(batch_size: int) -> None:
    model = Doubler(batch_size, {4: REJECTED})
    results = list(infer_each(model, keyed(range(50))))
    assert results == [(str(n), 2 * n if n < 4 else REJECTED) for n in range(50)]
    assert max(number for batch in model.batches[-1:] for number in batch) == 4


def test_errors_that_no_item_can_cause_end_the_stream() -> None:
    with pytest.raises(WeightsError):
        list(infer_each(Doubler(2, {1: WeightsError("missing")}), keyed(range(3))))


@pytest.mark.parametrize("n_before", [0, 2])
def test_an_error_of_the_source_of_items_is_not_assigned_to_an_item(n_before: int) -> None:
    def source() -> Iterator[tuple[str, int]]:
        yield from keyed(range(n_before))
        raise InvalidInputError("the source failed")

    with pytest.raises(InvalidInputError, match="the source failed"):
        list(infer_each(Doubler(5), source()))


@pytest.mark.parametrize("n_answers", [0, 1, 3])
def test_a_wrong_number_of_answers_breaks_the_contract(n_answers: int) -> None:
    def model(numbers: Iterable[int]) -> Iterator[int]:
        list(numbers)
        return iter(range(n_answers))

    with pytest.raises(ContractError):
        list(infer_each(model, keyed(range(2))))


def lengths(prompts: Iterable[Prompt]) -> Iterator[int]:
    for prompt in prompts:
        if not prompt.text:
            raise InvalidInputError("empty")
        yield len(prompt.text)


def test_prompts_give_answers_or_failures_in_order_and_report_progress() -> None:
    events: list[ProgressEvent] = []
    created: Sequence[Prompt | PromptFailure] = (
        PromptFailure("no audio"),
        Prompt("a"),
        Prompt(""),
        Prompt("abc"),
    )
    factories = [lambda prompt=prompt: prompt for prompt in created]
    results = map_prompts(lengths, factories, events.append, stage="test")
    assert results == [PromptFailure("no audio"), 1, PromptFailure("empty"), 3]
    assert [event.done for event in events] == [1, 2, 3, 4]
    assert (events[-1].stage, events[-1].total, events[-1].n_failed) == ("test", 4, 2)


def test_a_final_error_ends_a_run_of_prompts() -> None:
    def rejects(prompts: Iterable[Prompt]) -> Iterator[int]:
        return Doubler(1, {0: REJECTED})(0 for _ in prompts)

    with pytest.raises(RemoteError, match="wrong key"):
        map_prompts(rejects, [lambda: Prompt("a")], stage="test")
