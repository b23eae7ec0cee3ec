"""Atomic writing of files and folders, and locks between processes."""

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
    """Open a stream whose content replaces a file when the block ends without an error.

    After an error or a crash, the old file is unchanged.

    Args:
        path: file in an existing folder.

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
    """Write a text as UTF-8, as `atomic_open` does, and return the path.

    Lone surrogates, from file names that are not UTF-8, are written as escapes.
    """
    with atomic_open(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def staged_directory(out: str | Path) -> Iterator[Path]:
    """Create a folder that gets its name when the block ends without an error.

    It is written as `OUT.partial`, which is deleted after an error. The remains of a killed process
    are replaced by the next attempt.

    Args:
        out: path that does not exist yet.

    Raises:
        InvalidInputError: if the path exists.
    """
    folder = Path(out).expanduser()
    if folder.exists():
        raise InvalidInputError(f"Output folder {folder} already exists. Choose another path.")
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
def exclusive_lock(path: Path, error: AudioProbeError) -> Iterator[None]:
    """Lock a file for this process.

    Args:
        path: file in an existing folder; created if needed.
        error: raised if another process has the lock.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as timeout:
        raise error from timeout
    try:
        yield
    finally:
        lock.release()
