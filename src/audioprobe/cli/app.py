"""The application that commands are added to, and how it ends."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cyclopts import App, CycloptsError

from audioprobe import __version__
from audioprobe.cli.console import note
from audioprobe.errors import AudioProbeError
from audioprobe.library_notices import hide_kernel_notice

EXIT_FAILED = 1  # the run ended, but no clip could be scored
EXIT_REFUSED = 2  # the input or the installation is at fault
EXIT_INTERRUPTED = 130  # as shells report Ctrl-C
EXIT_PIPE = 141  # as shells report a program whose output nobody reads any more

app = App(
    name="audioprobe",
    version=__version__,
    version_flags=["--version", "-v"],
    help="Find out what audio language models really hear.",
    suppress_keyboard_interrupt=False,  # main tells of it
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors raised on purpose are one line on standard error."""
    _replace_closed_streams()
    hide_kernel_notice()
    status: object = 0
    try:
        status = app(
            arguments, result_action="return_value", exit_on_error=False, print_error=False
        )
        sys.stdout.flush()
    except CycloptsError as error:
        note(f"audioprobe: {' '.join(str(error).split())}{_behind_dashes(error, arguments)}")
        status = EXIT_REFUSED
    except BrokenPipeError:
        status = EXIT_PIPE
    except (AudioProbeError, OSError) as error:
        note(f"audioprobe: {error}")
        status = EXIT_REFUSED
    except KeyboardInterrupt:
        note("audioprobe: interrupted.")
        status = EXIT_INTERRUPTED
    _drop_unwritten()
    sys.exit(status if isinstance(status, int) else 0)


def shipped(package: str, folder: str) -> tuple[str, ...]:
    """Names of the configurations that ship in a folder of a package, which is not imported."""
    inside = Path(__file__).parents[1].joinpath(*package.split(".")[1:], folder)
    return tuple(sorted(path.stem for path in inside.glob("*.toml")))


def _replace_closed_streams() -> None:
    """Let a command that was started with closed streams (`>&-`) print into nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            into_nothing = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, into_nothing)


def _drop_unwritten() -> None:
    """Python flushes at its end; what could not be written would fail again, with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


def _behind_dashes(error: CycloptsError, arguments: Sequence[str] | None) -> str:
    """A hint where the name of a file begins with "-" and was taken for an option."""
    given = sys.argv[1:] if arguments is None else arguments
    for word in given:
        is_file = "." in word or Path(word).exists()
        if word.startswith("-") and word in str(error) and is_file:
            return f' If it is a file, write "--" before it: audioprobe {given[0]} ... -- {word}'
    return ""
