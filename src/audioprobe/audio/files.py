"""Open a sound file, and refuse what is not the sound it claims to be.

libsndfile decodes WAV, FLAC, OGG (Vorbis, Opus), MP3 and AIFF in this process; no ffmpeg is needed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import soundfile

from audioprobe.errors import AudioReadError, did_you_mean

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"})
"""File endings that a folder is searched for, lower case."""

_BYTE_ORDERS: dict[bytes, Literal["little", "big"]] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"RIFX": "big",
}
_CHUNK_HEADER = 8  # bytes of a RIFF chunk header: four of name, four of little-endian size
_PLACEHOLDER = 0x7FFF_0000  # programs that stream write this size, or a larger one
_NEAR_NAMES = 1000  # files of a folder that are looked through for a misspelt name


@contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file for reading.

    Raises:
        AudioReadError: if it is missing, empty, not sound, or shorter than its header says.
    """
    try:
        _refuse_missing(path)
        _refuse_cut_wav(path)
        file = soundfile.SoundFile(path)
    except AudioReadError:
        raise
    except OSError as error:
        raise AudioReadError(f"{path!s:.200}: cannot be opened ({error.strerror}).") from error
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise AudioReadError(
            f"{path}: not readable as sound ({_cause(error)}). Expected one of "
            f"{', '.join(sorted(SUFFIXES))}; convert the file, or leave it out."
        ) from error
    with file:
        if file.frames <= 0:
            raise AudioReadError(f"{path}: a sound file without samples.")
        try:
            yield file
        except soundfile.LibsndfileError as error:
            raise AudioReadError(
                f"{path}: damaged, decoding stopped ({_cause(error)}). Get the file again."
            ) from error


def _cause(error: Exception) -> str:
    """The decoder's words without the path, which the message has already."""
    return str(getattr(error, "error_string", error)).rstrip(". ")


def _refuse_missing(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise AudioReadError(f"{path}: an empty file (0 bytes).")
        return
    if path.is_dir():
        raise AudioReadError(f"{path}: a folder, expected a sound file.")
    if path.exists():
        raise AudioReadError(f"{path}: neither a file nor a folder.")
    siblings: list[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in islice(os.scandir(path.parent), _NEAR_NAMES)]
    raise AudioReadError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")


def _refuse_cut_wav(path: Path) -> None:
    """Compare what the header of a WAV promises with the bytes that are there.

    libsndfile silently plays what is left of a cut file; an answer about half a recording would
    then pass for one about the whole.
    """
    with path.open("rb") as stream:
        order = _BYTE_ORDERS.get(stream.read(4))
        if order is None:
            return
        stream.seek(12)
        promised = _data_chunk_size(stream, order)
        if promised is None or promised == 0 or _PLACEHOLDER <= promised < 2**32:
            return
        present = path.stat().st_size - stream.tell()
    if present < promised:
        raise AudioReadError(
            f"{path}: cut short, the header promises {promised} bytes of sound and {present} are "
            "there. Get the file again."
        )


def _data_chunk_size(stream: BinaryIO, order: Literal["little", "big"]) -> int | None:
    """Size of the chunk that holds the samples, leaving the stream at its first byte."""
    size_in_ds64: int | None = None
    while len(header := stream.read(_CHUNK_HEADER)) == _CHUNK_HEADER:
        size = int.from_bytes(header[4:], order)
        if header[:4] == b"data":
            return size if size_in_ds64 is None else size_in_ds64
        content = stream.read(size + size % 2) if header[:4] == b"ds64" else b""
        if content:  # RF64: sizes beyond 32 bits; after that of the file comes that of the data
            size_in_ds64 = int.from_bytes(content[8:16], order)
        else:
            stream.seek(size + size % 2, 1)
    return None
