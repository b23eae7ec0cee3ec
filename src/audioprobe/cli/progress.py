"""How commands tell how far they are: bars on a terminal, a line per minute elsewhere."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from audioprobe.cli.console import note
from audioprobe.progress import ProgressCallback, ProgressEvent

LINE_EVERY_S = 60.0
_FIRST_RATE_S = 1.0  # seconds before a rate is worth telling

Unit = Literal["items", "bytes"]


@dataclass(slots=True)
class StageProgress:
    """How far one stage is, and how fast.

    Attributes:
        name: of the stage.
        began: clock time in s at which its work began.
        unit: what is counted.
        done: so many items or bytes.
        total: in all; None where it is not known yet.
        remark: on failures and money; "" where there is none.
    """

    name: str
    began: float
    unit: Unit = "items"
    done: int = 0
    total: int | None = None
    remark: str = ""
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, done: int, total: int, remark: str, now: float) -> None:
        """Record how much is done at a clock time."""
        self.done, self.total, self.remark = done, total, remark
        self._marks.append((now, done))

    def rate(self, now: float) -> float | None:
        """Items per second over about the later half of the time since the stage began.

        Answers that are kept from an earlier run come all at once. Over the whole time they would
        promise a speed that the model does not have.

        Returns:
            None where nothing came in that half, or too little time has passed.
        """
        middle = (self.began + now) / 2
        if not self._marks:
            return None
        before = self.began, 0
        for mark in self._marks:
            if mark[0] > middle:
                break
            before = mark
        while len(self._marks) > 1 and self._marks[1][0] <= middle:
            self._marks.popleft()
        elapsed, gained = now - before[0], self.done - before[1]
        return gained / elapsed if elapsed >= _FIRST_RATE_S and gained > 0 else None

    def counts(self) -> str:
        """What is done, of how much; "" where neither is known."""
        if self.total is None:
            return ""
        if self.unit == "bytes":
            return f"{decimal(self.done)}/{decimal(self.total)}"
        return f"{self.done}/{self.total}"

    def speed(self, now: float) -> str:
        """The rate in a unit that gives a number above 1 where there is one; "" without a rate."""
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
        """About how long the stage still takes; "" where that cannot be told."""
        rate = self.rate(now)
        if rate is None or self.total is None or self.done >= self.total:
            return ""
        return f"{duration((self.total - self.done) / rate)} left"

    def line(self, now: float) -> str:
        """All of it on a line: "synthetic: caption 16/24, 1.4/s, 6 s left"."""
        first = f"{self.name} {self.counts()}".strip()
        told = [first, self.speed(now), self.left(now), self.remark]
        return ", ".join(part for part in told if part)


def duration(seconds: float) -> str:
    """A time as people say it: "6 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress_bars(*, every_s: float = LINE_EVERY_S) -> Iterator[ProgressCallback]:
    """Show the progress of any number of stages on standard error, one after the other.

    Args:
        every_s: seconds between two lines where standard error is not a terminal.
    """
    stages: dict[str, StageProgress] = {}
    with _view(every_s) as view:
        idle_since = time.monotonic()  # a stage's work begins where that of the last one ended

        def show(event: ProgressEvent) -> None:
            nonlocal idle_since
            name = event.stage
            stage = stages.setdefault(name, StageProgress(name, idle_since, event.unit))
            idle_since = time.monotonic()
            failed = f"{event.n_failed} failed" if event.n_failed else ""
            remark = ", ".join(part for part in (failed, event.note) if part)
            stage.update(event.done, event.total, remark, idle_since)
            view.show(stage)

        yield show


class _View(Protocol):
    def show(self, stage: StageProgress) -> None: ...


@contextmanager
def _view(every_s: float) -> Iterator[_View]:
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal and sys.stderr.isatty():
        with _columns(console) as progress:
            yield _Bars(progress)
        return
    lines = _Lines(every_s)
    try:
        yield lines
    finally:
        lines.close()


class _Bars:
    """A bar for each stage, one below the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, stage: StageProgress) -> None:
        if stage.name not in self._tasks:
            self._tasks[stage.name] = self._progress.add_task(stage.name, total=None, stage=stage)
        self._progress.update(self._tasks[stage.name], completed=stage.done, total=stage.total)


class _Lines:
    """A line about the latest stage at regular times, also while no step of it ends."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._began = time.monotonic()
        self._latest: StageProgress | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._tell, daemon=True).start()

    def show(self, stage: StageProgress) -> None:
        self._latest = stage

    def close(self) -> None:
        self._ended.set()

    def _tell(self) -> None:
        while not self._ended.wait(self._every_s):
            now, stage = time.monotonic(), self._latest
            if stage is not None and stage.total is not None:
                note(stage.line(now))
            else:
                note(f"preparing, {duration(now - self._began)} so far")


class _StageColumn(ProgressColumn):
    """A text about the stage of a task."""

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
