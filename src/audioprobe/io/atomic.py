"""Atomic writing of files and folders, and locks between processes."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from audioprobe.errors import AudioProbeError, InvalidInputError


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Context manager that opens a temporary file, and renames it to `path` when the block ends.

    If the block raises an error or the process crashes, an older file at `path` is unchanged. The
    folder of the file must exist.
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


def atomic_write(path: Path, text: str | Iterable[str]) -> Path:
    """Write a text file in UTF-8 with `atomic_open`, and return its path.

    Lone surrogates, which come from file names that are not UTF-8, are written as escapes.

    Args:
        path: file to write; its folder must exist.
        text: the whole text, or its pieces in order, which are written one at a time.
    """
    with atomic_open(path) as stream:
        for piece in [text] if isinstance(text, str) else text:
            stream.write(piece.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def staged_directory(out: str | Path) -> Iterator[Path]:
    """Context manager that creates a folder `out`, which exists only if the block succeeds.

    The block gets the temporary folder `OUT.partial`. It is renamed to `OUT` when the block ends,
    and deleted if the block raises an error. A temporary folder that a killed process left is
    replaced.

    Raises:
        InvalidInputError: if the path `out` already exists.
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
    """Context manager that locks a file, so that no other process can lock it.

    Args:
        path: lock file, created if necessary; its folder must exist.
        error: error to raise if another process has locked the file.
    """
    try:
        lock = FileLock(path, timeout=0).acquire()
    except Timeout as timeout:
        raise error from timeout
    with lock:
        yield
