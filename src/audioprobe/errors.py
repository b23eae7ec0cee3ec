"""Everything that audioprobe raises on purpose.

Catch `AudioProbeError` to catch all of it. Each class also derives from the built-in exception that
a careful caller would expect (`ValueError`, `OSError`, ...). A message says what was expected, what
came, and what to do.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class AudioProbeError(Exception):
    """Base of every error that audioprobe raises on purpose."""


class InvalidInputError(AudioProbeError, ValueError):
    """A value breaks a stated rule: a shape, a range, an empty list, a misspelt option."""


class NonFiniteError(InvalidInputError):
    """A model's output is NaN or infinite, so it is neither a score nor an answer."""

    ADVICE = (
        "The model's numbers may have overflowed, or its weights are damaged: try a number format "
        'of more range (dtype="bfloat16" or "float32"), or get the weights again.'
    )


class UnsupportedInputError(AudioProbeError, ValueError):
    """A backend cannot take what it was given, and says what it can take."""


class AudioReadError(AudioProbeError, OSError):
    """A file could not be read as sound."""


class IncompleteAudioError(AudioReadError):
    """A sound file is shorter or longer than its header declares; see `Windowing.incomplete`."""


class BackendNotFoundError(AudioProbeError, LookupError):
    """No installed backend has this name."""


class MissingDependencyError(AudioProbeError, ImportError):
    """A backend needs packages that are not installed; the message has the pip command."""


class ContractError(AudioProbeError, AssertionError):
    """A component does not keep the contract of its protocol; the message says which rule."""


class WeightsError(AudioProbeError, RuntimeError):
    """Model weights are missing, damaged, or those of another model."""


class TrainingError(AudioProbeError, RuntimeError):
    """A training cannot go on: it has diverged, or another process holds its folder."""


class OutOfMemoryError(AudioProbeError, MemoryError):
    """One prompt alone, or a training, does not fit into the memory; says what takes less of it."""


class RemoteError(AudioProbeError, RuntimeError):
    """A remote service failed or answered with something unusable.

    Attributes:
        status: HTTP status code, or None where there was no answer.
        retryable: True where asking again later may succeed.
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
"""What one prompt or sound can be the cause of; anything else is the run's fault and ends it."""


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """A hint for a message: " Did you mean 'crow'?", or "" where nothing known is near.

    Args:
        word: what was given.
        known: what there is.
        most: suggestions.
    """
    near = difflib.get_close_matches(word, list(known), most)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Let an error of what a configuration asks for name the place in the configuration.

    Args:
        where: the file, or the name of the entry; put before the message unless it begins with it.
    """
    try:
        yield
    except (InvalidInputError, BackendNotFoundError) as error:
        if str(error).startswith(where):
            raise
        raise type(error)(f"{where}: {error}") from error


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failing import into a `MissingDependencyError` that names the pip command.

    Example:
        ```python
        with needs_extra("birdnet"):
            from ai_edge_litert.interpreter import Interpreter
        ```

    Args:
        extra: name of the extra of this distribution that brings the package.
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
