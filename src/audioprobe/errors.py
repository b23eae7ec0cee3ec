"""Exceptions, each derived from `AudioProbeError` and from a built-in exception.

A message states what was expected, what was received, and what to do.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class AudioProbeError(Exception):
    """Base class of all exceptions of audioprobe."""


class InvalidInputError(AudioProbeError, ValueError):
    """Error for an invalid value: wrong shape, out of range, empty list or unknown option."""


class NonFiniteError(InvalidInputError):
    """Error for model outputs that contain NaN or infinity."""

    ADVICE = (
        "The computation may have overflowed, or the weights are damaged: try a data type with a "
        'larger range (dtype="bfloat16" or "float32"), or download the weights again.'
    )


class UnsupportedInputError(AudioProbeError, ValueError):
    """Error for an input that a backend cannot process; the message states what it supports."""


class AudioReadError(AudioProbeError, OSError):
    """Error for a file that cannot be read as audio."""


class IncompleteAudioError(AudioReadError):
    """Error for audio files that are shorter or longer than their header declares.

    The option `Windowing.incomplete` determines whether such files are accepted instead.
    """


class BackendNotFoundError(AudioProbeError, LookupError):
    """Error for a backend name that does not exist among the installed backends."""


class MissingDependencyError(AudioProbeError, ImportError):
    """Error for packages that are not installed; the message contains the pip command."""


class ContractError(AudioProbeError, AssertionError):
    """Error for a model or data set that violates a rule of its protocol; the message states it."""


class WeightsError(AudioProbeError, RuntimeError):
    """Error for model weights that are missing, damaged, or belong to another model."""


class TrainingError(AudioProbeError, RuntimeError):
    """Error for a training run that diverged, or whose folder another process is using."""


class WorkerError(AudioProbeError, RuntimeError):
    """Error for a job that has no result because its worker process died."""


class RenderingError(AudioProbeError, RuntimeError):
    """Error for a synthesizer that failed or wrote no sound."""


class OutOfMemoryError(AudioProbeError, MemoryError):
    """Error for prompts or training runs that do not fit into memory."""


class RemoteError(AudioProbeError, RuntimeError):
    """Error of a remote service that failed or returned an unusable answer.

    Attributes:
        status: HTTP status code, or None if the service did not answer.
        retryable: True if the same request may succeed later.
        final: True if all other requests would fail, too (wrong API key, exceeded budget).
        wait_s: waiting time in seconds that the service requests, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        final: bool = False,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.final = final
        self.wait_s = wait_s


PER_ITEM_ERRORS = (InvalidInputError, UnsupportedInputError, OutOfMemoryError, RemoteError)
"""Errors that a single prompt or clip can cause; any other error ends the run."""


def did_you_mean(word: str, known: Iterable[str], max_suggestions: int = 1) -> str:
    """Return a hint such as " Did you mean 'crow'?", or "" if no known word is similar."""
    near = difflib.get_close_matches(word, list(known), max_suggestions)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Context manager that adds the location `where`, such as a file name, to error messages.

    Only the messages of `InvalidInputError` and `BackendNotFoundError` are changed, unless they
    already start with `where`.
    """
    try:
        yield
    except (InvalidInputError, BackendNotFoundError) as error:
        if str(error).startswith(where):
            raise
        raise type(error)(f"{where}: {error}") from error


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Context manager for imports that raises `MissingDependencyError` if a package is missing.

    Args:
        extra: extra of audioprobe that installs the package, as in
            `pip install 'audioprobe[birdnet]'`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"This backend needs the package {error.name!r}, which is not installed. "
            f"Install it with: pip install 'audioprobe[{extra}]'"
        ) from error


def optional_import(module: str, extra: str) -> Any:  # noqa: ANN401 - modules have any attributes
    """Import and return a module that needs an optional dependency.

    Args:
        module: full name of the module.
        extra: extra of audioprobe that installs the dependency.

    Raises:
        MissingDependencyError: if the module is not installed.
    """
    with needs_extra(extra):
        return import_module(module)
