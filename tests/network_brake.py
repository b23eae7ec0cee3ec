"""A brake on the network: connections that would leave this machine fail, and say so."""

import ipaddress
import socket

_connect = socket.socket.connect
_resolve = socket.getaddrinfo


class NetworkBrakeError(OSError):
    """A test tried to leave this machine."""


def _is_here(host: object) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _braked_connect(self: socket.socket, address: object) -> None:
    if self.family != socket.AF_UNIX and isinstance(address, tuple) and not _is_here(address[0]):
        raise NetworkBrakeError(f"a test tried to connect to {address!r}")
    _connect(self, address)  # type: ignore[arg-type]


def _braked_resolve(host: object, *args: object, **kwargs: object) -> object:
    if not _is_here(host):
        raise NetworkBrakeError(f"a test tried to resolve {host!r}")
    return _resolve(host, *args, **kwargs)  # type: ignore[arg-type]


def install() -> None:
    """Put the brake on, for the rest of this process."""
    socket.socket.connect = _braked_connect  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = _braked_resolve  # type: ignore[assignment]
