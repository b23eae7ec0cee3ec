"""The command-line application and its exit statuses."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from audioprobe import __version__
from audioprobe.errors import AudioProbeError
from audioprobe.io.console import note

EXIT_FAILED = 1  # the command finished, but there is no result
EXIT_REFUSED = 2  # the input or the installation is invalid
EXIT_INTERRUPTED = 130  # the value that shells return after Ctrl-C
EXIT_PIPE = 141  # the value that shells return after a closed pipe

EmbedOption = Annotated[
    bool, Parameter(help="Embed audio in the report instead of linking to it.", negative=())
]

app = App(
    name="audioprobe",
    version=__version__,
    version_flags=["--version", "-v"],
    help="Measure what audio language models understand of sound.",
    suppress_keyboard_interrupt=False,  # handled in main
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit; an expected error is printed as one line on standard error."""
    _replace_closed_streams()
    status: object = 0
    try:
        status = app(
            arguments, result_action="return_value", exit_on_error=False, print_error=False
        )
        sys.stdout.flush()
    except CycloptsError as error:
        note(f"audioprobe: {' '.join(str(error).split())}{_dash_hint(error, arguments)}")
        status = EXIT_REFUSED
    except BrokenPipeError:
        status = EXIT_PIPE
    except (AudioProbeError, OSError) as error:
        note(f"audioprobe: {error}")
        status = EXIT_REFUSED
    except KeyboardInterrupt:
        note("audioprobe: interrupted.")
        status = EXIT_INTERRUPTED
    _discard_unwritten_output()
    sys.exit(status if isinstance(status, int) else 0)


def shipped(package: str, folder: str) -> tuple[str, ...]:
    """Return the names of the configs that ship in a folder of a package.

    The package is not imported, so that the command starts quickly.
    """
    configs = Path(__file__).parents[1].joinpath(*package.split(".")[1:], folder)
    return tuple(sorted(path.stem for path in configs.glob("*.toml")))


def _replace_closed_streams() -> None:
    """Replace standard output and standard error by the null device if the shell closed them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            null = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, null)


def _discard_unwritten_output() -> None:
    """Discard output that cannot be written; otherwise Python's final flush would fail."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


def _dash_hint(error: CycloptsError, arguments: Sequence[str] | None) -> str:
    """Return a hint if a file name that begins with "-" was parsed as an option, else ""."""
    given = sys.argv[1:] if arguments is None else arguments
    for word in given:
        is_file = "." in word or Path(word).exists()
        if word.startswith("-") and word in str(error) and is_file:
            return f' If it is a file, put "--" before it: audioprobe {given[0]} ... -- {word}'
    return ""
