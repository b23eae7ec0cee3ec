"""Files that are whole or as they were before, and folders that one process holds at a time."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from audioprobe.errors import AudioProbeError, InvalidInputError


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """A stream for a file that gets its name when all of it is on disk.

    Whatever ends the block early, a crash included, leaves the old file or none.

    Args:
        path: the file; its folder exists.

    Raises:
        OSError: if the disk is full or not writable.
    """
    partial = path.with_name(f".{path.name}.unfinished")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def atomic_write(path: Path, text: str) -> Path:
    """Write a text as UTF-8; as `atomic_open`.

    File names that are not UTF-8 reach us as surrogates, which become escapes.

    Returns:
        The path.
    """
    with atomic_open(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def staged_directory(out: str | Path) -> Iterator[Path]:
    """A folder that gets its name when all of it is written.

    It is written as `OUT.partial`, which goes when the block fails; what a kill leaves of it, the
    next attempt replaces.

    Args:
        out: must not exist yet.

    Raises:
        InvalidInputError: if it is there already.
    """
    folder = Path(out).expanduser()
    if folder.exists():
        raise InvalidInputError(f"{folder}: is there already. Name a folder that is not.")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(folder)


@contextmanager
def exclusive_lock(lock: Path, refusal: AudioProbeError) -> Iterator[None]:
    """Hold a lock that is free, and give it back.

    Args:
        lock: a file; made if need be, its folder exists.
        refusal: raised if another process holds it.
    """
    holding = FileLock(lock, timeout=0)
    try:
        holding.acquire()
    except Timeout as error:
        raise refusal from error
    try:
        yield
    finally:
        holding.release()
