"""One request to a remote service: how often to try, how long to wait."""

import email.utils
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from audioprobe.errors import InvalidInputError, RemoteError

T = TypeVar("T")

_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """When to try again.

    Attributes:
        attempts: requests at most, the first included.
        first_wait_s: before the second; doubles each time, and is spread by up to a half so that
            many clients do not come back at once.
        longest_wait_s: what a service may ask for by Retry-After; more ends the call.

    Raises:
        InvalidInputError: for less than one attempt, or negative times.
    """

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait_s < 0 or self.longest_wait_s < 0:
            raise InvalidInputError(
                "Retry needs attempts >= 1 and waits >= 0 seconds, got "
                f"{self.attempts}, {self.first_wait_s} and {self.longest_wait_s}."
            )


class RequestFailedError(Exception):
    """One attempt that failed, on its way to a retry or a `RemoteError`."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        final: bool = False,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.final = final
        self.wait_s = wait_s


class RequestCancelledError(RemoteError):
    """Not tried (again), because another request of the same call failed for good."""


def attempt(call: Callable[[], T], retry: Retry, stop: threading.Event) -> T:
    """Call until it succeeds, waiting as the service asks.

    Args:
        call: one attempt; raises `RequestFailedError` where it fails.
        retry: how often, how long.
        stop: set by another thread: no attempt is begun, and the waiting ends.

    Raises:
        RemoteError: when it failed for good; says how often it was tried.
        RequestCancelledError: when it was stopped.
    """
    for n in itertools.count(1):
        if stop.is_set():
            raise RequestCancelledError("Not tried: another request failed for good.")
        try:
            return call()
        except RequestFailedError as refusal:
            failed = refusal
        # Outside the handler, so that what is raised does not carry the refusal's own chain.
        wait = _wait(failed, n, retry)
        if wait is None or n >= retry.attempts:
            tried = f" (tried {n} times)" if n > 1 else ""
            raise RemoteError(
                f"{failed}{tried}",
                status=failed.status,
                retryable=failed.retryable,
                final=failed.final,
            )
        stop.wait(wait)
    raise AssertionError  # unreachable: the loop has no end of its own


def _wait(refusal: RequestFailedError, n: int, retry: Retry) -> float | None:
    """Seconds until the next attempt; None where there should be none."""
    if not refusal.retryable:
        return None
    if refusal.wait_s is not None:
        return refusal.wait_s if refusal.wait_s <= retry.longest_wait_s else None
    backoff = min(retry.first_wait_s * 2.0 ** (n - 1), _LONGEST_BACKOFF_S)
    return backoff * random.uniform(1.0, 1.5)  # noqa: S311 - no secret rests on it


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait, by `Retry-After-Ms` or `Retry-After`."""
    for name, factor in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * factor)
        except ValueError:
            seconds = _seconds_until(value)
            if seconds is not None:
                return seconds
    return None


def _seconds_until(date: str) -> float | None:
    """From now to an HTTP date, at least 0; None for what is no date."""
    try:
        moment: datetime = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    seconds: float = moment.timestamp() - time.time()
    return max(0.0, seconds)
