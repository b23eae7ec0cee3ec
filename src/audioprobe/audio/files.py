"""Open audio files and reject those that are damaged, truncated or not audio.

libsndfile decodes WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and others in this process; no ffmpeg is
needed. It receives open files instead of names: names need not be UTF-8 then, and "._x.mp3" next to
"x.mp3" is not taken for its resource fork.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import soundfile

from audioprobe.audio.containers import flac, mpeg, ogg, pcm
from audioprobe.audio.containers.byte_access import UndecodableError
from audioprobe.audio.search import OTHER_SUFFIXES, conversion_advice
from audioprobe.errors import AudioReadError, IncompleteAudioError, did_you_mean
from audioprobe.normalization import path_on_disk

MIN_SAMPLE_RATE_HZ = 100
"""Whale recordings have 250 Hz; a lower rate is an error, often kHz written as Hz."""

_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga")  # files that may begin with junk
_MAX_SIBLINGS = 1000  # names in a folder that are compared with a misspelled one
_ADVICE = 'Read what is present with Windowing(incomplete="accept"), or get the file again.'


@dataclass(frozen=True, slots=True)
class OpenSound:
    """An audio file opened for reading.

    Attributes:
        path: path of the file.
        file: the decoder.
        frames: number of samples per channel.
        stream: what the decoder reads.
    """

    path: Path
    file: soundfile.SoundFile
    frames: int
    stream: BinaryIO

    @property
    def samplerate(self) -> int:
        """Sample rate in Hz."""
        return int(self.file.samplerate)

    def check_end(self) -> None:
        """Check that the file ends after the last decoded sample.

        Raises:
            UndecodableError: if another FLAC stream follows.
        """
        if self.file.format == "FLAC":
            flac.check_single_stream(self.stream)


@contextmanager
def open_sound(path: Path, *, accept_incomplete: bool = False) -> Iterator[OpenSound]:
    """Open an audio file.

    Args:
        path: path of the file.
        accept_incomplete: accept files that are truncated or declare a wrong length.

    Raises:
        IncompleteAudioError: for such files, unless accepted.
        AudioReadError: if the file is missing, empty, not audio, or has a sample rate below 100 Hz.
    """
    path = path_on_disk(path)
    try:
        _check_exists(path)
        with path.open("rb", buffering=0) as stream:
            sound = _opened(path, stream, accept_incomplete)
            with sound.file:
                _check_plausible(sound)
                yield sound
    except IncompleteAudioError as error:
        raise IncompleteAudioError(f"{path}: {error}. {_ADVICE}") from error
    except UndecodableError as error:
        raise AudioReadError(f"{path}: {error}. {conversion_advice(path)}") from error
    except soundfile.LibsndfileError as error:
        raise IncompleteAudioError(
            f"{path}: damaged, decoding stopped ({_cause(error)}). {_ADVICE}"
        ) from error
    except OSError as error:
        if isinstance(error, AudioReadError):
            raise
        raise AudioReadError(f"{path!s:.200}: cannot be read ({error.strerror}).") from error


def why_missing(path: Path) -> str:
    """Return why there is no audio file at a path; "" if there is one.

    Links without a target, and audio that must be converted before it can be read, count as
    missing.
    """
    if path.is_symlink() and not path.exists():
        return f"the target {path.readlink()} of the link {path} does not exist"
    if not path.is_file():
        return f"there is no file {path}"
    if path.suffix.lower() in OTHER_SUFFIXES:
        try:
            with open_sound(path):
                pass
        except AudioReadError as error:
            return str(error)
    return ""


def _opened(path: Path, stream: BinaryIO, accept: bool) -> OpenSound:
    size = os.fstat(stream.fileno()).st_size
    try:
        source = _complete(stream, size, accept)
        file = _decoder(source)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        if path.suffix.lower() in _MPEG_SUFFIXES and (view := mpeg.without_junk(stream, size)):
            file = _decoder(view)
            return OpenSound(path, file, file.frames, view)
        raise UndecodableError(f"not readable as audio ({_cause(error)})") from error
    if file.format == "MP3":
        position = stream.tell()  # of the decoder, which reads the same open file
        complete = mpeg.complete_frames(stream, size, file.frames, accept=accept)
        if isinstance(complete, int):
            stream.seek(position)
            return OpenSound(path, file, complete, source)
        file.close()
        source, file = complete, _decoder(complete)
    return OpenSound(path, file, file.frames, source)


def _complete(stream: BinaryIO, size: int, accept: bool) -> BinaryIO:
    """Return a stream from which a decoder reads all samples."""
    start = stream.read(4)
    if start == b"OggS":
        ogg.check_pages(stream, size, accept=accept)
        return stream
    if start == b"fLaC" or start[:3] == b"ID3":
        return flac.complete_stream(stream, size, accept=accept)
    return pcm.complete_samples(stream, size, accept=accept)


def _decoder(source: BinaryIO) -> soundfile.SoundFile:
    source.seek(0)
    if isinstance(source, io.BufferedReader) or os.name == "nt":
        return soundfile.SoundFile(source)
    return soundfile.SoundFile(source.fileno(), closefd=False)  # faster: no calls into Python


def _check_plausible(sound: OpenSound) -> None:
    if sound.frames <= 0:
        raise AudioReadError(f"{sound.path}: an audio file without samples.")
    if sound.samplerate < MIN_SAMPLE_RATE_HZ:
        raise AudioReadError(
            f"{sound.path}: expected a sample rate of at least {MIN_SAMPLE_RATE_HZ} Hz, got "
            f"{sound.samplerate} Hz. Write the correct rate into its header."
        )


def _cause(error: Exception) -> str:
    """Return the message of the decoder without the path."""
    return str(getattr(error, "error_string", error)).rstrip(". ")


def _check_exists(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise AudioReadError(f"{path}: an empty file (0 bytes).")
        return
    if path.is_dir():
        raise AudioReadError(f"{path}: expected an audio file, got a folder.")
    if path.exists():
        raise AudioReadError(f"{path}: neither a file nor a folder.")
    if path.is_symlink():
        raise AudioReadError(f"{path}: a link whose target {path.readlink()} does not exist.")
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in islice(os.scandir(path.parent), _MAX_SIBLINGS)]
    raise AudioReadError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")
