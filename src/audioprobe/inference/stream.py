"""Inference on a stream of items, with errors assigned to single items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from audioprobe.errors import PER_ITEM_ERRORS, AudioProbeError, ContractError, RemoteError
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Prompt

_SINGLE_RETRIES = 16  # items to run one at a time after an error, before batches resume

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

Infer: TypeAlias = Callable[[Iterable[Item]], Iterator[Answer]]
"""A function that maps a stream of items to a stream of answers, in the same order."""


@dataclass(frozen=True, slots=True)
class PromptFailure:
    """Result for a prompt that has no answer.

    Attributes:
        message: cause of the failure.
    """

    message: str


PromptFactory: TypeAlias = Callable[[], Prompt | PromptFailure]


def infer_each(
    infer: Infer[Item, Answer],
    items: Iterable[tuple[Key, Item]],
    *,
    model: str = "language model",
    item: str = "prompt",
) -> Iterator[tuple[Key, Answer | AudioProbeError]]:
    """Yield an answer or an error for each item, in order.

    The model receives the items as one stream. If it raises an error that a single item can cause
    (`PER_ITEM_ERRORS`), items that have no answer yet are run one at a time to find the cause, and
    the stream then continues with the next items. After a final `RemoteError`, this error is
    returned for all remaining items, and the model is not called again.

    Args:
        infer: function that runs the model.
        items: pairs of a key and an item, consumed lazily.
        model: description of the model in error messages.
        item: description of an item in error messages.

    Raises:
        ContractError: if the number of answers differs from the number of items.
        AudioProbeError: for errors that no single item can cause, such as missing weights.
    """
    queue = _ItemQueue(items)
    while True:
        try:
            for answer in infer(queue):
                if not queue.unanswered:
                    raise ContractError(f"The {model} answered more {item}s than it was given.")
                yield queue.unanswered.popleft()[0], answer
        except PER_ITEM_ERRORS as error:
            if error is queue.source_error or not queue.unanswered:
                raise
        else:
            if queue.unanswered or next(queue, None) is not None:
                raise ContractError(
                    f"The {model} ended before it had answered every {item}. "
                    "`audioprobe.testing` checks for this."
                )
            return
        for key, value in queue.retried(_SINGLE_RETRIES):
            result = _infer_single(infer, value, model, item)
            yield key, result
            if isinstance(result, RemoteError) and result.final:
                yield from ((key, result) for key, _ in queue.remaining())
                return


def map_prompts(
    infer: Infer[Prompt, Answer],
    prompts: Sequence[PromptFactory],
    progress: ProgressCallback = ignore_progress,
    *,
    stage: str,
) -> list[Answer | PromptFailure]:
    """Return one answer or failure per prompt, in order.

    Args:
        infer: function that maps prompts to answers.
        prompts: functions that create the prompts when the model needs them.
        progress: called after each answer.
        stage: name of the operation in progress events.

    Raises:
        ContractError: if the number of answers differs from the number of prompts.
        RemoteError: if the error is final, such as a rejected API key.
        AudioProbeError: for errors that no single prompt can cause.
    """
    results: dict[int, Answer | PromptFailure] = {}
    n_failed = 0

    def add(position: int, result: Answer | PromptFailure) -> None:
        nonlocal n_failed
        results[position] = result
        n_failed += isinstance(result, PromptFailure)
        event = ProgressEvent(stage=stage, done=len(results), total=len(prompts), n_failed=n_failed)
        progress(event)

    def created() -> Iterator[tuple[int, Prompt]]:
        for position, create in enumerate(prompts):
            prompt = create()
            if isinstance(prompt, PromptFailure):
                add(position, prompt)
            else:
                yield position, prompt

    for position, answer in infer_each(infer, created()):
        if isinstance(answer, RemoteError) and answer.final:
            raise answer
        if isinstance(answer, AudioProbeError):
            add(position, PromptFailure(str(answer)))
        else:
            add(position, answer)
    return [results[position] for position in range(len(prompts))]


class _ItemQueue(Generic[Key, Item]):
    """Iterator over items that records unanswered items, and can resume after an error."""

    def __init__(self, items: Iterable[tuple[Key, Item]]) -> None:
        self._source = iter(items)
        self._again: deque[tuple[Key, Item]] = deque()
        self.unanswered: deque[tuple[Key, Item]] = deque()
        self.source_error: Exception | None = None

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            pair = self._again.popleft() if self._again else next(self._source)
        except PER_ITEM_ERRORS as error:
            self.source_error = error  # the item source failed, not the model
            raise
        self.unanswered.append(pair)
        return pair[1]

    def retried(self, most: int) -> Iterator[tuple[Key, Item]]:
        """Yield up to `most` unanswered items; the model receives other items again."""
        n = min(most, len(self.unanswered))
        self._again.extendleft(reversed(self.unanswered))
        self.unanswered.clear()
        for _ in range(n):
            yield self._again.popleft()

    def remaining(self) -> Iterator[tuple[Key, Item]]:
        """Yield the items that the model did not receive."""
        yield from self._again
        yield from self._source


def _infer_single(
    infer: Infer[Item, Answer], value: Item, model: str, item: str
) -> Answer | AudioProbeError:
    try:
        answers = list(infer(iter([value])))
    except PER_ITEM_ERRORS as error:
        return error
    if len(answers) != 1:
        raise ContractError(f"The {model} answered one {item} with {len(answers)} responses.")
    return answers[0]
