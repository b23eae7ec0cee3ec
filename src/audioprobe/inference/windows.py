"""Answers about every window of many clips, one window in memory, with whatever fails listed."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

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
from audioprobe.types import Clip, Waveform

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Kept = TypeVar("Kept")


class UnusableResponseError(AudioProbeError):
    """An answer came, and it says nothing about its window: the clip fails, the run goes on."""


@dataclass(frozen=True)
class WindowModel(Generic[Item, Answer, Kept]):
    """Who answers about windows, and what is kept of the answers.

    Attributes:
        who: for messages: "language model".
        what: what it takes, for messages: "prompt".
        stage: at which a clip fails where it gives no answer.
        ask: a stream of items to a stream of answers, one each, in order.
        item: what is asked about a window's sound.
        keep: what is kept of an answer, given clip id and window; raises `UnusableResponseError`.
    """

    who: str
    what: str
    stage: Stage
    ask: Callable[[Iterable[Item]], Iterator[Answer]]
    item: Callable[[Waveform], Item]
    keep: Callable[[str, AudioWindow, Answer], Kept]


@dataclass(slots=True)
class InferenceResult(Generic[Kept]):
    """What came of listening to clips.

    Attributes:
        kept: by clip id, windows in order; only clips of which every window was answered.
        failures: by clip id, the first cause.
        digests: by clip id, SHA-256 of the sound that was read.
    """

    kept: dict[str, list[Kept]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def fail(self, clip_id: str, stage: Stage, error: Exception) -> None:
        """List a clip as failed, unless it is already, and drop what it has."""
        self.note(Failure(clip_id, stage, type(error).__name__, str(error)))

    def note(self, failure: Failure) -> None:
        """As `fail`, for a failure that was made elsewhere."""
        self.failures.setdefault(failure.clip_id, failure)
        self.kept.pop(failure.clip_id, None)

    def in_order(self, clips: Sequence[Clip]) -> "InferenceResult[Kept]":
        """The same in the order of the clips, whatever failed first."""
        return InferenceResult(
            {clip.id: self.kept[clip.id] for clip in clips if clip.id in self.kept},
            {clip.id: self.failures[clip.id] for clip in clips if clip.id in self.failures},
            self.digests,
        )


def run_inference(
    listener: WindowModel[Item, Answer, Kept],
    clips: Sequence[Clip],
    reading: Windowing,
    progress: ProgressCallback = ignore_progress,
) -> InferenceResult[Kept]:
    """Ask about every window of every clip, and tell how far it is.

    Args:
        listener: who answers.
        clips: with unique ids.
        reading: how they are cut into windows.
        progress: called after every clip or batch.

    Raises:
        ContractError: if it answers more or fewer items than it was given.
        AudioProbeError: what is no single item's fault, such as missing weights.
    """
    record: InferenceResult[Kept] = InferenceResult()
    for _ in iter_inference(listener, clips, reading, record):
        n_failed = len(record.failures)
        done = len(record.kept) + n_failed
        progress(ProgressEvent(stage="clips", done=done, total=len(clips), n_failed=n_failed))
    return record.in_order(clips)


def iter_inference(
    listener: WindowModel[Item, Answer, Kept],
    clips: Iterable[Clip],
    reading: Windowing,
    record: InferenceResult[Kept],
) -> Iterator[None]:
    """As `run_inference`, for clips that are made one by one; stops after each answer.

    Args:
        listener: who answers.
        clips: pulled as they are needed.
        reading: how they are cut into windows.
        record: what is filled.
    """
    feed = _WindowQueue(listener, clips, reading, record)
    while True:
        try:
            for answer in listener.ask(feed):
                feed.keep(*feed.answered(), answer)
                yield
        except PER_ITEM_ERRORS:
            if not feed.pending:
                raise
            yield from _one_by_one(feed)
            continue
        feed.refuse_unanswered()
        yield
        return


def _one_by_one(feed: "_WindowQueue[Item, Answer, Kept]") -> Iterator[None]:
    """Ask again for what was under way when a batch failed, to find the item that did it."""
    listener = feed.listener
    while feed.pending:
        clip_id, window, item = feed.pending.popleft()
        try:
            answers = list(listener.ask(iter([item])))
        except PER_ITEM_ERRORS as error:
            feed.fail(clip_id, error)
            if isinstance(error, RemoteError) and error.final:
                feed.abandon(error)
        else:
            if len(answers) != 1:
                raise ContractError(
                    f"The {listener.who} answered one {listener.what} with {len(answers)} "
                    "responses."
                )
            feed.keep(clip_id, window, answers[0])
        yield


class _WindowQueue(Generic[Item, Answer, Kept]):
    """Items, with a memory of those under way; an error in the listener does not end it."""

    def __init__(
        self,
        listener: WindowModel[Item, Answer, Kept],
        clips: Iterable[Clip],
        reading: Windowing,
        record: InferenceResult[Kept],
    ) -> None:
        self.listener = listener
        self.pending: deque[tuple[str, AudioWindow, Item]] = deque()
        self._clips = iter(clips)
        self._reading = reading
        self._record = record
        self._reading_now: str | None = None
        self._windows = self._read()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        clip_id, window = next(self._windows)
        item = self.listener.item(window.waveform)
        self.pending.append((clip_id, window, item))
        return item

    def _read(self) -> Iterator[tuple[str, AudioWindow]]:
        for clip in self._clips:
            self._reading_now = clip.id
            content = hashlib.sha256()
            try:
                for window in read_windows(clip, self._reading):
                    content.update(window.waveform.digest().encode())
                    yield clip.id, window
                    if clip.id in self._record.failures:
                        break  # the rest of a failed clip would be asked for nothing
            except AudioReadError as error:
                self._record.fail(clip.id, "read", error)
            self._record.digests[clip.id] = content.hexdigest()
        self._reading_now = None

    def keep(self, clip_id: str, window: AudioWindow, answer: Answer) -> None:
        """Record what the answer says, unless its clip has failed already."""
        if clip_id in self._record.failures:
            return
        try:
            kept = self.listener.keep(clip_id, window, answer)
        except UnusableResponseError as error:
            self.fail(clip_id, error)
        else:
            self._record.kept.setdefault(clip_id, []).append(kept)

    def fail(self, clip_id: str, error: Exception) -> None:
        """List a clip as failed at the listener's stage."""
        self._record.fail(clip_id, self.listener.stage, error)

    def answered(self) -> tuple[str, AudioWindow]:
        """The window that the next answer belongs to."""
        if not self.pending:
            raise ContractError(
                f"The {self.listener.who} answered more {self.listener.what}s than it was given."
            )
        clip_id, window, _ = self.pending.popleft()
        return clip_id, window

    def refuse_unanswered(self) -> None:
        """Raise if the listener ended before it answered everything that it took."""
        if not self.pending:
            next(self, None)  # what was never asked for is unanswered too
        if self.pending:
            raise ContractError(
                f"The {self.listener.who} ended before it had answered every {self.listener.what}: "
                f"the first without an answer is about {self.pending[0][0]!r}. "
                "`audioprobe.testing` checks for this."
            )

    def abandon(self, error: Exception) -> None:
        """List everything that was not asked yet as failed for this reason."""
        for clip_id, _, _ in self.pending:
            self.fail(clip_id, error)
        self.pending.clear()
        self._windows = iter(())
        if self._reading_now is not None:
            self.fail(self._reading_now, error)
        for clip in self._clips:
            self.fail(clip.id, error)
