"""Reading of clips as mono waveforms: whole, cropped, padded, or as consecutive windows.

Only one window is in memory at a time.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import soundfile

from audioprobe.audio.files import OpenSound, open_sound
from audioprobe.audio.transforms import resample
from audioprobe.errors import (
    AudioReadError,
    IncompleteAudioError,
    InvalidInputError,
    UnsupportedInputError,
)
from audioprobe.types import Clip, Option, Waveform

Channels: TypeAlias = Literal["mean", "first"]
Length: TypeAlias = Literal["windows", "crop", "pad", "whole"]
Pooling: TypeAlias = Literal["max", "mean"]
Incomplete: TypeAlias = Literal["refuse", "accept"]
Samples: TypeAlias = npt.NDArray[np.float32]

_BLOCK = 4096  # samples per read if the file may be truncated
_END_TOLERANCE_S = 0.1  # annotation tables round times; larger differences are errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """Options that define how a recording is converted to model inputs.

    Attributes:
        channels: "mean" averages all channels; "first" uses the first channel, as in LTU's demo.
        length: "windows" cuts the recording into windows of `seconds`. The last window ends at the
            end of the recording and may overlap its predecessor; a recording shorter than `seconds`
            is one window. "crop" uses the first `seconds`. "pad" also pads shorter recordings with
            zeros to `seconds`. "whole" uses the recording as one window.
        seconds: length of a window in seconds; 10 s is the clip length of AudioSet and EDANSA.
        pooling: how to combine the label scores of several windows of a clip.
        incomplete: "refuse" raises an error for a file that is truncated or declares a wrong
            length; "accept" reads the samples that exist. Some recorders write wrong headers into
            every file.
        sample_rate: rate in Hz to which windows are resampled before the model receives them; None
            keeps the rate of the file. Models resample to their own rate in any case, so a rate
            limits the bandwidth: 16000 removes everything above 8 kHz.

    Raises:
        InvalidInputError: for an unknown option, or if `seconds` or `sample_rate` is not positive
            and finite.
    """

    channels: Channels = "mean"
    length: Length = "windows"
    seconds: float = 10.0
    pooling: Pooling = "max"
    incomplete: Incomplete = "refuse"
    sample_rate: int | None = None

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
        if self.sample_rate is not None and self.sample_rate <= 0:
            raise InvalidInputError(f"sample_rate must be positive (Hz), got {self.sample_rate}.")

    @property
    def options(self) -> dict[str, Option]:
        """The settings by name, for the provenance of a result."""
        options: dict[str, Option] = asdict(self)
        for name, default in (("incomplete", "refuse"), ("sample_rate", None)):
            if options[name] == default:  # recorded only if it is not the default
                del options[name]
        return options

    def size(self, sample_rate: int) -> int:
        """Return the length of a window in samples."""
        return max(1, round(self.seconds * sample_rate))


@dataclass(frozen=True, slots=True, eq=False)
class AudioWindow:
    """A window of a clip; `start` is in seconds from the beginning of the clip."""

    start: float
    waveform: Waveform


def read_windows(clip: Clip, windowing: Windowing) -> Iterator[AudioWindow]:
    """Yield the windows of a clip (at least one) in order.

    Their sample rate is that of the file, or `windowing.sample_rate` if it is given.

    Raises:
        IncompleteAudioError: if the file is truncated, unless `windowing` accepts such files.
        AudioReadError: if the file cannot be read or contains NaN or infinite samples. Windows
            before the damaged part may already have been yielded.
    """
    if clip.waveform is not None:
        rate = clip.waveform.sample_rate
        begin, end = _span(clip, clip.waveform.samples.size, rate)
        blocks = iter([clip.waveform.samples[begin:end]])
        yield from _windows(clip, blocks, windowing, rate)
        return
    assert clip.path is not None  # noqa: S101 - a clip has either a waveform or a path
    with open_sound(clip.path, accept_incomplete=windowing.incomplete == "accept") as sound:
        begin, end = _span(clip, sound.frames, sound.samplerate)
        blocks = _mono_blocks(sound, begin, end, windowing)
        yield from _windows(clip, blocks, windowing, sound.samplerate)


def read_waveform(clip: Clip, windowing: Windowing | None = None) -> Waveform:
    """Read a clip as one waveform.

    Args:
        clip: clip to read.
        windowing: options whose length is "whole", "crop" or "pad"; None means "whole".

    Raises:
        AudioReadError: if the clip cannot be read.
        InvalidInputError: if the length is "windows".
    """
    windowing = windowing or Windowing(length="whole")
    if windowing.length == "windows":
        raise InvalidInputError(
            'Expected the length "whole", "crop" or "pad" for one waveform, got "windows".'
        )
    return next(read_windows(clip, windowing)).waveform


def _span(clip: Clip, n_samples: int, rate: int) -> tuple[int, int]:
    """Return (begin, end): the samples begin, ..., end - 1 of a recording belong to the clip.

    Raises:
        AudioReadError: if the clip does not lie within the recording.
    """
    begin = round(clip.start * rate)
    end = n_samples if clip.duration is None else begin + max(1, round(clip.duration * rate))
    if begin >= n_samples or end - n_samples > _END_TOLERANCE_S * rate:
        raise AudioReadError(
            f"{clip.id}: expected a clip within the recording of {n_samples / rate:.2f} s, "
            f"got {begin / rate:.2f} to {end / rate:.2f} s."
        )
    return begin, min(end, n_samples)


def _mono_blocks(sound: OpenSound, begin: int, end: int, windowing: Windowing) -> Iterator[Samples]:
    """Yield the samples of a file as mono blocks of one window each; the last may be shorter."""
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
                f"truncated: the header declares {end} samples, but {position} are present"
            )
        if position == sound.frames:
            sound.check_end()
        if len(block):
            is_mono = windowing.channels == "first" or block.shape[1] == 1
            yield block[:, 0] if is_mono else _mean_of_channels(block)
        if len(block) < n:
            return


def _mean_of_channels(block: Samples) -> Samples:
    """Return the mean of the channels, shape (n_samples,), of shape (n_samples, n_channels)."""
    if block.shape[1] == 2:  # ten times as fast as numpy's mean of the last axis; the same values
        return np.asarray((block[:, 0] + block[:, 1]) / 2, np.float32)
    return np.asarray(block.mean(axis=1, dtype=np.float32))


def _seek(file: soundfile.SoundFile, begin: int) -> int:
    """Move to the sample `begin`, and return the position, which is less if the file ends before.

    If the file format does not support seeking, the earlier samples are decoded and discarded.
    """
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
    except (MemoryError, ValueError) as error:  # NumPy could not allocate the array
        raise IncompleteAudioError(
            f"the header declares {n} samples of {file.channels} channels, which do not fit into "
            "memory"
        ) from error


def _read_until_error(file: soundfile.SoundFile, n: int) -> Samples:
    """Read up to `n` samples per channel; if decoding fails, return the samples decoded before."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    with suppress(soundfile.LibsndfileError):
        while n and len(block := _read(file, min(n, _BLOCK))):
            blocks.append(block)
            n -= len(block)
    return np.concatenate(blocks)


def _windows(
    clip: Clip, blocks: Iterator[Samples], windowing: Windowing, rate: int
) -> Iterator[AudioWindow]:
    """Convert blocks of samples to windows; raise if samples are NaN or infinite."""
    for first, samples in _cut(blocks, windowing, rate):
        try:
            waveform = Waveform(samples, rate)
            if windowing.sample_rate is not None:
                waveform = resample(waveform, windowing.sample_rate)
        except (InvalidInputError, UnsupportedInputError) as error:
            raise AudioReadError(f"{clip.id}: {error}") from error
        yield AudioWindow(first / rate, waveform)


def _cut(
    blocks: Iterator[Samples], windowing: Windowing, rate: int
) -> Iterator[tuple[int, Samples]]:
    """Cut blocks into windows; yield (index of the first sample, samples) of each window."""
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
