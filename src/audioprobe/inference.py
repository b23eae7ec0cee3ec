"""Inference on items, prompts and clips, in which an error fails only the item that causes it."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from audioprobe.audio.windowing import AudioWindow, Windowing, read_windows
from audioprobe.errors import (
    PER_ITEM_ERRORS,
    AudioProbeError,
    AudioReadError,
    ContractError,
    RemoteError,
)
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.results import Failure, Stage
from audioprobe.results.provenance import combined_digest
from audioprobe.types import Clip, Prompt, Waveform

_SINGLE_RETRIES = 16  # items to run one at a time after an error, before batches resume

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Output = TypeVar("Output")

Infer: TypeAlias = Callable[[Iterable[Item]], Iterator[Answer]]
"""A function that maps a stream of items to a stream of answers, in the same order."""


class UnusableResponseError(AudioProbeError):
    """Error for an answer that contains no usable output; its clip is listed as a failure."""


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
        prompts: functions that create the prompts when the model needs them.
        progress: called after each answer.
        stage: name of the operation in progress events.

    Raises:
        AudioProbeError: for errors that concern all prompts, such as a rejected API key.
    """
    results: dict[int, Answer | PromptFailure] = {}
    n_failed = 0

    def add(position: int, result: Answer | PromptFailure) -> None:
        nonlocal n_failed
        results[position] = result
        n_failed += isinstance(result, PromptFailure)
        done, total = len(results), len(prompts)
        progress(ProgressEvent(stage=stage, done=done, total=total, n_failed=n_failed))

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
        add(position, PromptFailure(str(answer)) if isinstance(answer, AudioProbeError) else answer)
    return [results[position] for position in range(len(prompts))]


@dataclass(frozen=True, kw_only=True)
class WindowModel(Generic[Item, Answer, Output]):
    """A model that is applied to windows, with conversions of its inputs and outputs.

    Attributes:
        name: description of the model in error messages, such as "language model".
        item: description of an input in error messages, such as "prompt".
        stage: name of the processing step, which is stored in a failure if the model fails.
        infer: function that runs the model.
        make_input: function that converts the waveform of a window to an input.
        make_output: function that converts clip id, window and answer to an output, or raises
            `UnusableResponseError`.
    """

    name: str
    item: str
    stage: Stage
    infer: Infer[Item, Answer]
    make_input: Callable[[Waveform], Item]
    make_output: Callable[[str, AudioWindow, Answer], Output]


@dataclass(slots=True)
class InferenceResult(Generic[Output]):
    """Outputs of the successful clips, and failures of the other clips.

    Attributes:
        outputs: outputs by clip id, one per window in order; excludes clips with a failed window.
        failures: first failure of each failed clip, by clip id.
        digests: SHA-256 of the samples for the provenance, by clip id; "failed" for a failed clip,
            because only an unknown part of it was read.
    """

    outputs: dict[str, list[Output]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the audio of all clips, which identifies the data in the provenance."""
        return combined_digest(self.digests.items())

    def fail(self, clip_id: str, stage: Stage, error: Exception) -> None:
        """Add the failure of a clip, unless it has one already, and remove its outputs."""
        self.failures.setdefault(clip_id, Failure(clip_id, stage, type(error).__name__, str(error)))
        self.outputs.pop(clip_id, None)
        self.digests[clip_id] = "failed"


def run_inference(
    model: WindowModel[Item, Answer, Output],
    clips: Iterable[Clip],
    windowing: Windowing,
    progress: ProgressCallback = ignore_progress,
) -> InferenceResult[Output]:
    """Apply a model to every window of every clip; return outputs and failures in clip order.

    A clip fails and has no outputs if it cannot be read, or if one of its windows fails. After a
    final `RemoteError`, such as a rejected API key, all clips with missing outputs fail. Clip ids
    must be unique. `progress` is called after each answer.

    Raises:
        AudioProbeError: for errors that no single window can cause, such as missing weights.
    """
    result: InferenceResult[Output] = InferenceResult()
    remaining = iter(clips)

    def report() -> None:
        n_failed = len(result.failures)
        done = len(result.outputs) + n_failed
        total = len(clips) if isinstance(clips, Sized) else 0
        progress(ProgressEvent(stage="clips", done=done, total=total, n_failed=n_failed))

    windows = (
        ((clip_id, window), model.make_input(window.waveform))
        for clip_id, window in _windows(remaining, windowing, result)
    )
    answers = infer_each(model.infer, windows, model=model.name, item=model.item)
    for (clip_id, window), answer in answers:
        if isinstance(answer, AudioProbeError):
            result.fail(clip_id, model.stage, answer)
            if isinstance(answer, RemoteError) and answer.final:
                for clip in remaining:  # consumes the iterator
                    result.fail(clip.id, model.stage, answer)
        elif clip_id not in result.failures:
            try:
                output = model.make_output(clip_id, window, answer)
            except UnusableResponseError as error:
                result.fail(clip_id, model.stage, error)
            else:
                result.outputs.setdefault(clip_id, []).append(output)
        report()
    report()
    return InferenceResult(
        {name: result.outputs[name] for name in result.digests if name in result.outputs},
        {name: result.failures[name] for name in result.digests if name in result.failures},
        result.digests,
    )


def _windows(
    clips: Iterable[Clip], windowing: Windowing, result: InferenceResult[Output]
) -> Iterator[tuple[str, AudioWindow]]:
    """Yield pairs of clip id and window; add audio digests and read failures to `result`."""
    for clip in clips:
        result.digests[clip.id] = ""
        content = hashlib.sha256()
        try:
            for window in read_windows(clip, windowing):
                content.update(window.waveform.digest().encode())
                yield clip.id, window
                if clip.id in result.failures:
                    break  # skip the other windows of a failed clip
        except AudioReadError as error:
            result.fail(clip.id, "read", error)
        if clip.id not in result.failures:
            result.digests[clip.id] = content.hexdigest()


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
