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
    """Open a stream for writing; its content replaces the file when the block ends normally.

    If the block raises an error or the process crashes, the old file is unchanged.

    Args:
        path: file to write; its folder must exist.

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
    """Write a text file in UTF-8 atomically, and return its path.

    Lone surrogates, which come from file names that are not UTF-8, are written as escapes.
    """
    with atomic_open(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def staged_directory(out: str | Path) -> Iterator[Path]:
    """Create a folder that gets its final name only when the block ends without an error.

    Until then the folder is called `OUT.partial`. It is deleted after an error. If a killed process
    left such a folder, the next call replaces it.

    Args:
        out: path of the new folder.

    Raises:
        InvalidInputError: if the path already exists.
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
    """Lock a file so that no other process can lock it until the block ends.

    Args:
        path: lock file, created if necessary; its folder must exist.
        error: error to raise if another process holds the lock.
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
