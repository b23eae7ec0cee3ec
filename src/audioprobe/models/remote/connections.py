"""HTTP connections to a remote service: time limit of an attempt, addresses and proxies.

This module chooses the proxy itself, because httpx2 has three disadvantages: it uses the proxy even
for this machine, it ignores networks such as 10.0.0.0/8 in NO_PROXY, and its errors do not name the
environment variable of the proxy.
"""

import asyncio
import ipaddress
import os
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai

from audioprobe.errors import InvalidInputError, MissingDependencyError

MAX_REDIRECTS = 5  # maximum number per attempt

_OPTIONS: openai.RequestOptions = {"security": {"bearer_auth": True}}  # no other key
_SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """A proxy and where it is configured.

    Attributes:
        source: name of the environment variable, or "the system settings".
        address: URL of the proxy; never shown completely, because it may contain a password.
    """

    source: str
    address: str = field(repr=False)

    def __str__(self) -> str:
        return f"the proxy {_public_part(self.address)} of {self.source}"


def proxy_for(url: str) -> ProxySetting | None:
    """Return the proxy for requests to a URL, or None for a direct connection.

    The proxy comes from HTTP_PROXY or HTTPS_PROXY, depending on the scheme of the URL, or else from
    ALL_PROXY; variables in lower case have priority. This machine and addresses in NO_PROXY are
    reached directly. Only the variable that is used is validated.

    Raises:
        InvalidInputError: if the variable is not the address of a proxy.
        MissingDependencyError: if the package for a SOCKS proxy is not installed.
    """
    parts = urlsplit(url)
    if _is_exempt(parts):
        return None
    proxies = getproxies()
    scheme = next((name for name in (parts.scheme, "all") if proxies.get(name)), None)
    if scheme is None:
        return None
    address = proxies[scheme].strip()
    variables = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    source = next((name for name in variables if os.environ.get(name)), "the system settings")
    proxy = ProxySetting(source, address if "://" in address else f"http://{address}")
    _check_proxy(proxy)
    return proxy


def is_this_machine(host: str) -> bool:
    """Return whether a host refers to this machine, such as "localhost" or "127.0.0.1"."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _ip_address(name)
    # Servers print 0.0.0.0 or [::] as their address; these also refer to this machine.
    return address is not None and (address.is_loopback or address.is_unspecified)


def check_base_url(base_url: str) -> str:
    """Return the URL of a service unchanged; raise if it is invalid or contains secrets.

    The URL is recorded in results and in logs.
    """
    if not _is_address(base_url, ("http", "https")):
        raise InvalidInputError("base_url must be an address such as http://localhost:8000/v1.")
    parts = urlsplit(base_url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            "base_url must not contain user, password, query or fragment, because it is recorded. "
            "Put the key into the environment variable that api_key_env names."
        )
    return base_url


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    """Return whether a URL has a host, a scheme that is in `schemes`, and a valid port or none."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _public_part(url: str) -> str:
    """Return a URL without user, password, query and fragment, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_exempt(parts: SplitResult) -> bool:
    """Return whether no proxy is used for a URL: this machine, and addresses in NO_PROXY."""
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(host):
        return True
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if port is not None and proxy_bypass(f"{host}:{port}"):  # for NO_PROXY rules with a port
        return True
    address = _ip_address(host)
    rules = getproxies().get("no", "").split(",")
    return address is not None and any(_is_in_network(address, rule) for rule in rules)


def _check_proxy(proxy: ProxySetting) -> None:
    """Raise `InvalidInputError` for an invalid address of a proxy.

    Raise `MissingDependencyError` for a SOCKS proxy if the package socksio is missing.
    """
    scheme = proxy.address.partition("://")[0]
    if not _is_address(proxy.address, _SCHEMES):
        received = f"the scheme {scheme[:20]!r}" if scheme not in _SCHEMES else "another text"
        raise InvalidInputError(
            "Expected the address of a proxy, such as http://host:3128 or socks5://host:1080, in "
            f"{proxy.source}, got {received}. Correct or unset the variable, or exclude the "
            "service with NO_PROXY."
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise MissingDependencyError(
            f"T{str(proxy)[1:]} is a SOCKS proxy; it needs the package 'socksio', which is not "
            "installed. Install it with: pip install socksio. Or unset the variable, or exclude "
            "the service with NO_PROXY."
        )


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Convert a host to an IP address; return None if it is a name, such as "localhost"."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # also reads "127.1"
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, rule: str) -> bool:
    try:
        return address in ipaddress.ip_network(rule.strip(), strict=False)
    except ValueError:
        return False


@dataclass(slots=True)
class Route:
    """The requests of one attempt: the first request, and one request per redirect.

    Attributes:
        on_redirect: called before the request of each redirect; an exception prevents the request.
        addresses: URLs of the requests sent, in order, without parts that may be secret.
        proxy: proxy of the last request; None for a direct connection.
    """

    on_redirect: Callable[[], None]
    addresses: list[str] = field(default_factory=list)
    proxy: ProxySetting | None = None

    def __str__(self) -> str:
        """Return proxy and redirects, to append to an error message; "" if there were none."""
        parts = [] if self.proxy is None else [f"through {self.proxy}"]
        n_redirects = len(self.addresses) - 1
        if n_redirects > 0:
            plural = "s" * (n_redirects > 1)
            parts.append(f"after {n_redirects} redirect{plural}, to {self.addresses[-1]}")
        return f" ({', '.join(parts)})" if parts else ""


_route: ContextVar[Route] = ContextVar("route")


class Connections:
    """HTTP connections to one service, which several threads can use.

    Requests run in the event loop of a separate thread, which can stop an attempt at any time, for
    example while an answer is received. (The time limits of httpx2 apply to single steps, such as
    connecting or reading some bytes, not to their sum.)
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

    def send(
        self, path: str, body: Mapping[str, object] | None, timeout_s: float, route: Route
    ) -> httpx2.Response:
        """Send JSON to a path of the service and return the answer; record requests in `route`.

        The request is a POST, or a GET if `body` is None. If the request and its redirects take
        longer than `timeout_s`, close the connection and raise `TimeoutError`.
        """

        async def send() -> httpx2.Response:
            _route.set(route)
            async with asyncio.timeout(timeout_s):
                if body is None:
                    return await self._client.get(path, cast_to=httpx2.Response, options=_OPTIONS)
                return await self._client.post(
                    path, cast_to=httpx2.Response, body=body, options=_OPTIONS
                )

        future = asyncio.run_coroutine_threadsafe(send(), _event_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # has an effect only if this thread was interrupted
            raise


class _RoutedTransport(httpx2.AsyncBaseTransport):
    """HTTP transport that chooses the proxy for each request and each redirect by its address."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        route = _route.get()
        if route.addresses:
            route.on_redirect()
        url = str(request.url)
        route.proxy = proxy_for(url)
        route.addresses.append(_public_part(url))
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
    """Return the event loop of this process, which a daemon thread runs; start it if necessary."""
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
