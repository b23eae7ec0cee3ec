"""Captions of many clips, a window at a time in memory, with whatever fails listed."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from audioprobe.audio.reading import Reading, Window, read_windows
from audioprobe.errors import (
    AudioProbeError,
    AudioReadError,
    ContractError,
    InvalidInputError,
    OutOfMemoryError,
    RemoteError,
    UnsupportedInputError,
)
from audioprobe.protocols import LanguageModel
from audioprobe.results import Caption, Failure, Stage
from audioprobe.types import Clip, Decoding, Prompt, Response

# What one prompt can be the cause of; anything else is the run's fault and ends it.
_OF_ONE_PROMPT = (InvalidInputError, UnsupportedInputError, OutOfMemoryError, RemoteError)


@dataclass(slots=True)
class Captions:
    """What came of captioning clips.

    Attributes:
        captions: by clip id, windows in order; only clips of which every window was captioned.
        failures: by clip id, the first cause.
        digests: by clip id, SHA-256 of the sound that was read.
    """

    captions: dict[str, list[Caption]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def fail(self, clip_id: str, stage: Stage, error: Exception) -> None:
        """List a clip as failed, unless it is already, and drop what it has."""
        if clip_id not in self.failures:
            self.failures[clip_id] = Failure(clip_id, stage, type(error).__name__, str(error))
        self.captions.pop(clip_id, None)

    def add(self, clip_id: str, start: float, response: Response) -> None:
        """Keep a window's caption; an empty one is a failure, for it says nothing."""
        if clip_id in self.failures:
            return
        if response.text.strip():
            caption = Caption(clip_id, start, response.text, response.abstained, response.finish)
            self.captions.setdefault(clip_id, []).append(caption)
        else:
            self.fail(clip_id, "caption", EmptyCaption("The model answered with no text."))


class EmptyCaption(AudioProbeError):  # noqa: N818 - the name of a failure, never raised
    """The model's answer held no text."""


def caption_clips(
    model: LanguageModel,
    clips: Iterable[Clip],
    question: str,
    reading: Reading,
    decoding: Decoding | None,
) -> Iterator[Captions]:
    """Ask the model about every window of every clip.

    Yields:
        The same growing record after each answer, so that progress can be shown.

    Raises:
        ContractError: if the model answers more or fewer prompts than it was given.
        AudioProbeError: what is no single prompt's fault, such as missing weights.
    """
    record = Captions()
    feed = _Feed(clips, question, reading, record)
    while True:
        try:
            for response in model.generate(feed, decoding):
                record.add(*feed.answered(), response)
                yield record
        except _OF_ONE_PROMPT:
            if not feed.pending:
                raise
            yield from _one_by_one(model, feed, decoding, record)
            continue
        feed.refuse_unanswered()
        yield record
        return


def _one_by_one(
    model: LanguageModel, feed: "_Feed", decoding: Decoding | None, record: Captions
) -> Iterator[Captions]:
    """Ask again for what was under way when a batch failed, to find the prompt that did it."""
    while feed.pending:
        clip_id, start, prompt = feed.pending.popleft()
        try:
            responses = list(model.generate([prompt], decoding))
        except _OF_ONE_PROMPT as error:
            record.fail(clip_id, "caption", error)
            if isinstance(error, RemoteError) and error.final:
                feed.abandon(error)
        else:
            if len(responses) != 1:
                raise ContractError(
                    f"The language model answered one prompt with {len(responses)} responses."
                )
            record.add(clip_id, start, responses[0])
        yield record


class _Feed:
    """Prompts, with a memory of those under way; an error in the model does not end it."""

    def __init__(
        self, clips: Iterable[Clip], question: str, reading: Reading, record: Captions
    ) -> None:
        self.pending: deque[tuple[str, float, Prompt]] = deque()
        self._clips = iter(clips)
        self._question = question
        self._reading = reading
        self._record = record
        self._reading_now: str | None = None
        self._windows = self._read()

    def __iter__(self) -> Iterator[Prompt]:
        return self

    def __next__(self) -> Prompt:
        clip_id, window = next(self._windows)
        prompt = Prompt(self._question, audio=window.waveform)
        self.pending.append((clip_id, window.start, prompt))
        return prompt

    def _read(self) -> Iterator[tuple[str, Window]]:
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

    def answered(self) -> tuple[str, float]:
        """The window that the next response belongs to."""
        if not self.pending:
            raise ContractError("The language model answered more prompts than it was given.")
        clip_id, start, _ = self.pending.popleft()
        return clip_id, start

    def refuse_unanswered(self) -> None:
        """Raise if the model ended before it answered everything that it took."""
        if not self.pending:
            next(self, None)  # what was never asked for is unanswered too
        if self.pending:
            raise ContractError(
                "The language model ended before it had answered every prompt: the first without "
                f"an answer is about {self.pending[0][0]!r}. `audioprobe.testing` checks for this."
            )

    def abandon(self, error: Exception) -> None:
        """List everything that was not asked yet as failed for this reason."""
        for clip_id, _, _ in self.pending:
            self._record.fail(clip_id, "caption", error)
        self.pending.clear()
        self._windows = iter(())
        if self._reading_now is not None:
            self._record.fail(self._reading_now, "caption", error)
        for clip in self._clips:
            self._record.fail(clip.id, "caption", error)
