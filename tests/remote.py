"""Clients of the local test service, and its expected answers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from audioprobe.models.embedders.openai import OpenAIEmbedder
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import Retry
from audioprobe.protocols import LanguageModel
from audioprobe.types import Decoding, FloatArray, Prompt
from tests.remote_service import Answer, Service, vector

QUICK = Retry(attempts=4, first_wait_s=0.01, longest_wait_s=1.0)


def embedder(service: Service, **options: Any) -> OpenAIEmbedder:
    """Return an embedder for the service, with short waits between attempts."""
    chosen: dict[str, Any] = {"model": "m", "base_url": service.url, "retry": QUICK, **options}
    return OpenAIEmbedder(**chosen)


def fail_first(n: int, answer: Answer) -> Callable[[int, list[str]], Answer]:
    """Return a plan: this answer to the first n requests, then the correct one."""
    return lambda number, _texts: answer if number < n else Answer()


def expected(texts: list[str]) -> FloatArray:
    """Return the vectors that the service returns."""
    return np.array([vector(text) for text in texts], dtype=np.float32)


def chat(service: Service, **options: Any) -> OpenAIChat:
    """Return a chat model for the service, with short waits and without the audio check."""
    chosen = {"model": "m", "base_url": service.url, "retry": QUICK, "check_audio": False}
    return OpenAIChat(**{**chosen, **options})


def response_texts(
    model: LanguageModel, prompts: list[Prompt], decoding: Decoding | None = None
) -> list[str]:
    """Return the texts of the responses to prompts."""
    return [response.text for response in model.generate(prompts, decoding)]


def completion(message: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    """Return a chat completion with this message."""
    message = {"role": "assistant", **message}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def error_content(error: BaseException) -> str:
    """Return message, attributes and chain of an error."""
    seen, parts = set(), []
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            parts += [str(current), repr(current), repr(current.args), repr(vars(current))]
            queue += [current.__cause__, current.__context__]
    return "\n".join(parts)
