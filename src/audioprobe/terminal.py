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
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


@contextmanager
def progress_bar(
    what: str = "clips", count: ProgressColumn | None = None
) -> Iterator[Callable[..., None]]:
    """A bar on standard error, so that standard output can be piped; none where that is a file.

    It is moved by (done, total), and (done, total, failed) where something can fail.
    """
    with _bars(count or MofNCompleteColumn()) as bars:
        task = bars.add_task(what, total=None, note="")

        def show(done: int, total: int, n_failed: int = 0) -> None:
            bars.update(task, completed=done, total=total, note=failed(n_failed))

        yield show


def failed(n: int) -> str:
    """A note for a bar; "" where nothing failed."""
    return f"{n} failed" if n else ""


@contextmanager
def stage_bars() -> Iterator[Callable[..., None]]:
    """A bar for each stage that is named, one below the other.

    It is moved by (stage, done, total), and (stage, done, total, note) where there is more to tell.
    """
    with _bars(MofNCompleteColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield show


class _Rate(ProgressColumn):
    """What is done in a second; in a minute, where that is less than one."""

    def render(self, task: Task) -> Text:
        """Nothing before there is a rate."""
        if not task.speed:
            return Text("")
        if task.speed >= 1:
            return Text(f"{task.speed:.1f}/s")
        return Text(f"{60 * task.speed:.1f}/min")


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
    parts = (
        TextColumn("{task.description}"),
        BarColumn(),
        count,
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*parts, console=console, transient=True, disable=not console.is_terminal)
