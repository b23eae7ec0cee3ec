"""Errors that a remote service reports, and the repetition of failed requests.

The retries of the openai client are disabled. Here, an attempt includes reading the answer, has one
time limit in total, and counts against the budget.
"""

import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any, Self, TypeVar

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import check_not_cancelled

T = TypeVar("T")

_MAX_BACKOFF_S = 30.0

_RETRYABLE = frozenset({408, 409, 425, 429})  # in addition to all statuses >= 500
_TRANSIENT = re.compile(
    r"over.?load|unavailable|rate.?limit|too.?many.?requests|time.?d?.?out|deadline.?exceeded"
    r"|server.?error|internal.?error|resource.?exhausted|temporar|try.?again|retry|\bbusy\b"
    r"|\b(?:is|still|currently).(?:being.)?(?:load|start|warm)",
    re.IGNORECASE,
)
"""Pattern of temporary errors, searched for in the texts of errors without an HTTP status."""

_NO_CREDIT = frozenset({"insufficient_quota", "insufficient_balance", "insufficient_credits"})
_STATUS_FIELDS = ("code", "status", "status_code", "statusCode", "error_code", "http_status")
_KIND_FIELDS = ("type", "code", "status")
_MESSAGE_FIELDS = ("message", "detail", "msg", "error_description", "error", "error_msg")


@dataclass(frozen=True, slots=True)
class Retry:
    """Settings that determine when a failed request is repeated.

    Attributes:
        attempts: maximum number of attempts, including the first.
        first_wait_s: wait before the second attempt, in seconds. It doubles after each attempt. Up
            to 50 % is added at random, so that many clients do not retry at the same time.
        longest_wait_s: longest wait that is accepted from a service that sends Retry-After. If the
            service asks for a longer wait, the request fails.

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
        """Return the wait in seconds before the next attempt; None if the request is not repeated.

        It is not repeated if the error is permanent, if all attempts were made, or if the service
        asks for a wait that is longer than `longest_wait_s`.
        """
        if not error.retryable or n_attempts >= self.attempts:
            return None
        if error.wait_s is not None:
            return error.wait_s if error.wait_s <= self.longest_wait_s else None
        backoff = min(self.first_wait_s * 2.0 ** (n_attempts - 1), _MAX_BACKOFF_S)
        return backoff * random.uniform(1.0, 1.5)  # noqa: S311 - not for security


class RequestFailedError(RemoteError):
    """Error of one attempt; another attempt may follow."""


def call_with_retries(call: Callable[[], T], retry: Retry, stop: Event) -> T:
    """Call a function, which makes one attempt, until it succeeds or fails permanently.

    Args:
        call: raises `RequestFailedError` if the attempt fails.
        retry: number of attempts and waits between them.
        stop: event that another thread sets if the request is no longer needed.

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
    """Return the wait in seconds from the header `Retry-After-Ms` or `Retry-After`.

    A date in `Retry-After` is compared with the header `Date` of the same answer, because the clock
    of this machine may be wrong; without that header, it is compared with this clock.

    None if both headers are missing or invalid.
    """
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(value))
    date = _timestamp(value)
    if date is None:
        return None
    sent = _timestamp(headers.get("date", ""))
    return max(0.0, date - (time.time() if sent is None else sent))


def _timestamp(date: str) -> float | None:
    """Return the POSIX time in seconds of a date in a header; None if the date is invalid."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class ServiceError:
    """An error that a service reports in an answer.

    Attributes:
        message: text of the error; "" if there is none.
        status: HTTP status from 400 to 599; None if there is none.
        kinds: error codes and types in the answer, such as "insufficient_quota".
    """

    message: str
    status: int | None = None
    kinds: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, body: object, status: int | None = None) -> Self:
        """Create an error from the JSON of an answer; `status` replaces a status in the JSON."""
        if not isinstance(body, Mapping):
            return cls(body if isinstance(body, str) else "", status)
        codes = [_http_status(body.get(name)) for name in _STATUS_FIELDS]
        kinds = [body.get(name) for name in _KIND_FIELDS]
        message = next((body[name] for name in _MESSAGE_FIELDS if body.get(name)), "")
        return cls(
            message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
            status if status is not None else next((c for c in codes if c is not None), None),
            tuple(kind for kind in kinds if isinstance(kind, str)),
        )

    @property
    def is_out_of_credit(self) -> bool:
        """Whether the account has no credit left, so that a retry cannot succeed."""
        return not _NO_CREDIT.isdisjoint(self.kinds)

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later, according to status, kinds and message."""
        if self.is_out_of_credit:
            return False
        if self.status is not None:
            return self.status in _RETRYABLE or self.status >= 500
        return any(_TRANSIENT.search(text) for text in (*self.kinds, self.message))


def find_error(answer: Mapping[str, Any]) -> ServiceError | None:
    """Return the error that an answer with HTTP status 200 contains; None if it has no error.

    Known forms are {"error": {...}}, {"error": "text"}, {"errors": [...]}, {"object": "error"},
    {"choices": [{"error": {...}}]}, and an answer with only a message, such as {"detail": "text"}.
    """
    for name in ("error", "errors"):
        error = answer.get(name)
        if isinstance(error, list) and error:
            error = error[0]
        if name == "error" and not error:
            error = _error_of_choice(answer)
        if error:
            inner = ServiceError.from_json(error)
            outer = ServiceError.from_json({**answer, name: None})
            return ServiceError(
                inner.message or outer.message or json.dumps(error, ensure_ascii=False),
                inner.status or outer.status,
                inner.kinds + outer.kinds,
            )
    has_content = bool(answer.get("choices") or answer.get("data"))
    reported = ServiceError.from_json(answer)
    if answer.get("object") == "error" or (reported.message and not has_content):
        return reported
    return None


def _error_of_choice(answer: Mapping[str, Any]) -> object:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, dict) else None


def _http_status(value: object) -> int | None:
    """Convert a number or text to an HTTP status from 400 to 599; return None for other values."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[45][0-9]{2}", text) else None
