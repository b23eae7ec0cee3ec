"""A reader that is tried with damaged inputs, and the promise that it has to fulfil."""

import contextlib
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType

from tests.fuzz.mutations import Inputs

from audioprobe.errors import AudioProbeError

LONGEST_S = 10.0
"""Time of the processor that a reader may take for an input of at most 200 kilobytes."""
MOST_BYTES = 2 << 30
"""Address space that a reader may add; a length in a header must not be believed."""


SHORTEST_MESSAGE, LONGEST_MESSAGE = 10, 10_000
"""Characters of a message that says what is wrong, without the whole input."""


class HangError(BaseException):
    """No handler of an ordinary exception catches it."""


@dataclass(frozen=True)
class Target:
    """A reader of inputs.

    Attributes:
        name: name of the target, unique.
        inputs: returns the strategy that draws damaged inputs.
        read: reads an input; the folder is the one that `prepare` has filled.
        prepare: writes the files that do not change.
        slow: whether the reader needs a library that takes seconds to load.
    """

    name: str
    inputs: Callable[[], Inputs]
    read: Callable[[bytes, Path], object]
    prepare: Callable[[Path], object] = lambda _folder: None
    slow: bool = False

    @cached_property
    def strategy(self) -> Inputs:
        """The strategy that draws damaged inputs."""
        return self.inputs()

    def check(self, content: bytes, folder: Path) -> None:
        """Read an input: it must give a result or a clear error, in bounded time and memory."""
        with limits(), warnings.catch_warnings(), clear_errors():
            warnings.simplefilter("ignore")
            self.read(content, folder)


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Context manager in which an error of the library is allowed if it has a proper message."""
    try:
        yield
    except AudioProbeError as error:
        if not SHORTEST_MESSAGE < len(str(error)) < LONGEST_MESSAGE:
            raise AssertionError(f"a message of {len(str(error))} characters") from error


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Context manager in which a hang raises `HangError` and a huge allocation `MemoryError`."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"no result after {LONGEST_S:g} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def file_target(
    name: str,
    inputs: Callable[[], Inputs],
    file: str,
    read: Callable[[Path], object],
    prepare: Callable[[Path], object] = lambda _folder: None,
) -> Target:
    """Return the target of a reader that gets the path of a file in its folder."""

    def read_file(content: bytes, folder: Path) -> object:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return Target(name, inputs, read_file, prepare)
