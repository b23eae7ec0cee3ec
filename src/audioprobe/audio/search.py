"""Which files are sounds, and where they are in a folder."""

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
"""Endings of files that libsndfile decodes, lower case."""

OTHER_SUFFIXES = frozenset(f".{name}" for name in _OTHER.split())
"""Endings of sounds that must be converted first; a search lists them, reading them fails."""

_HIDDEN = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
"""Folders in which systems keep data of their own, besides names that begin with a dot."""


def find_sounds(folder: Path) -> list[Path]:
    """Return every sound file in a folder and those below it, sorted.

    Hidden files and folders are left out (`.Trash`, `._x.wav`, `__MACOSX`). Links are followed,
    each folder is searched once, first under its own name and then under links to it, and never
    one that contains the searched one. A link to a file that is gone is among the files, as are
    sounds that must be converted before they can be read (`OTHER_SUFFIXES`).

    Raises:
        InvalidInputError: if a folder cannot be searched.
    """
    seen = {identity for place in _above(folder) if (identity := _identity(place)) is not None}
    found: list[Path] = []
    places, linked = [folder], list[Path]()
    while places or linked:
        place = places.pop() if places else linked.pop(0)
        identity = _identity(place)
        if identity is not None and identity in seen:
            continue
        seen.add(identity or (0, 0))
        for entry in _entries(place):
            path = place / entry.name
            if not entry.is_dir():
                found += [path] if is_sound(path) else []
            elif entry.is_symlink():
                linked.append(path)
            else:
                places.append(path)
    return sorted(found)


def is_sound(path: Path) -> bool:
    """Whether the ending of a name is that of a sound, readable or not."""
    suffix = path.suffix.lower()
    return suffix in READABLE_SUFFIXES or suffix in OTHER_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not the user's own data."""
    return name.startswith(".") or name in _HIDDEN


def conversion_advice(path: Path) -> str:
    """What to do about a file that cannot be read as sound."""
    suffix = path.suffix.lower()
    named = f"{suffix} files are not read here. " if suffix in OTHER_SUFFIXES else ""
    target = shlex.quote(path.with_suffix(".wav" if suffix != ".wav" else ".flac").name)
    source = shlex.quote(path.name)
    return f"{named}Leave it out, or convert it, for example with: ffmpeg -i {source} {target}"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be searched ({error.strerror}).") from error
    yield from sorted(shown, key=lambda entry: entry.name)


def _above(folder: Path) -> Iterator[Path]:
    """The folders that contain a folder, by its name and by where it truly is."""
    yield from folder.absolute().parents
    yield from folder.resolve().parents


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and number of a folder; None where it cannot be looked at."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
