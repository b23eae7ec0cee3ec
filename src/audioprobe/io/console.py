"""Write text to standard output and standard error."""

import sys
from contextlib import suppress

from rich.console import Console

from audioprobe.io.text_table import printable


def terminal_width() -> int:
    """Return the width of the terminal in columns, at least 60."""
    return max(60, Console().width)


def write(text: str) -> None:
    """Write a text and a line break to standard output, and flush the stream.

    Characters that the terminal cannot encode are written as escapes.

    Raises:
        BrokenPipeError: if the reader closed the pipe.
        OSError: if writing fails for another reason, such as a full disk.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"Standard output cannot be written ({error.strerror}).") from error


def note(text: str) -> None:
    """Write a line to standard error; write errors are ignored."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()
