"""The application that commands are added to, and how it ends."""

import sys
from collections.abc import Sequence

from cyclopts import App

from audioprobe import __version__
from audioprobe.errors import AudioProbeError
from audioprobe.tables import printable

EXIT_FAILED = 1  # the run ended, but no clip could be scored
EXIT_REFUSED = 2  # the input or the installation is at fault
EXIT_INTERRUPTED = 130  # as shells report Ctrl-C

app = App(
    name="audioprobe",
    version=__version__,
    help="Find out what audio language models really hear.",
    suppress_keyboard_interrupt=False,  # main tells of it
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors raised on purpose are one line on standard error."""
    try:
        status = app(arguments, result_action="return_value")
    except (AudioProbeError, OSError) as error:
        sys.stderr.write(f"audioprobe: {printable(str(error))}\n")
        status = EXIT_REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("audioprobe: interrupted.\n")
        status = EXIT_INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)
