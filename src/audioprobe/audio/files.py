"""Open a sound file, and refuse what is not the sound it claims to be.

libsndfile decodes WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and others in this process; no ffmpeg is
needed. Files are opened here and handed to it, not named: names that are not UTF-8 are no obstacle
then, and "._x.mp3" beside "x.mp3" is not taken for a part of it.
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

from audioprobe.audio.containers import complete_samples
from audioprobe.audio.flac import complete_stream, refuse_joined
from audioprobe.audio.mpeg import complete_frames, without_junk
from audioprobe.audio.ogg import check_pages
from audioprobe.audio.pieces import UndecodableError
from audioprobe.audio.search import OTHER_SUFFIXES, conversion_advice
from audioprobe.errors import AudioReadError, IncompleteAudioError, did_you_mean
from audioprobe.normalization import path_on_disk

MIN_SAMPLE_RATE_HZ = 100
"""Recordings of whales have 250 Hz; a lower rate is an error, often kHz written for Hz."""

_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga")  # files that may begin with junk
_NEAR_NAMES = 1000  # files of a folder that are looked through for a misspelt name
_REMEDY = 'Take what is there with Reading(incomplete="accept"), or get the file again.'


@dataclass(frozen=True, slots=True)
class OpenSound:
    """A sound file that is being read.

    Attributes:
        path: of the file.
        file: its decoder.
        frames: samples per channel that are to be read.
        stream: what the decoder reads.
    """

    path: Path
    file: soundfile.SoundFile
    frames: int
    stream: BinaryIO

    @property
    def samplerate(self) -> int:
        """Samples per second."""
        return int(self.file.samplerate)

    def check_end(self) -> None:
        """Refuse a file that goes on after the last sample.

        Raises:
            UndecodableError: if another FLAC file was appended to it.
        """
        if self.file.format == "FLAC":
            refuse_joined(self.stream)


@contextmanager
def open_sound(path: Path, *, accept_incomplete: bool = False) -> Iterator[OpenSound]:
    """Open a file for reading.

    Args:
        path: of the file.
        accept_incomplete: take a file that was cut short, or whose header promises another length
            than is there.

    Raises:
        IncompleteAudioError: for such a file, unless it is to be taken.
        AudioReadError: if it is missing, empty, or not sound, or has less than 100 samples a
            second.
    """
    path = path_on_disk(path)
    try:
        _refuse_missing(path)
        with path.open("rb", buffering=0) as stream:
            sound = _opened(path, stream, accept_incomplete)
            with sound.file:
                _refuse_implausible(sound)
                yield sound
    except IncompleteAudioError as error:
        raise IncompleteAudioError(f"{path}: {error}. {_REMEDY}") from error
    except UndecodableError as error:
        raise AudioReadError(f"{path}: {error}. {conversion_advice(path)}") from error
    except soundfile.LibsndfileError as error:
        raise IncompleteAudioError(
            f"{path}: damaged, decoding stopped ({_cause(error)}). {_REMEDY}"
        ) from error
    except OSError as error:
        if isinstance(error, AudioReadError):
            raise
        raise AudioReadError(f"{path!s:.200}: cannot be read ({error.strerror}).") from error


def _opened(path: Path, stream: BinaryIO, accept: bool) -> OpenSound:
    size = os.fstat(stream.fileno()).st_size
    try:
        source = _complete(stream, size, accept)
        file = _decoder(source)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        if path.suffix.lower() in _MPEG_SUFFIXES and (view := without_junk(stream, size)):
            file = _decoder(view)
            return OpenSound(path, file, file.frames, view)
        raise UndecodableError(f"not readable as sound ({_cause(error)})") from error
    if file.format == "MP3":
        position = stream.tell()  # of the decoder, which reads the same open file
        n_samples = complete_frames(stream, size, file.frames, accept=accept)
        if isinstance(n_samples, int):
            stream.seek(position)
            return OpenSound(path, file, n_samples, source)
        file.close()
        source, file = n_samples, _decoder(n_samples)
    return OpenSound(path, file, file.frames, source)


def _complete(stream: BinaryIO, size: int, accept: bool) -> BinaryIO:
    """What a decoder reads all samples of the file from."""
    start = stream.read(4)
    if start == b"OggS":
        check_pages(stream, size, accept=accept)
        return stream
    if start == b"fLaC" or start[:3] == b"ID3":
        return complete_stream(stream, size, accept=accept)
    return complete_samples(stream, size, accept=accept)


def _decoder(source: BinaryIO) -> soundfile.SoundFile:
    source.seek(0)
    if isinstance(source, io.BufferedReader) or os.name == "nt":
        return soundfile.SoundFile(source)
    # Quicker, and the same: libsndfile reads the open file itself.
    return soundfile.SoundFile(source.fileno(), closefd=False)


def _refuse_implausible(sound: OpenSound) -> None:
    if sound.frames <= 0:
        raise AudioReadError(f"{sound.path}: a sound file without samples.")
    if sound.samplerate < MIN_SAMPLE_RATE_HZ:
        raise AudioReadError(
            f"{sound.path}: expected a sample rate of at least {MIN_SAMPLE_RATE_HZ} Hz, got "
            f"{sound.samplerate} Hz. Write the true rate into its header."
        )


def _cause(error: Exception) -> str:
    """The decoder's words without a path, which the message has already."""
    return str(getattr(error, "error_string", error)).rstrip(". ")


def why_missing(path: Path) -> str:
    """Return why there is no file at a path, "" where there is one.

    A link whose target is gone, and a sound that must be converted before it can be read, count as
    missing.
    """
    if path.is_symlink() and not path.exists():
        return f"the link {path} leads to {path.readlink()}, which is not there"
    if not path.is_file():
        return f"there is no file {path}"
    if path.suffix.lower() in OTHER_SUFFIXES:
        try:
            with open_sound(path):
                pass
        except AudioReadError as error:
            return str(error)
    return ""


def _refuse_missing(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise AudioReadError(f"{path}: an empty file (0 bytes).")
        return
    if path.is_dir():
        raise AudioReadError(f"{path}: a folder, expected a sound file.")
    if path.exists():
        raise AudioReadError(f"{path}: neither a file nor a folder.")
    if path.is_symlink():
        raise AudioReadError(f"{path}: a link to {path.readlink()}, which is not there.")
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in islice(os.scandir(path.parent), _NEAR_NAMES)]
    raise AudioReadError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")
