"""Search for audio files in folders, and opening of audio files.

libsndfile decodes WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and other formats; ffmpeg is not needed.
Damaged, truncated and other unusable files are rejected.
"""

import io
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import soundfile

from audioprobe.audio.containers import mpeg, pcm, xiph
from audioprobe.audio.containers.byte_access import UndecodableError
from audioprobe.errors import AudioReadError, IncompleteAudioError, InvalidInputError, did_you_mean
from audioprobe.texts import path_on_disk

_READABLE = (
    "wav wave bwf rf64 bw64 w64 flac ogg oga opus mp3 mp2 mpga aif aiff aifc caf au snd sf ircam "
    "nist sph paf pvf avr voc svx 8svx 16svx sds xi wve htk"
)
_OTHER = (
    "m4a m4b mp4 aac adts alac wma asf wv ape mpc mpp tta tak ofr shn amr awb 3gp 3ga 3g2 webm "
    "weba mka mkv ac3 eac3 ec3 dts thd mlp dsf dff spx ra rm gsm vox raw pcm sd2 mov m4v avi wac"
)

READABLE_SUFFIXES = frozenset(f".{name}" for name in _READABLE.split())
"""Suffixes, in lower case, of files that libsndfile can decode."""

OTHER_SUFFIXES = frozenset(f".{name}" for name in _OTHER.split())
"""Suffixes of audio files that must be converted first. A search finds them; reading them fails."""

MIN_SAMPLE_RATE_HZ = 100
"""Minimum sample rate. Some whale recordings have 250 Hz; lower rates are usually errors (kHz
written as Hz).
"""

_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga")  # such files may begin with other data
_MAX_SIBLINGS = 1000  # maximum number of file names compared with a misspelled name
_ADVICE = 'Pass Windowing(incomplete="accept") to read the existing samples, or get the file again.'


def find_sounds(folder: Path) -> list[Path]:
    """Return the audio files in a folder and its subfolders, sorted by path.

    Hidden files and folders (`.Trash`, `._x.wav`, `__MACOSX`) are skipped. Links are followed, but
    no folder is searched twice. The result includes links without a target, and audio files that
    must be converted before they can be read (`OTHER_SUFFIXES`).

    Raises:
        InvalidInputError: if a folder cannot be searched.
    """
    parents = (*folder.absolute().parents, *folder.resolve().parents)
    seen = {identity for parent in parents if (identity := _identity(parent)) is not None}
    sounds: list[Path] = []
    folders, links = [folder], list[Path]()
    while folders or links:
        # Linked folders come last, so that a folder is listed under its own path if possible.
        current = folders.pop() if folders else links.pop(0)
        identity = _identity(current)
        if identity is not None and identity in seen:
            continue
        seen.add(identity or (0, 0))
        for entry in _entries(current):
            path = current / entry.name
            if not entry.is_dir():
                sounds += [path] if is_sound(path) else []
            elif entry.is_symlink():
                links.append(path)
            else:
                folders.append(path)
    return sorted(sounds)


def is_sound(path: Path) -> bool:
    """Return whether a file name ends in the suffix of an audio format, readable or not."""
    suffix = path.suffix.lower()
    return suffix in READABLE_SUFFIXES or suffix in OTHER_SUFFIXES


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden or belongs to the operating system."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


