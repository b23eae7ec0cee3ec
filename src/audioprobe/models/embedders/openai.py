"""Text embeddings from OpenAI or from another service with the same API."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import Event
from typing import Any

import httpx2
import numpy as np
import openai

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.embedders.requests import (
    MAX_TOKENS_PER_TEXT,
    batches,
    check_texts,
    read_vectors,
    token_counter,
)
from audioprobe.models.remote.budget import Budget, TokenUsage
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.retry import Retry
from audioprobe.types import ComponentInfo, FloatArray

WIDTHS = {
    "text-embedding-ada-002": 1536,
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
}
USD_PER_MILLION_TOKENS = {
    "text-embedding-ada-002": 0.10,
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
}
"""OpenAI's list prices of 2025, used if `usd_per_million_tokens` is None."""


class OpenAIEmbedder:
    """A text embedding model behind OpenAI's API.

    Texts are sent in batches within the limits of the service. Several batches are in progress at
    once; the vectors are returned in the order of the texts. Failed attempts (408, 409, 429, 5xx,
    timeouts, unusable answers) are repeated after increasing waits or after the wait that the
    service requests. Finished batches are never sent again. Use `CachedEmbedder` to store vectors
    across runs.

    Args:
        model: model name at the service.
        dimensions: width of the vectors, for models that can shorten them.
        base_url: address of the service; None uses the environment variable OPENAI_BASE_URL or else
            OpenAI's address.
        api_key_env: environment variable that contains the key. The key is read at the first
            request and is never recorded. With a `base_url`, the variable may be unset.
        concurrency: maximum number of concurrent requests.
        timeout_s: time limit of one attempt, from connecting to the last byte of the answer.
        retry: when to repeat a failed request; None uses the default `Retry`.
        max_requests: maximum number of requests, including repeated attempts and redirects.
        max_usd: maximum amount of money to spend.
        usd_per_million_tokens: price; None uses `USD_PER_MILLION_TOKENS`.

    Attributes:
        budget: requests and money spent; the embedder counts the tokens itself.

    Raises:
        InvalidInputError: if `max_usd` is set without a price, the base URL contains secrets, a
            number is invalid, or the environment contains an invalid proxy.
        MissingDependencyError: if a SOCKS proxy is set and the package for its protocol is missing.
    """

    def __init__(
        self,
        model: str = "text-embedding-ada-002",
        *,
        dimensions: int | None = None,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 4,
        timeout_s: float = 60.0,
        retry: Retry | None = None,
        max_requests: int | None = None,
        max_usd: float | None = None,
        usd_per_million_tokens: float | None = None,
    ) -> None:
        if dimensions is not None and dimensions < 1:
            raise InvalidInputError(f"dimensions must be at least 1, got {dimensions}.")
        price = usd_per_million_tokens
        if price is None:
            price = USD_PER_MILLION_TOKENS.get(model)
        if max_usd is not None and price is None:
            raise InvalidInputError(
                f"max_usd needs the price of {model!r}: pass usd_per_million_tokens."
            )
        self._model = model
        self._dimensions = dimensions
        self.budget = Budget(max_requests, max_usd, price or 0.0)
        self._client = ServiceClient(
            "embedding service",
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            concurrency=concurrency,
            timeout_s=timeout_s,
            retry=retry,
            budget=self.budget,
            advice={400: "Check the model name, `dimensions` and the texts."},
            alternative="a local embedder (EmbeddingScorer.local())",
        )

    @property
    def info(self) -> ComponentInfo:
        """Model, width and service address; never the key."""
        options = {"dimensions": self._dimensions, "base_url": self._client.base_url}
        set_options = {name: value for name, value in options.items() if value is not None}
        return ComponentInfo("embedder", self._model, "", set_options)

    @property
    def token_count(self) -> str:
        """Method of counting tokens. Counts affect batches and budget, but not vectors."""
        _, is_exact = self._counter
        return "tiktoken" if is_exact else "utf-8 bytes (upper bound)"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        If there are no texts, the width is that of the model if known, else 0. After a permanent
        failure, no further batch is sent.

        Raises:
            InvalidInputError: if a text is empty or is longer than the service accepts.
            RemoteError: if a batch failed permanently, or if a limit is reached.
        """
        check_texts(texts)
        if not texts:
            width = self._dimensions or WIDTHS.get(self._model, 0)
            return np.empty((0, width), dtype=np.float32)
        self._client.check_key()  # before counting tokens, which may take seconds
        count, is_exact = self._counter
        arrays = list(
            self._client.workers.map(
                list(batches(texts, count, is_exact=is_exact)),
                self._embed_batch,
                key=lambda batch: tuple(batch[0]),
                stop_at_any_error=True,
            )
        )
        widths = {array.shape[1] for array in arrays}
        if len(widths) > 1:
            raise RemoteError(f"Expected vectors of one width, got unequal widths {widths}.")
        return np.concatenate(arrays)

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return how many tokens of each text exceed the limit; None if they cannot be counted."""
        self._client.check_key()
        count, is_exact = self._counter
        return [max(0, count(t) - MAX_TOKENS_PER_TEXT) for t in texts] if is_exact else None

    def _embed_batch(self, batch: tuple[list[str], int], stop: Event) -> FloatArray:
        texts, n_tokens = batch

        async def create(client: openai.AsyncOpenAI) -> httpx2.Response:
            answer = await client.embeddings.with_raw_response.create(
                model=self._model,
                input=texts,
                encoding_format="float",
                dimensions=openai.omit if self._dimensions is None else self._dimensions,
            )
            return answer.http_response

        def read(answer: Mapping[str, Any], usage: TokenUsage) -> FloatArray:
            del usage
            return read_vectors(answer, len(texts), self._dimensions)

        expected = f"{len(texts)} vectors"
        return self._client.request(create, read, expected=expected, n_input=n_tokens, stop=stop)

    @cached_property
    def _counter(self) -> tuple[Callable[[str], int], bool]:
        return token_counter(self._model)

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_counter"}  # not picklable
