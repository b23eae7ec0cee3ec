"""A running service, and the key that it is asked with."""

from collections.abc import Iterator

import pytest
from tests.embedders.remote import KEY
from tests.remote_service import Service, serve


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with serve() as running:
        yield running
