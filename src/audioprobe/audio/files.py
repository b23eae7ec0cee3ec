"""Opening of audio files; damaged, truncated and other unusable files are rejected.

libsndfile decodes WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and other formats; ffmpeg is not needed.
libsndfile receives an open file instead of a file name, so that names need not be UTF-8, and so
that "._x.mp3" is not read as the resource fork of "x.mp3".
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
from audioprobe.texts import path_on_disk

MIN_SAMPLE_RATE_HZ = 100
"""Minimum sample rate. Some whale recordings have 250 Hz; lower rates are usually errors (kHz
written as Hz).
"""

_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga")  # such files may begin with other data
_MAX_SIBLINGS = 1000  # maximum number of file names compared with a misspelled name
_ADVICE = 'Pass Windowing(incomplete="accept") to read the existing samples, or get the file again.'


@dataclass(frozen=True, slots=True)
class OpenSound:
    """An audio file opened for reading.

    Attributes:
        path: path of the file.
        file: decoder of the file.
        frames: number of samples per channel.
        stream: byte stream that the decoder reads.
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
    """Open an audio file for reading.

    Args:
        path: path of the file.
        accept_incomplete: whether to accept files that are truncated or declare a wrong length.

    Raises:
        IncompleteAudioError: if a file is truncated or declares a wrong length, unless
            `accept_incomplete` is True.
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
            f"{path}: the file is damaged and decoding stopped ({_cause(error)}). {_ADVICE}"
        ) from error
    except OSError as error:
        if isinstance(error, AudioReadError):
            raise
        raise AudioReadError(f"{path!s:.200}: cannot be read ({error.strerror}).") from error


def why_missing(path: Path) -> str:
    """Return why there is no readable audio file at a path; "" if there is a readable file.

    Links without a target, and audio formats that must be converted first, count as missing.
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
        position = stream.tell()  # position of the decoder, which reads the same open file
        complete = mpeg.complete_frames(stream, size, file.frames, accept=accept)
        if isinstance(complete, int):
            stream.seek(position)
            return OpenSound(path, file, complete, source)
        file.close()
        source, file = complete, _decoder(complete)
    return OpenSound(path, file, file.frames, source)


def _complete(stream: BinaryIO, size: int, accept: bool) -> BinaryIO:
    """Return a stream from which a decoder can read all samples."""
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
        raise AudioReadError(f"{sound.path}: expected audio samples, got none.")
    if sound.samplerate < MIN_SAMPLE_RATE_HZ:
        raise AudioReadError(
            f"{sound.path}: expected a sample rate of at least {MIN_SAMPLE_RATE_HZ} Hz, got "
            f"{sound.samplerate} Hz. Write the correct rate into its header."
        )


def _cause(error: Exception) -> str:
    """Return the decoder's error message without the path."""
    return str(getattr(error, "error_string", error)).rstrip(". ")


def _check_exists(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise AudioReadError(f"{path}: expected an audio file, got an empty file (0 bytes).")
        return
    if path.is_dir():
        raise AudioReadError(f"{path}: expected an audio file, got a folder.")
    if path.exists():
        raise AudioReadError(f"{path}: expected an audio file, got neither a file nor a folder.")
    if path.is_symlink():
        raise AudioReadError(f"{path}: the target {path.readlink()} of this link does not exist.")
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in islice(os.scandir(path.parent), _MAX_SIBLINGS)]
    raise AudioReadError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")
