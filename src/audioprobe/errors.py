"""The exceptions of audioprobe.

All derive from `AudioProbeError` and from the corresponding built-in exception (`ValueError`,
`OSError`, ...). A message states what was expected, what was received, and what to do.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class AudioProbeError(Exception):
    """Base class of all exceptions of audioprobe."""


class InvalidInputError(AudioProbeError, ValueError):
    """An invalid value: a wrong shape, out of range, an empty list, an unknown option."""


class NonFiniteError(InvalidInputError):
    """The output of a model is NaN or infinite."""

    ADVICE = (
        "The computation may have overflowed, or the weights are damaged: try a data type with a "
        'larger range (dtype="bfloat16" or "float32"), or download the weights again.'
    )


class UnsupportedInputError(AudioProbeError, ValueError):
    """A backend does not support this input; the message states what it supports."""


class AudioReadError(AudioProbeError, OSError):
    """A file cannot be read as audio."""


class IncompleteAudioError(AudioReadError):
    """An audio file is shorter or longer than its header states; see `Windowing.incomplete`."""


class BackendNotFoundError(AudioProbeError, LookupError):
    """No installed backend has this name."""


class MissingDependencyError(AudioProbeError, ImportError):
    """A backend needs packages that are not installed; the message contains the pip command."""


class ContractError(AudioProbeError, AssertionError):
    """A component violates a rule of its protocol; the message names the rule."""


class WeightsError(AudioProbeError, RuntimeError):
    """Model weights are missing, damaged, or of another model."""


class TrainingError(AudioProbeError, RuntimeError):
    """A training run cannot continue: it diverged, or another process is using its folder."""


class OutOfMemoryError(AudioProbeError, MemoryError):
    """A prompt or a training run does not fit into memory; the message names what needs less."""


class RemoteError(AudioProbeError, RuntimeError):
    """A remote service failed or returned an unusable answer.

    Attributes:
        status: HTTP status code, or None without an answer.
        retryable: True if the same request may succeed later.
        final: True if no other request would succeed either (a wrong key, an exceeded budget).
        wait_s: seconds that the service asks to wait, if any.
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
"""Errors that one prompt or clip can cause; any other error ends the run."""


def did_you_mean(word: str, known: Iterable[str], max_suggestions: int = 1) -> str:
    """Return a hint for a message: " Did you mean 'crow'?", or "" if no known word is similar."""
    near = difflib.get_close_matches(word, list(known), max_suggestions)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put the location in a configuration before the message of an error.

    Args:
        where: the file or the name of the entry; added unless the message starts with it.
    """
    try:
        yield
    except (InvalidInputError, BackendNotFoundError) as error:
        if str(error).startswith(where):
            raise
        raise type(error)(f"{where}: {error}") from error


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Convert a failed import to a `MissingDependencyError` with the pip command.

    Example:
        ```python
        with needs_extra("birdnet"):
            from ai_edge_litert.interpreter import Interpreter
        ```

    Args:
        extra: extra of this distribution that installs the package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"This backend needs the package {error.name!r}, which is not installed. "
            f"Install it with: pip install 'audioprobe[{extra}]'"
        ) from error


def optional_import(module: str, extra: str) -> Any:  # noqa: ANN401 - modules have any attributes
    """Import a module of an optional dependency.

    Args:
        module: full name: "pyarrow.parquet".
        extra: extra of this distribution that installs it.

    Raises:
        MissingDependencyError: if it is not installed; has the pip command.
    """
    with needs_extra(extra):
        return import_module(module)
