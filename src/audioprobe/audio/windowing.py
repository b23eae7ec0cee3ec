"""From a clip to one-channel waveforms, by a policy that results record.

A window at a time is in memory, so a two-hour recording costs no more than a short one.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from audioprobe.audio.files import OpenSound, open_sound
from audioprobe.errors import AudioReadError, IncompleteAudioError, InvalidInputError
from audioprobe.types import Clip, Waveform

Samples: TypeAlias = npt.NDArray[np.float32]

_STEP = 4096  # samples that are read at once where less than a window may be there
_END_TOLERANCE_S = 0.1  # annotation tables round their times; more than this is a wrong table


@dataclass(frozen=True, slots=True)
class Windowing:
    """How a recording becomes waveforms.

    Attributes:
        channels: "mean" mixes all channels; "first" keeps the first, as LTU's demo does.
        length: "windows" cuts the recording into windows of `seconds`, the last one aligned to its
            end, so that nothing is left out and nothing padded unless the recording is shorter than
            one window; "crop" keeps the first `seconds`; "pad" crops and fills up with zeros to
            exactly `seconds`; "whole" takes all at once.
        seconds: length of a window; 10 s is the clip length of AudioSet and EDANSA.
        pooling: how label scores of several windows become one: "max" or "mean".
        incomplete: "refuse" a file that was cut short, or whose header promises another length than
            is there; or "accept" it, and read what is there. Some recorders write wrong headers
            into every file.
    """

    channels: Literal["mean", "first"] = "mean"
    length: Literal["windows", "crop", "pad", "whole"] = "windows"
    seconds: float = 10.0
    pooling: Literal["max", "mean"] = "max"
    incomplete: Literal["refuse", "accept"] = "refuse"

    def __post_init__(self) -> None:
        _refuse_other("channels", self.channels, ("mean", "first"))
        _refuse_other("length", self.length, ("windows", "crop", "pad", "whole"))
        _refuse_other("pooling", self.pooling, ("max", "mean"))
        _refuse_other("incomplete", self.incomplete, ("refuse", "accept"))
        if not 0 < self.seconds < math.inf:
            raise InvalidInputError(f"seconds must be positive and finite, got {self.seconds}.")


@dataclass(frozen=True, slots=True, eq=False)
class AudioWindow:
    """A piece of a clip, `start` seconds after the clip's beginning."""

    start: float
    waveform: Waveform


def read_windows(clip: Clip, reading: Windowing) -> Iterator[AudioWindow]:
    """The clip's windows in order, at the file's own sample rate.

    Args:
        clip: where the sound is.
        reading: the policy for channels and length.

    Yields:
        At least one window; exactly one unless the policy is "windows".

    Raises:
        IncompleteAudioError: if it is cut short and is to be refused then.
        AudioReadError: if the sound cannot be read, or has samples that are not finite; windows
            before the damage may have been yielded by then.
    """
    if clip.waveform is not None:
        rate = clip.waveform.sample_rate
        begin, end = _span(clip, clip.waveform.samples.size, rate)
        pieces = _pieces(iter([clip.waveform.samples[begin:end]]), reading, rate)
        yield from _checked(clip, pieces, rate)
        return
    assert clip.path is not None  # noqa: S101 - a clip has one of the two
    with open_sound(clip.path, accept_incomplete=reading.incomplete == "accept") as sound:
        rate = sound.samplerate
        begin, end = _span(clip, sound.frames, rate)
        blocks = _mono_blocks(sound, begin, end, reading)
        yield from _checked(clip, _pieces(blocks, reading, rate), rate)


def read_waveform(clip: Clip, reading: Windowing | None = None) -> Waveform:
    """The whole clip as one waveform.

    Raises:
        AudioReadError: if it cannot be read.
    """
    chosen = reading or Windowing(length="whole")
    if chosen.length == "windows":
        raise InvalidInputError('A waveform is one piece: use length "whole", "crop" or "pad".')
    return next(read_windows(clip, chosen)).waveform


