"""Whatever a user passes as sound, as clips with unique ids."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from audioprobe.audio.search import READABLE_SUFFIXES, find_sounds, is_sound
from audioprobe.errors import InvalidInputError
from audioprobe.normalization import path_on_disk
from audioprobe.types import Clip, FloatArray, Waveform

Source: TypeAlias = str | os.PathLike[str] | Clip | Waveform | tuple[FloatArray, int]
"""A sound file, a folder of them, a clip, a waveform, or (samples, sample rate in Hz)."""


def clips_of(sources: Source | Iterable[Source]) -> tuple[Clip, ...]:
    """One clip per sound, in the order given; folders are searched through, sorted by path.

    A clip's id is its path as given (folder and name), or its position for sounds without one.
    Files are not opened here: one that cannot be read is that clip's failure, not the run's. So are
    links to files that are gone, and sounds that must be converted first (.m4a, .wma, ...).

    Raises:
        InvalidInputError: if nothing is given, a folder holds no sound, a path does not exist and
            does not look like a sound file, or two clips have one id.
    """
    given = cast("Iterable[Source]", [sources] if _is_one(sources) else sources)
    clips = tuple(clip for n, source in enumerate(given, 1) for clip in _clips(source, n))
    if not clips:
        raise InvalidInputError("No sounds were given: pass files, a folder, clips or waveforms.")
    seen: set[str] = set()
    for clip in clips:
        if clip.id in seen:
            raise InvalidInputError(f"Two clips have the id {clip.id!r}: pass each sound once.")
        seen.add(clip.id)
    return clips


def _is_one(source: object) -> bool:
    single = str | os.PathLike | Clip | Waveform | np.ndarray  # type: ignore[type-arg]
    return isinstance(source, single) or _is_array_and_rate(source)


def _is_array_and_rate(source: object) -> bool:
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray)


def _clips(source: Source, position: int) -> Iterator[Clip]:
    if isinstance(source, Clip):
        yield source
    elif isinstance(source, Waveform):
        yield Clip(id=f"waveform-{position}", waveform=source)
    elif isinstance(source, str | os.PathLike):
        yield from _clips_at(Path(source))
    elif _is_array_and_rate(source):
        yield Clip(id=f"waveform-{position}", waveform=Waveform(*source))
    else:
        raise InvalidInputError(
            "A sound is a path, a Clip, a Waveform or (samples, sample rate), got "
            f"{type(source).__name__}. For an array, say its rate: Waveform(samples, 16000)."
        )


def _clips_at(given: Path) -> Iterator[Clip]:
    path = path_on_disk(given)
    if _is_folder(path):
        files = find_sounds(path)
        if not files:
            raise InvalidInputError(
                f"{path}: a folder without sound files. Looked for "
                f"{', '.join(sorted(READABLE_SUFFIXES))}, also in folders below."
            )
        yield from (Clip(id=file.as_posix(), path=file) for file in files)
    elif path.exists() or path.is_symlink() or is_sound(path):
        yield Clip(id=given.as_posix(), path=path)
    else:
        raise InvalidInputError(f"{path}: no such file or folder.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise InvalidInputError(f"{path!s:.200}: not a usable path ({error.strerror}).") from error