@dataclass(frozen=True, slots=True)
class OpenSound:
    """An audio file opened for reading.

    Attributes:
        path: path of the file.
        file: decoder of the file.
        frames: number of samples per channel.
        stream: bytes that the decoder reads.
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
        """Check, after the last sample was decoded, that no audio follows it in the file.

        Raises:
            UndecodableError: if another FLAC stream follows.
        """
        if self.file.format == "FLAC":
            xiph.check_single_flac(self.stream)


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
        raise AudioReadError(f"{path}: {error}. {_conversion_advice(path)}") from error
    except soundfile.LibsndfileError as error:
        raise IncompleteAudioError(
            f"{path}: the file is damaged and decoding stopped ({_cause(error)}). {_ADVICE}"
        ) from error
    except OSError as error:
        if isinstance(error, AudioReadError):
            raise
        raise AudioReadError(f"{path!s:.200}: cannot be read ({error.strerror}).") from error


def why_missing(path: Path) -> str:
    """Return the reason why a path is not a readable audio file; "" if no problem was found.

    A file is opened only if its suffix is in `OTHER_SUFFIXES`. Of all other files, only the
    existence is checked.
    """
    try:
        if path.is_symlink() and not path.exists():
            return f"the target {path.readlink()} of the link {path} does not exist"
        if not path.is_file():
            return f"there is no file {path}"
    except OSError as error:  # the name is too long, or access to a folder is denied
        return f"{path!s:.200} is not a usable path ({error.strerror})"
    if path.suffix.lower() in OTHER_SUFFIXES:
        try:
            with open_sound(path):
                pass
        except AudioReadError as error:
            return str(error)
    return ""


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the files and subfolders of a folder that are not hidden, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be searched ({error.strerror}).") from error
    return sorted(visible, key=lambda entry: entry.name)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return device and inode, which identify a folder; None if it is not accessible."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _opened(path: Path, stream: BinaryIO, accept: bool) -> OpenSound:
    """Open a decoder for a file; correct a wrong length in the header if possible."""
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
    """Return the file, or a stream with a corrected header, so that decoders read all samples."""
    start = stream.read(4)
    if start == b"OggS":
        xiph.check_ogg(stream, size, accept=accept)
        return stream
    if start == b"fLaC" or start[:3] == b"ID3":
        return xiph.complete_flac(stream, size, accept=accept)
    return pcm.complete_samples(stream, size, accept=accept)


def _decoder(source: BinaryIO) -> soundfile.SoundFile:
    """Open a decoder for a stream.

    The decoder does not get the file name: libsndfile rejects names that are not UTF-8 or begin
    with "._".
    """
    source.seek(0)
    if isinstance(source, io.BufferedReader) or os.name == "nt":
        return soundfile.SoundFile(source)
    return soundfile.SoundFile(source.fileno(), closefd=False)  # faster: no calls into Python


def _check_plausible(sound: OpenSound) -> None:
    """Raise if a file has no samples, or a sample rate that is too low."""
    if sound.frames <= 0:
        raise AudioReadError(f"{sound.path}: expected audio samples, got none.")
    if sound.samplerate < MIN_SAMPLE_RATE_HZ:
        raise AudioReadError(
            f"{sound.path}: expected a sample rate of at least {MIN_SAMPLE_RATE_HZ} Hz, got "
            f"{sound.samplerate} Hz. Write the correct rate into its header."
        )


def _cause(error: Exception) -> str:
    """Return the message of a decoder's error; the path is removed."""
    return str(getattr(error, "error_string", error)).rstrip(". ")


def _conversion_advice(path: Path) -> str:
    """Return advice about a file that cannot be read as audio, with a command to convert it."""
    suffix = path.suffix.lower()
    reason = f"{suffix} files are not supported. " if suffix in OTHER_SUFFIXES else ""
    target = shlex.quote(path.with_suffix(".wav" if suffix != ".wav" else ".flac").name)
    source = shlex.quote(path.name)
    return f"{reason}Leave it out, or convert it, for example with: ffmpeg -i {source} {target}"


def _check_exists(path: Path) -> None:
    """Raise `AudioReadError` if a path is missing, is not a file, or is an empty file."""
    if path.is_file():
        if path.stat().st_size == 0:
            raise AudioReadError(f"{path}: expected an audio file, got an empty file (0 bytes).")
        return
    if path.exists():
        actual = "a folder" if path.is_dir() else "neither a file nor a folder"
        raise AudioReadError(f"{path}: expected an audio file, got {actual}.")
    if path.is_symlink():
        raise AudioReadError(f"{path}: the target {path.readlink()} of this link does not exist.")
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in islice(os.scandir(path.parent), _MAX_SIBLINGS)]
    raise AudioReadError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")
