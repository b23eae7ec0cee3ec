"""Inference on items and prompts, in which an error fails only the item that causes it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from audioprobe.errors import (
    PER_ITEM_ERRORS,
    AudioProbeError,
    ContractError,
    RemoteError,
)
from audioprobe.prefetching import WaitingClock, compute_ahead
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.types import Prompt

_SINGLE_RETRIES = 16  # items to run one at a time after an error, before batches resume
_PROMPTS_AHEAD = 8  # prompts to create while the model answers earlier ones

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

Infer: TypeAlias = Callable[[Iterable[Item]], Iterator[Answer]]
"""A function that maps a stream of items to a stream of answers, in the same order."""


@dataclass(frozen=True, slots=True)
class PromptFailure:
    """Result that replaces the answer to a prompt: a message with the cause of the failure."""

    message: str


def infer_each(
    infer: Infer[Item, Answer],
    items: Iterable[tuple[Key, Item]],
    *,
    model: str = "language model",
    item: str = "prompt",
) -> Iterator[tuple[Key, Answer | AudioProbeError]]:
    """Yield the key of each item with its answer or error, in order.

    The model receives the items as one stream. If it raises an error that a single item can cause
    (`PER_ITEM_ERRORS`), items without an answer are run one at a time to find the cause, and the
    stream then continues. After a final `RemoteError`, such as a rejected API key, all later items
    get this error, and the model is not called again.

    Args:
        infer: function that runs the model.
        items: pairs of a key and an item; items are created when the model needs them.
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
                    raise ContractError(f"The {model} returned more answers than {item}s.")
                yield queue.unanswered.popleft()[0], answer
        except PER_ITEM_ERRORS as error:
            if error is queue.source_error or not queue.unanswered:
                raise
        else:
            if queue.unanswered or next(queue, None) is not None:
                raise ContractError(
                    f"The {model} ended before it had answered every {item}. The checks in "
                    "`audioprobe.testing` find the cause."
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
    prompts: Sequence[Callable[[], Prompt | PromptFailure]],
    progress: ProgressCallback = ignore_progress,
    *,
    stage: str,
) -> list[Answer | PromptFailure]:
    """Return one answer or failure per prompt, in order.

    Args:
        infer: function that maps prompts to answers.
        prompts: functions that create the prompts. A background thread calls them, in order and
            one at a time, up to 8 prompts before the model needs them.
        progress: called after each answer.
        stage: name of the operation in progress events.

    Raises:
        AudioProbeError: for errors that concern all prompts, such as a rejected API key.
    """
    results: dict[int, Answer | PromptFailure] = {}
    n_failed = 0
    clock = WaitingClock()

    def add(position: int, result: Answer | PromptFailure) -> None:
        nonlocal n_failed
        results[position] = result
        n_failed += isinstance(result, PromptFailure)
        done, total = len(results), len(prompts)
        progress(
            ProgressEvent(
                stage=stage, done=done, total=total, n_failed=n_failed, waiting=clock.share
            )
        )

    def created() -> Iterator[tuple[int, Prompt]]:
        ahead = compute_ahead(lambda create: create(), prompts, _PROMPTS_AHEAD)
        for position, prompt in enumerate(ahead):
            if isinstance(prompt, PromptFailure):
                add(position, prompt)
            else:
                yield position, prompt

    for position, answer in infer_each(infer, created()):
        if isinstance(answer, RemoteError) and answer.final:
            raise answer
        add(position, PromptFailure(str(answer)) if isinstance(answer, AudioProbeError) else answer)
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
        """Yield the first `most` unanswered items; iteration then resumes with the next item."""
        n = min(most, len(self.unanswered))
        self._again.extendleft(reversed(self.unanswered))
        self.unanswered.clear()
        for _ in range(n):
            yield self._again.popleft()

    def remaining(self) -> Iterator[tuple[Key, Item]]:
        """Yield all pairs of key and item that the model has not received yet."""
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
