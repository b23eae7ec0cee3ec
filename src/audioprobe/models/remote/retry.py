"""Repeat failed requests to a remote service.

The retries of the openai client are disabled. Here, an attempt includes reading the answer, has one
time limit in total, and counts against the budget.
"""

import email.utils
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from audioprobe.errors import InvalidInputError, RemoteError

T = TypeVar("T")

_MAX_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Settings that determine when a failed request is repeated.

    Attributes:
        attempts: maximum number of attempts, including the first.
        first_wait_s: wait before the second attempt. It doubles after each attempt. Up to 50 % is
            added at random, so that many clients do not retry at the same time.
        longest_wait_s: maximum wait that a service may request with Retry-After; a longer wait is
            an error.

    Raises:
        InvalidInputError: if there is less than one attempt, or a wait is negative.
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

    def wait_s(self, error: RemoteError, n_attempts: int) -> float | None:
        """Return the wait in seconds before the next attempt; None if there is none."""
        if not error.retryable or n_attempts >= self.attempts:
            return None
        if error.wait_s is not None:
            return error.wait_s if error.wait_s <= self.longest_wait_s else None
        backoff = min(self.first_wait_s * 2.0 ** (n_attempts - 1), _MAX_BACKOFF_S)
        return backoff * random.uniform(1.0, 1.5)  # noqa: S311 - not for security


class RequestFailedError(RemoteError):
    """Error of one attempt; another attempt may follow."""


class RequestCancelledError(RemoteError):
    """Error for a request that was not sent because another request failed permanently."""


def check_not_cancelled(stop: Event) -> None:
    """Raise `RequestCancelledError` if the event is set."""
    if stop.is_set():
        raise RequestCancelledError("Not sent: another request failed permanently.")


def call_with_retries(call: Callable[[], T], retry: Retry, stop: Event) -> T:
    """Call a function until it succeeds or fails permanently.

    Args:
        call: function that makes one attempt; raises `RequestFailedError` if the attempt fails.
        retry: number of attempts and waits between them.
        stop: event that another thread sets to end the waiting; no further attempt follows.

    Raises:
        RemoteError: after the last attempt; the message contains the number of attempts.
        RequestCancelledError: if `stop` is set.
    """
    n_attempts = 0
    while True:
        check_not_cancelled(stop)
        n_attempts += 1
        try:
            return call()
        except RequestFailedError as error:
            failure = error
        # Raise outside the handler: the exception chain could contain the key.
        wait_s = retry.wait_s(failure, n_attempts)
        if wait_s is None:
            attempts = f" (tried {n_attempts} times)" if n_attempts > 1 else ""
            raise RemoteError(
                f"{failure}{attempts}",
                status=failure.status,
                retryable=failure.retryable,
                final=failure.final,
                wait_s=failure.wait_s,
            )
        stop.wait(wait_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait in seconds that `Retry-After-Ms` or `Retry-After` requests, or None."""
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError):
        date: float = email.utils.parsedate_to_datetime(value).timestamp()
        return max(0.0, date - time.time())
    return None
