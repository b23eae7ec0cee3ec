"""Read clips as one-channel waveforms: whole, cropped, padded, or in consecutive windows.

Only one window is in memory at a time, so long recordings need no more memory than short ones.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import soundfile

from audioprobe.audio.files import OpenSound, open_sound
from audioprobe.errors import AudioReadError, IncompleteAudioError, InvalidInputError
from audioprobe.types import Clip, Waveform

Channels: TypeAlias = Literal["mean", "first"]
Length: TypeAlias = Literal["windows", "crop", "pad", "whole"]
Pooling: TypeAlias = Literal["max", "mean"]
Incomplete: TypeAlias = Literal["refuse", "accept"]
Samples: TypeAlias = npt.NDArray[np.float32]

_BLOCK = 4096  # samples per read where the file may end early
_END_TOLERANCE_S = 0.1  # annotation tables round times; a larger excess is an error in the table


@dataclass(frozen=True, slots=True)
class Windowing:
    """How a recording becomes model inputs.

    Attributes:
        channels: "mean" averages all channels; "first" takes the first, as LTU's demo does.
        length: "windows" cuts the recording into windows of `seconds`, the last one aligned to its
            end: all samples are covered, and only recordings shorter than a window give a shorter
            one; "crop" keeps the first `seconds`; "pad" crops, and pads with zeros to `seconds`;
            "whole" takes the recording as one window.
        seconds: length of a window in seconds; 10 s is the clip length of AudioSet and EDANSA.
        pooling: how the label scores of several windows are combined.
        incomplete: "refuse" files that are truncated or declare a wrong length, or "accept" them
            and read what is present. Some recorders write wrong headers into every file.

    Raises:
        InvalidInputError: for an unknown option, or if `seconds` is not positive and finite.
    """

    channels: Channels = "mean"
    length: Length = "windows"
    seconds: float = 10.0
    pooling: Pooling = "max"
    incomplete: Incomplete = "refuse"

    def __post_init__(self) -> None:
        options = {
            "channels": Channels,
            "length": Length,
            "pooling": Pooling,
            "incomplete": Incomplete,
        }
        for name, alias in options.items():
            value, allowed = getattr(self, name), get_args(alias)
            if value not in allowed:
                raise InvalidInputError(
                    f"{name} must be one of {', '.join(allowed)}, got {value!r}."
                )
        if not 0 < self.seconds < math.inf:
            raise InvalidInputError(f"seconds must be positive and finite, got {self.seconds}.")

    def size(self, sample_rate: int) -> int:
        """Return the length of a window in samples."""
        return max(1, round(self.seconds * sample_rate))


@dataclass(frozen=True, slots=True, eq=False)
class AudioWindow:
    """A part of a clip.

    Attributes:
        start: seconds from the beginning of the clip.
        waveform: the samples.
    """

    start: float
    waveform: Waveform


def read_windows(clip: Clip, windowing: Windowing) -> Iterator[AudioWindow]:
    """Yield the windows of a clip in order, at the sample rate of the file.

    Args:
        clip: the clip.
        windowing: channels and length of the windows.

    Yields:
        At least one window; exactly one unless the length is "windows".

    Raises:
        IncompleteAudioError: if the file is truncated and not accepted.
        AudioReadError: if the file cannot be read or has samples that are not finite; windows
            before the damage may have been yielded already.
    """
    if clip.waveform is not None:
        rate = clip.waveform.sample_rate
        begin, end = _span(clip, clip.waveform.samples.size, rate)
        blocks = iter([clip.waveform.samples[begin:end]])
        yield from _windows(clip, blocks, windowing, rate)
        return
    assert clip.path is not None  # noqa: S101 - a clip has one of the two
    with open_sound(clip.path, accept_incomplete=windowing.incomplete == "accept") as sound:
        begin, end = _span(clip, sound.frames, sound.samplerate)
        blocks = _mono_blocks(sound, begin, end, windowing)
        yield from _windows(clip, blocks, windowing, sound.samplerate)


def read_waveform(clip: Clip, windowing: Windowing | None = None) -> Waveform:
    """Return a clip as one waveform.

    Args:
        clip: the clip.
        windowing: any length but "windows"; by default "whole".

    Raises:
        AudioReadError: if the clip cannot be read.
        InvalidInputError: for the length "windows".
    """
    windowing = windowing or Windowing(length="whole")
    if windowing.length == "windows":
        raise InvalidInputError(
            'Expected the length "whole", "crop" or "pad" for one waveform, got "windows".'
        )
    return next(read_windows(clip, windowing)).waveform


def _span(clip: Clip, n_samples: int, rate: int) -> tuple[int, int]:
    """Return the first sample of a clip in its recording, and the one after its last."""
    begin = round(clip.start * rate)
    end = n_samples if clip.duration is None else begin + max(1, round(clip.duration * rate))
    if begin >= n_samples or end - n_samples > _END_TOLERANCE_S * rate:
        raise AudioReadError(
            f"{clip.id}: expected a part of the recording, which lasts {n_samples / rate:.2f} s; "
            f"got {begin / rate:.2f} to {end / rate:.2f} s."
        )
    return begin, min(end, n_samples)


def _mono_blocks(sound: OpenSound, begin: int, end: int, windowing: Windowing) -> Iterator[Samples]:
    """Yield blocks of one window's length, or a single one for "whole", as one channel."""
    size = end - begin if windowing.length == "whole" else windowing.size(sound.samplerate)
    accept = windowing.incomplete == "accept"
    read = _read_until_error if accept else _read
    position = _seek(sound.file, begin)
    while position < end:
        n = min(size, end - position)
        block = read(sound.file, n)
        position += len(block)
        if len(block) < n and not (accept and position > begin):
            raise IncompleteAudioError(
                f"truncated: {end} samples declared, {position} samples present"
            )
        if position == sound.frames:
            sound.check_end()
        if len(block):
            is_mono = windowing.channels == "first" or block.shape[1] == 1
            yield block[:, 0] if is_mono else block.mean(axis=1, dtype=np.float32)
        if len(block) < n:
            return


