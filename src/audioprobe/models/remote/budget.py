"""What a remote service may cost: requests, money, and requests per minute."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.retry import RequestCancelledError, RequestFailedError

_LOOK_UP_S = 0.1  # how soon a waiting request notices that it is no longer wanted


@dataclass(slots=True)
class TokenUsage:
    """Tokens of one request: an upper bound while it is under way, then what it took.

    Attributes:
        n_input: tokens sent.
        n_output: tokens that came back.
    """

    n_input: int
    n_output: int


class Budget:
    """Requests and money spent, with limits that are checked before a request is sent.

    Safe to use from several threads. A request counts with its upper bound as long as it is under
    way; one that would exceed the limit waits until the others have settled, for they may have cost
    less.

    Args:
        max_requests: None is no limit.
        max_usd: None is no limit.
        usd_per_million_input: price of a million tokens sent; 0 where nothing is paid.
        usd_per_million_output: price of a million tokens that come back.

    Attributes:
        n_requests: sent so far, repeated attempts and redirects included.
        n_input_tokens: sent so far.
        n_output_tokens: received so far.
    """

    def __init__(
        self,
        max_requests: int | None,
        max_usd: float | None,
        usd_per_million_input: float,
        usd_per_million_output: float = 0.0,
    ) -> None:
        self._changed = threading.Condition()
        self._max_requests = max_requests
        self._max_usd = max_usd
        self._prices = (usd_per_million_input / 1e6, usd_per_million_output / 1e6)
        self._n_under_way = 0
        self.n_requests = 0
        self.n_input_tokens = 0
        self.n_output_tokens = 0

    @property
    def n_tokens(self) -> int:
        """Tokens sent and received so far."""
        return self.n_input_tokens + self.n_output_tokens

    @property
    def usd_spent(self) -> float:
        """Price of those tokens: an upper bound, for it includes attempts that timed out."""
        return self._price(self.n_input_tokens, self.n_output_tokens)

    @contextmanager
    def charge(
        self, n_input: int, n_output: int = 0, stop: threading.Event | None = None
    ) -> Iterator[TokenUsage]:
        """Account for one request that is sent inside.

        A request that the service refuses (status 4xx) costs nothing. Any other keeps its bound,
        unless the numbers of the charge are set to what the service says that it took.

        Args:
            n_input: tokens that it sends, at most.
            n_output: tokens that may come back, at most.
            stop: set by another thread: the request is not sent.

        Raises:
            RemoteError: if it would exceed a limit; it was not sent.
            RequestCancelledError: if it was stopped; it was not sent.
        """
        bound = TokenUsage(n_input, n_output)
        self._begin(bound, stop)
        charge = TokenUsage(n_input, n_output)
        try:
            yield charge
        except RequestFailedError as refusal:
            if refusal.status is not None and 400 <= refusal.status < 500:
                charge.n_input = charge.n_output = 0
            raise
        finally:
            with self._changed:
                self.n_input_tokens += charge.n_input - bound.n_input
                self.n_output_tokens += charge.n_output - bound.n_output
                self._n_under_way -= 1
                self._changed.notify_all()

    def count_redirect(self) -> None:
        """Count the further request that a redirect asks for, before it is sent.

        Its tokens are those of the request that was redirected, which nobody answered.

        Raises:
            RemoteError: if it would exceed the limit of requests; it was not sent.
        """
        with self._changed:
            self._check_requests()
            self.n_requests += 1

    def _begin(self, bound: TokenUsage, stop: threading.Event | None) -> None:
        with self._changed:
            while not self._allows(bound):
                self._changed.wait(_LOOK_UP_S)
                if stop is not None and stop.is_set():
                    raise RequestCancelledError("Not tried: another request failed for good.")
            self.n_requests += 1
            self.n_input_tokens += bound.n_input
            self.n_output_tokens += bound.n_output
            self._n_under_way += 1

    def _allows(self, bound: TokenUsage) -> bool:
        """Whether the request fits; False where that may change, an error where it will not."""
        self._check_requests()
        cost = self._price(
            self.n_input_tokens + bound.n_input, self.n_output_tokens + bound.n_output
        )
        if self._max_usd is None or cost <= self._max_usd:
            return True
        if self._n_under_way:
            return False
        raise RemoteError(
            f"Stopped before spending {cost:.4f} USD: the limit is {self._max_usd} (max_usd), "
            f"{self.usd_spent:.4f} are spent. Raise it to go on.",
            final=True,
        )

    def _check_requests(self) -> None:
        if self._max_requests is not None and self.n_requests >= self._max_requests:
            raise RemoteError(
                f"Stopped at the limit of {self._max_requests} requests (max_requests), "
                f"{self.n_tokens} tokens are accounted for; raise it to go on. Nothing that a "
                "cache holds is asked again.",
                final=True,
            )

    def _price(self, n_input: int, n_output: int) -> float:
        return n_input * self._prices[0] + n_output * self._prices[1]

    def __getstate__(self) -> dict[str, object]:
        """Without the lock: a copy in another process counts for itself."""
        state: dict[str, object] = {k: v for k, v in self.__dict__.items() if k != "_changed"}
        return state | {"_n_under_way": 0}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._changed = threading.Condition()


class RateLimiter:
    """Spaces requests evenly in time, so that no minute holds more than it may.

    Args:
        per_minute: requests at most; None does not wait.

    Raises:
        InvalidInputError: for a pace that is not positive.
    """

    def __init__(self, per_minute: float | None) -> None:
        if per_minute is not None and per_minute <= 0:
            raise InvalidInputError(f"requests_per_minute must be positive, got {per_minute}.")
        self._gap_s = 0.0 if per_minute is None else 60.0 / per_minute
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stop: threading.Event) -> None:
        """Until it is this request's turn.

        Raises:
            RequestCancelledError: if it was stopped meanwhile.
        """
        if self._gap_s:
            with self._lock:
                now = time.monotonic()
                turn = max(now, self._next)
                self._next = turn + self._gap_s
            stop.wait(turn - now)
        if stop.is_set():
            raise RequestCancelledError("Not tried: another request failed for good.")

    def __getstate__(self) -> dict[str, float]:
        """The gap alone: a copy in another process keeps its own time."""
        return {"_gap_s": self._gap_s}

    def __setstate__(self, state: dict[str, float]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._next = 0.0
