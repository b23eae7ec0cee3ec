"""HTTP connections of a remote service: how long an attempt takes, and where it goes."""

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

MAX_REDIRECTS = 5  # of one attempt; the right address is at most a few away


@dataclass(slots=True)
class Route:
    """Where one attempt went.

    Attributes:
        on_redirect: called before each request after the first; may raise, and then it is not sent.
        addresses: of the requests that were sent, in order, without what may be secret in them.
        proxy: that of the last one.
    """

    on_redirect: Callable[[], None]
    addresses: list[str] = field(default_factory=list)
    proxy: ProxySetting | None = None

    def __str__(self) -> str:
        """Proxy and redirects, for a message: " (through the proxy ...)", or ""."""
        parts = []
        if self.proxy is not None:
            parts.append(f"through {self.proxy}")
        if len(self.addresses) > 1:
            n = len(self.addresses) - 1
            parts.append(f"after {n} redirect{'s' * (n > 1)}, to {self.addresses[-1]}")
        return f" ({', '.join(parts)})" if parts else ""


_route: ContextVar[Route] = ContextVar("route")


class Connections:
    """A client of one service, for several threads.

    Requests run as tasks of an event loop in a thread of their own. There an attempt can be ended
    at any moment: while a name is looked up, while headers or a body arrive byte by byte, and from
    redirect to redirect.

    Args:
        base_url: of the service.
        key: sent as the bearer token; kept here alone.
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
            api_key=key,
            base_url=base_url,
            timeout=None,
            max_retries=0,  # ours count against the budget
            http_client=http_client,
        )
        weakref.finalize(self, _close, http_client, self._process).atexit = False

    @property
    def is_usable(self) -> bool:
        """False after a fork: connections belong to the process that opened them."""
        return self._process == os.getpid()

    def run(
        self,
        call: Callable[[openai.AsyncOpenAI], Awaitable[T]],
        timeout_s: float,
        route: Route,
    ) -> T:
        """Return what a call returns.

        Args:
            call: makes one request with the client.
            timeout_s: for all of it, redirects included.
            route: filled in as requests are sent.

        Raises:
            TimeoutError: if it took longer; its connection is closed.
            Exception: what the call raises.
        """

        async def bounded() -> T:
            _route.set(route)
            async with asyncio.timeout(timeout_s):
                return await call(self._client)

        future = asyncio.run_coroutine_threadsafe(bounded(), _event_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # this thread was interrupted; else it is done
            raise


class _RoutedTransport(httpx2.AsyncBaseTransport):
    """Sends each request, redirects included, through the proxy for its own address, if any."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        route = _route.get()
        if route.addresses:
            route.on_redirect()
        url = str(request.url)
        route.proxy = proxy_for(url)
        route.addresses.append(_shown(url))
        address = None if route.proxy is None else route.proxy.address
        if address not in self._transports:
            self._transports[address] = httpx2.AsyncHTTPTransport(
                proxy=address, limits=openai.DEFAULT_CONNECTION_LIMITS
            )
        return await self._transports[address].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


def _shown(url: str) -> str:
    """An address without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


_loops: dict[int, asyncio.AbstractEventLoop] = {}
_lock = threading.Lock()


def _event_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, which a daemon thread runs; a fork starts another."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(
                target=loop.run_forever, daemon=True, name="audioprobe-connections"
            ).start()
        return loop


def _close(client: httpx2.AsyncClient, process: int) -> None:
    loop = _loops.get(process)  # without the lock: garbage is collected at any moment
    if loop is not None and process == os.getpid():
        asyncio.run_coroutine_threadsafe(client.aclose(), loop)