def _seek(file: soundfile.SoundFile, begin: int) -> int:
    """Move to a sample, by reading forwards if the codec cannot seek; return the position."""
    if file.seekable():
        file.seek(begin)
        return begin
    position = 0
    while position < begin and (n := len(_read(file, min(_BLOCK, begin - position)))):
        position += n
    return position


def _read(file: soundfile.SoundFile, n: int) -> Samples:
    """Read up to `n` samples per channel, shape (n_samples, n_channels)."""
    try:
        return np.asarray(file.read(n, dtype="float32", always_2d=True), np.float32)
    except (MemoryError, ValueError) as error:  # NumPy cannot allocate the array
        raise IncompleteAudioError(
            f"the header declares {n} samples of {file.channels} channels, which do not fit into "
            "memory"
        ) from error


def _read_until_error(file: soundfile.SoundFile, n: int) -> Samples:
    """Read up to `n` samples per channel, fewer if decoding fails."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    with suppress(soundfile.LibsndfileError):
        while n and len(block := _read(file, min(n, _BLOCK))):
            blocks.append(block)
            n -= len(block)
    return np.concatenate(blocks)


def _windows(
    clip: Clip, blocks: Iterator[Samples], windowing: Windowing, rate: int
) -> Iterator[AudioWindow]:
    for first, samples in _cut(blocks, windowing, rate):
        try:
            waveform = Waveform(samples, rate)
        except InvalidInputError as error:
            raise AudioReadError(f"{clip.id}: {error}") from error
        yield AudioWindow(first / rate, waveform)


def _cut(
    blocks: Iterator[Samples], windowing: Windowing, rate: int
) -> Iterator[tuple[int, Samples]]:
    """Cut consecutive blocks into windows; yield the first sample and the samples of each."""
    size = windowing.size(rate)
    if windowing.length == "whole":
        yield 0, next(blocks)
        return
    if windowing.length in ("crop", "pad"):
        samples = next(blocks)[:size]
        n_missing = size - samples.size if windowing.length == "pad" else 0
        yield 0, np.pad(samples, (0, n_missing))
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
