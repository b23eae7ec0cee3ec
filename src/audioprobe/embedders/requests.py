"""One request to a remote service: how often to try, how long to wait, how much to spend."""

import email.utils
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from audioprobe.errors import RemoteError

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
    """

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 120.0


class Refusal(Exception):
    """One attempt that failed, on its way to a retry or a `RemoteError`; never leaves this package."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.wait_s = wait_s


class Budget:
    """Requests and money spent, with limits that are checked before a request is sent.

    Safe to use from several threads.

    Args:
        max_requests: None is no limit.
        max_usd: None is no limit.
        usd_per_million_tokens: price; 0 where nothing is paid.
    """

    def __init__(
        self, max_requests: int | None, max_usd: float | None, usd_per_million_tokens: float
    ) -> None:
        self._lock = threading.Lock()
        self._max_requests = max_requests
        self._max_usd = max_usd
        self._price = usd_per_million_tokens / 1e6
        self.n_requests = 0
        self.n_tokens = 0

    @property
    def usd_spent(self) -> float:
        """Price of the tokens sent, failed attempts included: an upper bound."""
        return self.n_tokens * self._price

    def charge(self, n_tokens: int) -> None:
        """Account for one request that is about to be sent.

        Raises:
            RemoteError: instead, if it would exceed a limit.
        """
        with self._lock:
            if self._max_requests is not None and self.n_requests >= self._max_requests:
                raise RemoteError(
                    f"Stopped at the limit of {self._max_requests} requests (max_requests); "
                    "raise it to go on. Nothing that is in a CachedEmbedder is asked again."
                )
            cost = (self.n_tokens + n_tokens) * self._price
            if self._max_usd is not None and cost > self._max_usd:
                raise RemoteError(
                    f"Stopped before spending {cost:.4f} USD: the limit is {self._max_usd} "
                    f"(max_usd), {self.usd_spent:.4f} are spent. Raise it to go on."
                )
            self.n_requests += 1
            self.n_tokens += n_tokens


def attempt(call: Callable[[], T], retry: Retry) -> T:
    """Call until it succeeds, waiting as the service asks.

    Raises:
        RemoteError: when it failed for good; says how often it was tried.
    """
    for n in range(1, retry.attempts + 1):
        try:
            return call()
        except Refusal as refusal:
            wait = _wait(refusal, n, retry)
            if wait is None or n == retry.attempts:
                tried = f" (tried {n} times)" if n > 1 else ""
                failure = RemoteError(
                    f"{refusal}{tried}", status=refusal.status, retryable=refusal.retryable
                )
                # Outside the handler: the refusal's own chain holds the request and its key.
                break
        time.sleep(wait)
    raise failure


def _wait(refusal: Refusal, n: int, retry: Retry) -> float | None:
    """Seconds until the next attempt; None where there should be none."""
    if not refusal.retryable:
        return None
    if refusal.wait_s is not None:
        return refusal.wait_s if refusal.wait_s <= retry.longest_wait_s else None
    backoff = min(retry.first_wait_s * 2 ** (n - 1), _LONGEST_BACKOFF_S)
    return backoff * random.uniform(1.0, 1.5)  # noqa: S311 - no secret depends on it


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait: `Retry-After-Ms`, or `Retry-After` as number or date."""
    for name, factor in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * factor)
        except ValueError:
            moment = email.utils.parsedate_tz(value)
            if moment is not None:
                return max(0.0, email.utils.mktime_tz(moment) - time.time())
    return None
