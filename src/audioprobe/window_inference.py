"""Inference on the windows of clips, which are read in the background while the model runs."""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from audioprobe.audio.windowing import AudioWindow, Windowing, read_windows
from audioprobe.errors import AudioProbeError, AudioReadError, RemoteError
from audioprobe.inference import Answer, Infer, Item, infer_each
from audioprobe.prefetching import WaitingClock, prefetched
from audioprobe.progress import ProgressCallback, ProgressEvent, ignore_progress
from audioprobe.results import Failure, Stage
from audioprobe.results.provenance import combined_digest
from audioprobe.types import Clip, Waveform

_WINDOWS_AHEAD = 16  # most windows to read ahead
_SECONDS_AHEAD = 160.0  # most audio to read ahead, except for a single longer window

Output = TypeVar("Output")


class UnusableResponseError(AudioProbeError):
    """Error for an answer that contains no usable output; its clip is listed as a failure."""


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
        waiting: share of the time, from 0 to 1, in which the model waited for audio to be decoded,
            resampled or converted to features in the background; 0.0 before the end.
    """

    outputs: dict[str, list[Output]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    waiting: float = 0.0

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

    A background thread reads up to 16 windows, or 160 s of audio, before the model needs them.

    A clip fails and has no outputs if it cannot be read, or if one of its windows fails. After a
    final `RemoteError`, such as a rejected API key, all clips with missing outputs fail. Clip ids
    must be unique. `progress` is called after each answer.

    Raises:
        AudioProbeError: for errors that no single window can cause, such as missing weights.
    """
    result: InferenceResult[Output] = InferenceResult()
    clock = WaitingClock()
    final_errors: list[RemoteError] = []

    def report() -> None:
        n_failed = len(result.failures)
        done = len(result.outputs) + n_failed
        total = len(clips) if isinstance(clips, Sized) else 0
        progress(
            ProgressEvent(
                stage="clips", done=done, total=total, n_failed=n_failed, waiting=clock.share
            )
        )

    windows = (
        ((clip_id, window), model.make_input(window.waveform))
        for clip_id, window in _windows(clips, windowing, result, model.stage, final_errors)
    )
    answers = infer_each(model.infer, windows, model=model.name, item=model.item)
    for (clip_id, window), answer in answers:
        if isinstance(answer, AudioProbeError):
            result.fail(clip_id, model.stage, answer)
            if isinstance(answer, RemoteError) and answer.final:
                final_errors.append(answer)
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
        clock.share,
    )


def _windows(
    clips: Iterable[Clip],
    windowing: Windowing,
    result: InferenceResult[Output],
    stage: Stage,
    final_errors: Sequence[RemoteError],
) -> Iterator[tuple[str, AudioWindow]]:
    """Yield pairs of clip id and window; add audio digests and read failures to `result`.

    After an error in `final_errors`, the remaining clips are not read, and fail at `stage`.
    """
    most = int(_SECONDS_AHEAD / windowing.seconds) if windowing.length != "whole" else 1
    parts = _read(clips, windowing, result.failures, final_errors)
    for clip_id, part in prefetched(parts, max(1, min(most, _WINDOWS_AHEAD))):
        result.digests.setdefault(clip_id, "")
        if isinstance(part, AudioProbeError):
            result.fail(clip_id, stage if isinstance(part, RemoteError) else "read", part)
        elif clip_id in result.failures:
            continue  # skip the other windows of a failed clip
        elif isinstance(part, str):
            result.digests[clip_id] = part
        else:
            yield clip_id, part


def _read(
    clips: Iterable[Clip],
    windowing: Windowing,
    failed: Container[str],
    final_errors: Sequence[RemoteError],
) -> Iterator[tuple[str, AudioWindow | str | AudioReadError | RemoteError]]:
    """Yield the windows of each clip and then its digest, or the error that ended reading it.

    Reading stops at clips in `failed` and at the first of `final_errors`, to which another thread
    adds.
    """
    for clip in clips:
        if final_errors:
            yield clip.id, final_errors[0]
            continue
        content = hashlib.sha256()
        try:
            for window in read_windows(clip, windowing):
                content.update(window.waveform.digest().encode())
                yield clip.id, window
                if clip.id in failed:
                    break
            yield clip.id, content.hexdigest()
        except AudioReadError as error:
            yield clip.id, error
