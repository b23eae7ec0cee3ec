import socket
import subprocess
import sys
import urllib.request

import pytest


def test_the_brake_stops_a_connection_by_name() -> None:
    with pytest.raises(OSError, match="a test tried to resolve"):
        urllib.request.urlopen("http://example.org", timeout=1)


def test_the_brake_stops_a_connection_by_address() -> None:
    with socket.socket() as outside, pytest.raises(OSError, match="a test tried to connect"):
        outside.connect(("192.0.2.1", 80))


def test_importing_the_package_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, audioprobe; from audioprobe import AudioProbeError, available; available();"
        "print([m for m in ('numpy', 'torch', 'transformers', 'openai') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip() == b"[]"


def test_help_does_not_load_torch_either() -> None:
    code = (
        "import sys; from audioprobe.cli import app; app.help_print();"
        "print([m for m in ('numpy', 'torch', 'openai') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip().endswith(b"[]")
