"""Search for audio files in folders."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from audioprobe.errors import InvalidInputError

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

_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")


def find_sounds(folder: Path) -> list[Path]:
    """Return the audio files in a folder and its subfolders, sorted by path.

    Hidden files and folders (`.Trash`, `._x.wav`, `__MACOSX`) are skipped. Links are followed. A
    folder that is found several times is searched once, under its own path if possible. Links to a
    parent of the searched folder are skipped. The result includes links without a target, and audio
    files that must be converted before they can be read (`OTHER_SUFFIXES`).

    Raises:
        InvalidInputError: if a folder cannot be searched.
    """
    parents = (*folder.absolute().parents, *folder.resolve().parents)
    seen = {identity for parent in parents if (identity := _identity(parent)) is not None}
    sounds: list[Path] = []
    folders, links = [folder], list[Path]()
    while folders or links:
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


def conversion_advice(path: Path) -> str:
    """Return advice about a file that cannot be read as audio, with a command to convert it."""
    suffix = path.suffix.lower()
    reason = f"{suffix} files are not supported. " if suffix in OTHER_SUFFIXES else ""
    target = shlex.quote(path.with_suffix(".wav" if suffix != ".wav" else ".flac").name)
    source = shlex.quote(path.name)
    return f"{reason}Leave it out, or convert it, for example with: ffmpeg -i {source} {target}"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be searched ({error.strerror}).") from error
    yield from sorted(visible, key=lambda entry: entry.name)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return device and inode of a folder; None if it is not accessible."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
