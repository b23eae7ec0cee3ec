"""No test reaches beyond this machine: a brake makes an attempt fail, and a test proves it."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import network_brake
from tests.remote_service import KEY, Service, serve

os.environ["HF_HUB_OFFLINE"] = "1"
# Sums of several threads differ in their last digit from those of one, as workers have them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests compare tensors on the CPU, and start several processes at once; see test_gpu for a GPU's.
os.environ.setdefault("ACCELERATE_USE_CPU", "true")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
network_brake.install()
# How long an example takes depends on what else the machine does, which must fail no test.
settings.register_profile("audioprobe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("audioprobe")


_LONGEST = (
    "test_docs.py",
    "test_killed.py",
    "test_probe_run.py",
    "test_cli.py",
    "test_learning.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that workers end together."""
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A running service, and the key that it is asked with."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with serve() as running:
        yield running
