"""Tests have no network, and importing the package loads no heavy library."""

import socket
import urllib.request

import pytest

from tests.processes import run_python


def test_connection_by_name_is_blocked() -> None:
    with pytest.raises(OSError, match="a test tried to resolve"):
        urllib.request.urlopen("http://example.org", timeout=1)


def test_connection_by_address_is_blocked() -> None:
    with socket.socket() as outside, pytest.raises(OSError, match="a test tried to connect"):
        outside.connect(("192.0.2.1", 80))


def test_connections_of_child_processes_are_blocked() -> None:
    process = run_python("import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)")
    assert "a test tried to" in process.stderr


HEAVY = "[m for m in ('numpy', 'torch', 'transformers', 'openai') if m in sys.modules]"


def test_import_loads_neither_numpy_nor_torch() -> None:
    uses = "from audioprobe import AudioProbeError, available, load; available()"
    process = run_python(f"import sys, audioprobe; {uses}; print({HEAVY})")
    assert process.stdout.strip() == "[]", process.stderr


def test_help_loads_neither_numpy_nor_torch() -> None:
    process = run_python(
        f"import sys; from audioprobe.cli import app; app.help_print(); print({HEAVY})"
    )
    assert process.stdout.strip().endswith("[]"), process.stderr


def test_classification_run_loads_no_torch() -> None:
    """A model on a server needs none."""
    code = "import sys, audioprobe.experiments.classification.run; print('torch' in sys.modules)"
    assert run_python(code).stdout.strip() == "False"


def test_backend_without_its_extra_names_what_to_install() -> None:
    hidden = "import sys; sys.modules['ai_edge_litert'] = None; "
    process = run_python(hidden + "from audioprobe import BirdNET")
    assert "MissingDependencyError" in process.stderr
    assert "pip install 'audioprobe[birdnet]'" in process.stderr
