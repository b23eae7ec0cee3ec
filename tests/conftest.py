"""No test reaches beyond this machine: a brake makes an attempt fail, and a test proves it."""

import ipaddress
import os
import socket

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

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


@pytest.fixture(autouse=True, scope="session")
def _network_brake() -> None:
    socket.socket.connect = _braked_connect  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = _braked_resolve  # type: ignore[assignment]
