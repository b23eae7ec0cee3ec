"""Limits of requests to a remote service: number, money, and requests per minute."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.concurrency import PicklableLock, check_not_cancelled
from audioprobe.models.remote.retry import RequestFailedError

_POLL_S = 0.1  # interval at which a waiting request checks for cancellation


@dataclass(slots=True)
class TokenUsage:
    """Token counts of one request; upper bounds until the service reports the actual counts."""

    n_input: int
    n_output: int


class Budget:
    """Requests and money spent, with limits that are checked before a request is sent.

    The class is thread-safe. While a request is in progress, it counts with its maximum cost. A new
    request that would exceed the limit waits until the requests in progress finish, because these
    may cost less than their maximum.

    Args:
        max_requests: maximum number of requests; None means no limit.
        max_usd: maximum amount of money in USD; None means no limit.
        usd_per_million_input: price of a million tokens sent; 0 for a free service.
        usd_per_million_output: price of a million tokens received.
        requests_per_minute: maximum rate, at which requests are spaced evenly; None means no limit.

    Attributes:
        n_requests: number of requests sent so far, including repeated attempts and redirects.
        n_input_tokens: number of tokens sent so far.
        n_output_tokens: number of tokens received so far.
    """

    def __init__(
        self,
        max_requests: int | None,
        max_usd: float | None,
        usd_per_million_input: float,
        usd_per_million_output: float = 0.0,
        *,
        requests_per_minute: float | None = None,
    ) -> None:
        if requests_per_minute is not None and requests_per_minute <= 0:
            raise InvalidInputError(
                f"requests_per_minute must be positive, got {requests_per_minute}."
            )
        self._changed = PicklableLock()
        self._max_requests = max_requests
        self._max_usd = max_usd
        self._prices = (usd_per_million_input / 1e6, usd_per_million_output / 1e6)
        self._n_in_progress = 0
        self._interval_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next_start = 0.0
        self.n_requests = 0
        self.n_input_tokens = 0
        self.n_output_tokens = 0

    @property
    def n_tokens(self) -> int:
        """Number of tokens sent and received so far."""
        return self.n_input_tokens + self.n_output_tokens

    @property
    def usd_spent(self) -> float:
        """Price of all tokens so far; an upper bound, since it includes attempts that timed out."""
        return self._price(self.n_input_tokens, self.n_output_tokens)

    @contextmanager
    def charge(self, n_input: int, n_output: int, stop: Event) -> Iterator[TokenUsage]:
        """Context manager for one request: wait until the limits allow it, then count it.

        A request that the service rejects (status 4xx) costs nothing. Any other request costs the
        upper bounds `n_input` and `n_output` of its tokens, unless the caller replaces them in the
        yielded object by the counts that the service reports.

        Raises:
            RemoteError: if the request would exceed a limit.
            RequestCancelledError: if another thread sets `stop`.
        """
        self._wait_for_rate(stop)
        self._reserve(n_input, n_output, stop)
        usage = TokenUsage(n_input, n_output)
        try:
            yield usage
        except RequestFailedError as error:
            if error.status is not None and 400 <= error.status < 500:
                usage.n_input = usage.n_output = 0
            raise
        finally:
            with self._changed:
                self.n_input_tokens += usage.n_input - n_input
                self.n_output_tokens += usage.n_output - n_output
                self._n_in_progress -= 1
                self._changed.notify_all()

    def count_redirect(self) -> None:
        """Count the request that follows a redirect; its tokens are already counted by `charge`.

        Raises:
            RemoteError: if the request would exceed the maximum number of requests.
        """
        with self._changed:
            self._check_n_requests()
            self.n_requests += 1

    def _wait_for_rate(self, stop: Event) -> None:
        """Wait until the maximum rate allows another request."""
        with self._changed:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval_s
        stop.wait(start - now)
        check_not_cancelled(stop)

    def _reserve(self, n_input: int, n_output: int, stop: Event) -> None:
        """Wait until the request is within the limits, and count it with its maximum cost."""
        with self._changed:
            while not self._is_affordable(n_input, n_output):
                self._changed.wait(_POLL_S)
                check_not_cancelled(stop)
            self.n_requests += 1
            self.n_input_tokens += n_input
            self.n_output_tokens += n_output
            self._n_in_progress += 1

    def _is_affordable(self, n_input: int, n_output: int) -> bool:
        """Return True if a request is within the limits; False if it may be after waiting.

        It may be later if requests in progress cost less than expected.

        Raises:
            RemoteError: if waiting cannot help.
        """
        self._check_n_requests()
        total = self._price(self.n_input_tokens + n_input, self.n_output_tokens + n_output)
        if self._max_usd is None or total <= self._max_usd:
            return True
        if self._n_in_progress:
            return False
        raise RemoteError(
            f"Stopped before spending {total:.4f} USD in total: the limit is {self._max_usd} "
            f"(max_usd), and {self.usd_spent:.4f} USD were spent. Raise the limit to continue.",
            final=True,
        )

    def _check_n_requests(self) -> None:
        if self._max_requests is not None and self.n_requests >= self._max_requests:
            raise RemoteError(
                f"Stopped at the limit of {self._max_requests} requests (max_requests); "
                f"{self.n_tokens} tokens were used. Raise the limit to continue; cached responses "
                "are not requested again.",
                final=True,
            )

    def _price(self, n_input: int, n_output: int) -> float:
        return n_input * self._prices[0] + n_output * self._prices[1]

    def __getstate__(self) -> dict[str, object]:
        # Requests in progress and clocks belong to one process.
        return {**self.__dict__, "_n_in_progress": 0, "_next_start": 0.0}
