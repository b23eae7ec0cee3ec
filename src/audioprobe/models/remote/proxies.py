"""Find the proxy for an address in the environment variables.

httpx reads the same variables, but it sends requests to this machine through the proxy too, ignores
networks such as 10.0.0.0/8 in NO_PROXY, and does not name the variable in its errors.
"""

import ipaddress
import os
import socket
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from audioprobe.errors import InvalidInputError, MissingDependencyError

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
        parts = urlsplit(self.address)
        return f"the proxy {parts.scheme}://{parts.netloc.rpartition('@')[2]} of {self.source}"


def proxy_for(url: str) -> ProxySetting | None:
    """Return the proxy for requests to an address, or None for a direct connection.

    The variables are HTTP_PROXY or HTTPS_PROXY, depending on the scheme of the address, then
    ALL_PROXY; variables in lower case have priority. Addresses of this machine and those in
    NO_PROXY have no proxy. A variable that is not used for this address is not checked.
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
    _check(proxy)
    return proxy


def is_this_machine(host: str) -> bool:
    """Return whether a host is a loopback address or a name of one, such as "localhost"."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _ip_address(name)
    # 0.0.0.0 and [::], which servers print as their address, also refer to this machine.
    return address is not None and (address.is_loopback or address.is_unspecified)


def _is_exempt(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(host):
        return True
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if port is not None and proxy_bypass(f"{host}:{port}"):  # for NO_PROXY rules with a port
        return True
    address = _ip_address(host)
    rules = getproxies().get("no", "").split(",")
    return address is not None and any(_is_in_network(address, rule) for rule in rules)


def _check(proxy: ProxySetting) -> None:
    try:
        parts = urlsplit(proxy.address)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    scheme = proxy.address.partition("://")[0]
    if scheme not in _SCHEMES or not is_address:
        received = f"the scheme {scheme[:20]!r}" if scheme not in _SCHEMES else "no such address"
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
