"""HTTP connections to a remote service, with one time limit for a whole attempt."""

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2
import openai

from audioprobe.models.remote.proxies import ProxySetting, proxy_for

T = TypeVar("T")

MAX_REDIRECTS = 5  # maximum number per attempt


@dataclass(slots=True)
class Route:
    """The requests of one attempt: the first request and the requests that follow redirects.

    Attributes:
        on_redirect: called before each request after the first; an exception prevents the request.
        addresses: addresses of the requests sent, in order, without parts that may be secret.
        proxy: proxy of the last request; None for a direct connection.
    """

    on_redirect: Callable[[], None]
    addresses: list[str] = field(default_factory=list)
    proxy: ProxySetting | None = None

    def __str__(self) -> str:
        """Return proxy and redirects for a message, such as " (through the proxy ...)", or ""."""
        parts = [] if self.proxy is None else [f"through {self.proxy}"]
        n_redirects = len(self.addresses) - 1
        if n_redirects > 0:
            plural = "s" * (n_redirects > 1)
            parts.append(f"after {n_redirects} redirect{plural}, to {self.addresses[-1]}")
        return f" ({', '.join(parts)})" if parts else ""


_route: ContextVar[Route] = ContextVar("route")


class Connections:
    """An openai client that several threads can use.

    Requests run in the event loop of a separate thread, where an attempt can be stopped at any
    time: during name resolution, while an answer is received, and between redirects. (The time
    limits of httpx apply to each of these steps, not to their sum.)
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._process = os.getpid()
        http_client = httpx2.AsyncClient(
            transport=_RoutedTransport(),
            timeout=None,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
        )
        self._client = openai.AsyncOpenAI(
            api_key=key, base_url=base_url, timeout=None, max_retries=0, http_client=http_client
        )
        weakref.finalize(self, _close, http_client, self._process).atexit = False

    @property
    def is_usable(self) -> bool:
        """Whether the connections belong to this process; False after a fork."""
        return self._process == os.getpid()

    def run(
        self,
        call: Callable[[openai.AsyncOpenAI], Awaitable[T]],
        timeout_s: float,
        route: Route,
    ) -> T:
        """Run a call that sends one request; return its result and record the route.

        The time limit includes redirects. When it is exceeded, the connection is closed and
        `TimeoutError` is raised.
        """

        async def limited() -> T:
            _route.set(route)
            async with asyncio.timeout(timeout_s):
                return await call(self._client)

        future = asyncio.run_coroutine_threadsafe(limited(), _event_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # has an effect only if this thread was interrupted
            raise


class _RoutedTransport(httpx2.AsyncBaseTransport):
    """HTTP transport that sends each request, including redirects, through its address's proxy."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        route = _route.get()
        if route.addresses:
            route.on_redirect()
        url = str(request.url)
        parts = urlsplit(url)
        route.proxy = proxy_for(url)
        # Without user, password, query and fragment.
        route.addresses.append(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
        address = None if route.proxy is None else route.proxy.address
        if address not in self._transports:
            self._transports[address] = httpx2.AsyncHTTPTransport(
                proxy=address, limits=openai.DEFAULT_CONNECTION_LIMITS
            )
        return await self._transports[address].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


_loops: dict[int, asyncio.AbstractEventLoop] = {}
_lock = threading.Lock()


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of this process, run by a daemon thread; start it if necessary."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(
                target=loop.run_forever, daemon=True, name="audioprobe-connections"
            ).start()
        return loop


def _close(client: httpx2.AsyncClient, process: int) -> None:
    loop = _loops.get(process)  # no lock, because garbage collection may run at any time
    if loop is not None and process == os.getpid():
        asyncio.run_coroutine_threadsafe(client.aclose(), loop)
