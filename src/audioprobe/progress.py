"""Progress of long operations, reported to a callback."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """State of a long operation, as passed to the callback.

    Attributes:
        stage: name of the current step, such as "caption" or "likelihoods of labels".
        done: number of finished items, including failed items.
        total: total number of items; 0 if unknown.
        n_failed: number of failed items.
        note: additional text for users, such as the money spent; may be empty.
        unit: unit of the numbers: "items" or "bytes".
        waiting: share of the time so far, from 0 to 1, in which the model waited for audio; None
            if it was not measured.
    """

    stage: str
    done: int
    total: int
    n_failed: int = 0
    note: str = ""
    unit: Literal["items", "bytes"] = "items"
    waiting: float | None = None


ProgressCallback = Callable[[ProgressEvent], None]
"""A function that is called after every item of a long operation."""


ProgressOption: TypeAlias = ProgressCallback | bool
"""How a call from Python shows its progress; see `progress_bars.shown_progress`.

True shows bars in terminals and notebooks, and one line per minute elsewhere; False shows nothing;
a function is called after every item."""


def ignore_progress(event: ProgressEvent) -> None:
    """Do nothing with an event; default value of arguments of type `ProgressCallback`."""


def prefixed(progress: ProgressCallback, prefix: str) -> ProgressCallback:
    """Return a callback that adds "PREFIX: " to the stage of an event, and calls `progress`."""

    def callback(event: ProgressEvent) -> None:
        progress(replace(event, stage=f"{prefix}: {event.stage}"))

    return callback


def staged(progress: ProgressCallback, stage: str) -> ProgressCallback:
    """Return a callback that replaces the stage of an event, and calls `progress`."""

    def callback(event: ProgressEvent) -> None:
        progress(replace(event, stage=stage))

    return callback
