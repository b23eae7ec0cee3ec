"""Inference on audio clips, window by window, with one window in memory at a time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from audioprobe.audio.windowing import AudioWindow, Windowing, read_windows
from audioprobe.errors import AudioProbeError, AudioReadError, RemoteError
from audioprobe.inference.stream import Answer, Infer, Item, infer_each
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.results import Failure, Stage
from audioprobe.types import Clip, Waveform

Output = TypeVar("Output")


class UnusableResponseError(AudioProbeError):
    """Error for an answer that contains no usable output; its clip is listed as a failure."""


@dataclass(frozen=True, kw_only=True)
class WindowModel(Generic[Item, Answer, Output]):
    """A model that is applied to windows, with conversions of its inputs and outputs.

    Attributes:
        name: description of the model in error messages, such as "language model".
        item: description of one input in error messages, such as "prompt".
        stage: stage recorded in failures that the model causes.
        infer: function that maps a stream of inputs to a stream of answers, in the same order.
        make_input: function that converts the waveform of a window to an input.
        make_output: function that converts clip id, window and answer to an output; it raises
            `UnusableResponseError` if the answer is not usable.
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
        digests: SHA-256 of the samples that were read, by clip id.
    """

    outputs: dict[str, list[Output]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def fail(self, clip_id: str, stage: Stage, error: Exception) -> None:
        """Add a failure if the clip has no failure yet, and remove the outputs of the clip."""
        self.add_failure(Failure(clip_id, stage, type(error).__name__, str(error)))

    def add_failure(self, failure: Failure) -> None:
        """Add a failure if the clip has no failure yet, and remove the outputs of the clip."""
        self.failures.setdefault(failure.clip_id, failure)
        self.outputs.pop(failure.clip_id, None)

    def in_order(self, clip_ids: Sequence[str]) -> "InferenceResult[Output]":
        """Return a copy with outputs and failures in the given order of clips."""
        return InferenceResult(
            {name: self.outputs[name] for name in clip_ids if name in self.outputs},
            {name: self.failures[name] for name in clip_ids if name in self.failures},
            self.digests,
        )


def run_inference(
    model: WindowModel[Item, Answer, Output],
    clips: Iterable[Clip],
    windowing: Windowing,
    progress: ProgressCallback = ignore_progress,
) -> InferenceResult[Output]:
    """Apply a model to every window of every clip.

    A clip is listed as a failure and has no outputs if the clip cannot be read, or if one of its
    windows fails. After a final `RemoteError`, all clips whose outputs are incomplete fail with
    this error.

    Args:
        model: the model and its conversions.
        clips: clips with unique ids, consumed lazily.
        windowing: options for cutting clips into windows.
        progress: called after each answer.

    Raises:
        ContractError: if the number of answers differs from the number of windows.
        AudioProbeError: for errors that no single window can cause, such as missing weights.
    """
    result: InferenceResult[Output] = InferenceResult()
    clip_ids: list[str] = []
    remaining = _recorded(clips, clip_ids)

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
    return result.in_order(clip_ids)


def _recorded(clips: Iterable[Clip], clip_ids: list[str]) -> Iterator[Clip]:
    for clip in clips:
        clip_ids.append(clip.id)
        yield clip


def _windows(
    clips: Iterable[Clip], windowing: Windowing, result: InferenceResult[Output]
) -> Iterator[tuple[str, AudioWindow]]:
    """Yield clip ids and windows; add digests and unreadable clips to `result`."""
    for clip in clips:
        content = hashlib.sha256()
        try:
            for window in read_windows(clip, windowing):
                content.update(window.waveform.digest().encode())
                yield clip.id, window
                if clip.id in result.failures:
                    break  # skip the other windows of a failed clip
        except AudioReadError as error:
            result.fail(clip.id, "read", error)
        result.digests[clip.id] = content.hexdigest()
