"""Show progress as bars in terminals and notebooks, elsewhere as one line per minute."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from audioprobe.io.console import note
from audioprobe.progress import (
    ProgressCallback,
    ProgressEvent,
    ProgressOption,
    ignore_progress,
)

LINE_EVERY_S = 60.0
_FIRST_RATE_S = 1.0  # seconds to measure before a rate is shown
_SHOWN_WAITING = 0.05  # smallest share of waiting that is shown
_LONG_S = 10.0  # shortest duration of a stage whose share of waiting is shown at the end

Unit = Literal["items", "bytes"]


@dataclass(slots=True, kw_only=True)
class StageProgress:
    """Progress and speed of one stage, which is a part of a command such as captioning.

    Attributes:
        name: name of the stage.
        start: clock time in seconds at which the stage started.
        unit: unit of the counts.
        done: number of items or bytes done.
        total: total number of items or bytes; None if unknown.
        remark: text about failures and costs, such as "2 failed"; "" if there are none.
        waiting: share of the time in which the model waited for audio; None if unknown.
    """

    name: str
    start: float
    unit: Unit = "items"
    done: int = 0
    total: int | None = None
    remark: str = ""
    waiting: float | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, done: int, total: int, remark: str, now: float) -> None:
        """Record the progress at the clock time `now` in seconds."""
        self.done, self.total, self.remark = done, total, remark
        self._marks.append((now, done))

    def rate(self, now: float) -> float | None:
        """Return items per second over about the second half of the time since the start.

        Responses that are reused from an earlier run arrive at once; an average over the whole time
        would overestimate the speed of the model.

        Returns:
            None if no item was done in this half, or if too little time has passed.
        """
        middle = (self.start + now) / 2
        if not self._marks:
            return None
        before = self.start, 0
        for mark in self._marks:
            if mark[0] > middle:
                break
            before = mark
        while len(self._marks) > 1 and self._marks[1][0] <= middle:
            self._marks.popleft()
        elapsed, gained = now - before[0], self.done - before[1]
        return gained / elapsed if elapsed >= _FIRST_RATE_S and gained > 0 else None

    def counts(self) -> str:
        """Return a text with the numbers done and in total, "16/24"; "" if the total is unknown."""
        if self.total is None:
            return ""
        if self.unit == "bytes":
            return f"{decimal(self.done)}/{decimal(self.total)}"
        return f"{self.done}/{self.total}"

    def speed(self, now: float) -> str:
        """Return the rate as text, such as "1.4/s" or "3.0/min"; "" if the rate is unknown."""
        rate = self.rate(now)
        if rate is None:
            return ""
        if self.unit == "bytes":
            return f"{decimal(int(rate))}/s"
        for seconds, unit in ((1, "s"), (60, "min")):
            if rate * seconds >= 1:
                return f"{rate * seconds:.1f}/{unit}"
        return f"{rate * 3600:.1f}/h"

    def left(self, now: float) -> str:
        """Return the remaining time as text, such as "6 s left"; "" if unknown or finished."""
        rate = self.rate(now)
        if rate is None or self.total is None or self.done >= self.total:
            return ""
        return f"{duration((self.total - self.done) / rate)} left"

    def waiting_remark(self) -> str:
        """Return a text such as "model waits for audio 12% of the time"; "" if below 5%."""
        if self.waiting is None or self.waiting < _SHOWN_WAITING:
            return ""
        return f"model waits for audio {self.waiting:.0%} of the time"

    def line(self, now: float) -> str:
        """Return a line of text such as "synthetic: caption 16/24, 1.4/s, 6 s left"."""
        first = f"{self.name} {self.counts()}".strip()
        parts = [first, self.speed(now), self.left(now), self.remark, self.waiting_remark()]
        return ", ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Return a duration as text, such as "6 s", "12 min" or "3 h 20 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress_bars(*, every_s: float | None = None) -> Iterator[ProgressCallback]:
    """Show the progress of consecutive stages on standard error (a context manager).

    Args:
        every_s: seconds between two lines if standard error is not a terminal; None is a minute.
    """
    stages: dict[str, StageProgress] = {}
    with _view(LINE_EVERY_S if every_s is None else every_s) as view:
        idle_since = time.monotonic()  # a stage starts when the previous one ends

        def show(event: ProgressEvent) -> None:
            nonlocal idle_since
            name = event.stage
            stage = stages.setdefault(
                name, StageProgress(name=name, start=idle_since, unit=event.unit)
            )
            idle_since = time.monotonic()
            failed = f"{event.n_failed} failed" if event.n_failed else ""
            remark = ", ".join(part for part in (failed, event.note) if part)
            stage.update(event.done, event.total, remark, idle_since)
            stage.waiting = event.waiting
            view.show(stage)

        yield show
    for stage in stages.values():
        if (remark := stage.waiting_remark()) and time.monotonic() - stage.start >= _LONG_S:
            note(f"{stage.name}: {remark}")


@contextmanager
def shown_progress(progress: ProgressOption) -> Iterator[ProgressCallback]:
    """Yield the function that shows the progress of a call (a context manager).

    Args:
        progress: True shows bars or lines, see `progress_bars`; False shows nothing; a function is
            yielded unchanged.
    """
    if progress is True:
        with progress_bars() as show:
            yield show
    else:
        yield ignore_progress if progress is False else progress


class _View(Protocol):
    """Interface of `_Bars` and `_Lines`, which display the progress of a stage."""

    def show(self, stage: StageProgress) -> None: ...


@contextmanager
def _view(every_s: float) -> Iterator[_View]:
    console = Console(stderr=True)
    is_terminal = console.is_terminal and not console.is_dumb_terminal and sys.stderr.isatty()
    # Without ipywidgets, rich only prints a warning in a notebook.
    if is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None):
        with _columns(console) as progress:
            yield _Bars(progress)
        return
    lines = _Lines(every_s)
    try:
        yield lines
    finally:
        lines.close()


class _Bars:
    """Progress bars on a terminal, one for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, stage: StageProgress) -> None:
        if stage.name not in self._tasks:
            self._tasks[stage.name] = self._progress.add_task(stage.name, total=None, stage=stage)
        self._progress.update(self._tasks[stage.name], completed=stage.done, total=stage.total)


class _Lines:
    """Printer of one line about the latest stage at regular intervals, for logs."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._start = time.monotonic()
        self._latest: StageProgress | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._report, daemon=True).start()

    def show(self, stage: StageProgress) -> None:
        self._latest = stage

    def close(self) -> None:
        self._closed.set()

    def _report(self) -> None:
        while not self._closed.wait(self._every_s):
            now, stage = time.monotonic(), self._latest
            if stage is not None and stage.total is not None:
                note(stage.line(now))
            else:
                note(f"preparing, {duration(now - self._start)} so far")


class _StageColumn(ProgressColumn):
    """Column of a progress bar that shows a text computed from the stage."""

    def __init__(self, text: Callable[[StageProgress], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text(task.fields["stage"]))


def _columns(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _StageColumn(lambda stage: stage.counts()),
        _StageColumn(lambda stage: stage.speed(time.monotonic())),
        _StageColumn(lambda stage: stage.left(time.monotonic())),
        _StageColumn(lambda stage: stage.remark),
        console=console,
        transient=True,
    )
