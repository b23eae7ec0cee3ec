"""Progress of long operations: one event type for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """How far an operation is.

    Attributes:
        stage: what is being done ("caption", "likelihoods of labels").
        done: items that are finished, failed ones included.
        total: items in all; 0 if unknown.
        n_failed: finished items without a result.
        note: details for people, such as the money spent; may be empty.
        unit: of the counts.
    """

    stage: str
    done: int
    total: int
    n_failed: int = 0
    note: str = ""
    unit: Literal["items", "bytes"] = "items"


ProgressCallback = Callable[[ProgressEvent], None]
"""Called after every item of a long operation."""


def ignore_progress(event: ProgressEvent) -> None:
    """Do nothing: the default callback."""


def prefixed(progress: ProgressCallback, prefix: str) -> ProgressCallback:
    """Return a callback that names a part of a larger operation: "prefix: stage"."""

    def callback(event: ProgressEvent) -> None:
        progress(replace(event, stage=f"{prefix}: {event.stage}"))

    return callback