def _span(clip: Clip, n_samples: int, rate: int) -> tuple[int, int]:
    """First sample and the one after the last, checked against what is there."""
    begin = round(clip.start * rate)
    end = n_samples if clip.duration is None else begin + max(1, round(clip.duration * rate))
    if begin >= n_samples or end - n_samples > _END_TOLERANCE_S * rate:
        raise AudioReadError(
            f"{clip.id}: asks for {begin / rate:.2f} to {end / rate:.2f} s of a recording that "
            f"lasts {n_samples / rate:.2f} s."
        )
    return begin, min(end, n_samples)


def _mono_blocks(sound: OpenSound, begin: int, end: int, reading: Windowing) -> Iterator[Samples]:
    """Blocks of one window's length (all at once for "whole"), mixed to one channel."""
    whole = reading.length == "whole"
    size = end - begin if whole else _window_size(reading, sound.samplerate)
    accept = reading.incomplete == "accept"
    position = _go_to(sound.file, begin)
    while position < end:
        wanted = min(size, end - position)
        block = (_salvaged if accept else _read)(sound.file, wanted)
        position += len(block)
        if len(block) < wanted and not (accept and position > begin):
            raise IncompleteAudioError(f"cut short, {end} samples promised and {position} there")
        if position == sound.frames:
            sound.check_end()
        if len(block):
            one = reading.channels == "first" or block.shape[1] == 1
            yield block[:, 0] if one else block.mean(axis=1, dtype=np.float32)
        if len(block) < wanted:
            return


def _go_to(file: soundfile.SoundFile, begin: int) -> int:
    """Move to a sample, reading forwards where a codec cannot seek; returns where it is."""
    if file.seekable():
        file.seek(begin)
        return begin
    position = 0
    while position < begin and (n := len(_read(file, min(_STEP, begin - position)))):
        position += n
    return position


def _read(file: soundfile.SoundFile, n: int) -> Samples:
    """Up to `n` samples of each channel, shape (samples, channels)."""
    try:
        return np.asarray(file.read(n, dtype="float32", always_2d=True), np.float32)
    except (MemoryError, ValueError) as error:  # NumPy has no room for so many
        raise IncompleteAudioError(
            f"{n} samples of {file.channels} channels are promised, which do not fit into memory"
        ) from error


def _salvaged(file: soundfile.SoundFile, n: int) -> Samples:
    """The samples before the decoder fails, of up to `n`."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    with suppress(soundfile.LibsndfileError):
        while n and len(block := _read(file, min(n, _STEP))):
            blocks.append(block)
            n -= len(block)
    return np.concatenate(blocks)


def _window_size(reading: Windowing, rate: int) -> int:
    return max(1, round(reading.seconds * rate))


def _pieces(
    blocks: Iterator[Samples], reading: Windowing, rate: int
) -> Iterator[tuple[int, Samples]]:
    """Apply the length policy to consecutive blocks; yields (first sample, samples)."""
    size = _window_size(reading, rate)
    if reading.length == "whole":
        yield 0, next(blocks)
        return
    if reading.length in ("crop", "pad"):
        piece = next(blocks)[:size]
        missing = size - piece.size if reading.length == "pad" else 0
        yield 0, np.pad(piece, (0, missing))
        return
    previous: Samples | None = None
    position = 0
    for block in blocks:
        for offset in range(0, block.size, size):
            window = block[offset : offset + size]
            position += window.size
            if window.size < size and previous is not None:
                window = np.concatenate([previous, window])[-size:]
            yield position - window.size, window
            previous = window


def _checked(clip: Clip, pieces: Iterator[tuple[int, Samples]], rate: int) -> Iterator[AudioWindow]:
    for first, samples in pieces:
        try:
            waveform = Waveform(samples, rate)
        except InvalidInputError as error:
            raise AudioReadError(f"{clip.id}: {error}") from error
        yield AudioWindow(first / rate, waveform)


def _refuse_other(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidInputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
