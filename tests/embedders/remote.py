"""An embedder of the local test service, and what it should answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.remote_service import Answer, Service, vector

from audioprobe.embedders.openai import OpenAIEmbedder
from audioprobe.services.requests import Retry
from audioprobe.types import FloatArray

KEY = "sk-test-4f9a-do-not-leak"
QUICK = Retry(attempts=4, first_wait_s=0.01, longest_wait_s=1.0)


def embedder(service: Service, **options: Any) -> OpenAIEmbedder:
    """An embedder that asks the service, and tries again soon."""
    chosen: dict[str, Any] = {"model": "m", "base_url": service.url, "retry": QUICK, **options}
    return OpenAIEmbedder(**chosen)


def fail_first(n: int, answer: Answer) -> Callable[[int, list[str]], Answer]:
    """A plan: this answer to the first requests, then the right one."""
    return lambda number, _texts: answer if number < n else Answer()


def expected(texts: list[str]) -> FloatArray:
    """What the service answers."""
    return np.array([vector(text) for text in texts], dtype=np.float32)
