"""What commands show: text, and bars of progress."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress_bar(
    what: str = "clips", count: ProgressColumn | None = None
) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, so that standard output can be piped; none where that is a file."""
    with _bars(count or MofNCompleteColumn()) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def stage_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage that is named, one below the other."""
    with _bars(MofNCompleteColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


def terminal_width() -> int:
    """Columns, at least 60."""
    return max(60, Console().width)


def write(text: str) -> None:
    """A text and a line break to standard output.

    A terminal that is not UTF-8 gets escapes for what it cannot show, never a crash.
    """
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _bars(count: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    parts = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    return Progress(*parts, console=console, transient=True, disable=not console.is_terminal)
