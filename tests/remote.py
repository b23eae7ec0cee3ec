"""Clients of the local test service, and what it should answer."""

from collections.abc import Callable
from typing import Any

import numpy as np

from audioprobe.models.embedders.openai import OpenAIEmbedder
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import Retry
from audioprobe.types import FloatArray
from tests.remote_service import Answer, Service, vector

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


def chat(service: Service, **options: Any) -> OpenAIChat:
    """A chat model of the service, which tries again soon and trusts that the service hears."""
    chosen = {"model": "m", "base_url": service.url, "retry": QUICK, "check_hearing": False}
    return OpenAIChat(**{**chosen, **options})


def everything_an_error_shows(error: BaseException) -> str:
    """Words, attributes and chain of an error."""
    seen, parts = set(), []
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            parts += [str(one), repr(one), repr(one.args), repr(vars(one))]
            queue += [one.__cause__, one.__context__]
    return "\n".join(parts)
