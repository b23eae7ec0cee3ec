"""A real embedding service on this machine, which can be told to misbehave."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WIDTH = 4


def vector(text: str) -> list[float]:
    """What the service answers for a text: easy to know, different for different texts."""
    codes = [ord(character) for character in text]
    return [1.0, float(len(codes)), float(sum(codes) % 1009), float(codes[0] if codes else 0)]


@dataclass
class Answer:
    """An HTTP answer; a body of None is the right one."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class Service:
    """What the server saw, and what it will do.

    Attributes:
        plan: given the number of the request (from 0) and its texts, the answer.
    """

    plan: Callable[[int, list[str]], Answer] = lambda _n, _texts: Answer()
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def texts(self) -> list[str]:
        """All texts that were sent, in order of arrival."""
        return [text for request in self.requests for text in request["input"]]


@contextmanager
def serve() -> Iterator[Service]:
    """Run a service on a free port of the loopback interface."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with service.lock:
                number = len(service.requests)
                service.requests.append(request)
                service.headers.append({k.lower(): v for k, v in self.headers.items()})
            answer = service.plan(number, request["input"])
            time.sleep(answer.delay_s)
            body = answer.body
            if body is None and answer.status == 200:
                data = [
                    {"object": "embedding", "index": n, "embedding": vector(text)}
                    for n, text in enumerate(request["input"])
                ]
                # A service may answer in any order; the index counts.
                body = {"object": "list", "data": data[::-1], "usage": {"prompt_tokens": 1}}
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A client that gave up waiting is no error of the server's."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
