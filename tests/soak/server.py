"""A chat service that answers correctly or with a fault, in a process of its own.

A client whose key begins with `UNDISTURBED` gets no faults. Each request is logged with the key of
its client and a time in seconds, so that repeated requests can be counted.

Usage: python -m tests.soak.server LOG SEED; prints its address, and ends when its input ends.
"""

import email.utils
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.remote_service import Answer, Service, serve

UNDISTURBED = "sk-undisturbed"
FAULT_RATE = 0.25
MOST_IN_A_ROW = 3
"""Faults in a row that a request gets; a client that tries more often always gets an answer."""
SLOW_S = 0.3
TIMEOUT_S = 8.0
"""Time that the clients of the soak test wait for an answer; enough on a busy machine."""


def _busy(status: int) -> Answer:
    return Answer(status, {"error": {"message": "busy", "code": status}}, {"Retry-After-Ms": "20"})


def _until_a_date() -> Answer:
    """Return a fault with a date; clients whose clock is wrong must not wait until then."""
    return Answer(429, {}, {"Retry-After": email.utils.formatdate(time.time(), usegmt=True)})


def _closed() -> Answer:
    raise ConnectionAbortedError  # the handler ends, and the connection is closed


FAULTS: dict[str, Callable[[], Answer]] = {
    "429": lambda: _busy(429),
    "429 with a date": _until_a_date,
    "500": lambda: _busy(500),
    "503": lambda: _busy(503),
    "error in an answer": lambda: Answer(body={"error": {"message": "busy", "code": 503}}),
    "not JSON": lambda: Answer(body=b'{"choices": [{"message": '),
    "nested JSON": lambda: Answer(body=b"[" * 100_000),
    "other JSON": lambda: Answer(body={"choices": []}),
    "cut off": lambda: Answer(n_missing=20),
    "empty": lambda: Answer(n_missing=1 << 30),
    "connection closed": _closed,
    "too slow": lambda: Answer(delay_s=TIMEOUT_S + 1),
}
"""The faults by name."""


class FaultPlan:
    """Decide how each request is answered, and log the correct answers.

    Args:
        service: the service, which forgets a request when it is answered.
        log: file of the log.
        seed: seed of the faults.
    """

    def __init__(self, service: Service, log: Path, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self._in_a_row: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._log = log.open("a", encoding="utf-8")

    def __call__(self, number: int, _texts: list[str]) -> Answer:
        """Return the answer to a request."""
        service = self._service
        request, key = service.requests[number], service.headers[number]["authorization"]
        service.requests[number], service.headers[number] = {}, {}  # otherwise memory would grow
        client = key.removeprefix("Bearer ")
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
        with self._lock:
            fault = self._fault(client, digest)
            entry = {"client": client, "request": digest, "fault": fault, "s": time.monotonic()}
            self._log.write(json.dumps(entry) + "\n")
            self._log.flush()
            slow = not fault and self._random.random() < 0.02
        return FAULTS[fault]() if fault else Answer(delay_s=SLOW_S * slow)

    def _fault(self, client: str, digest: str) -> str:
        if client.startswith(UNDISTURBED) or self._random.random() >= FAULT_RATE:
            return ""
        self._in_a_row[client + digest] += 1
        if self._in_a_row[client + digest] > MOST_IN_A_ROW:
            del self._in_a_row[client + digest]
            return ""
        return self._random.choice(list(FAULTS))


def main(log: str, seed: str) -> None:
    """Serve until the input ends."""
    with serve() as service:
        service.plan = FaultPlan(service, Path(log), int(seed))
        print(service.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
