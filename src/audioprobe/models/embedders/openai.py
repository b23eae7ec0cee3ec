"""Text embeddings from OpenAI, or from any service with the same API."""

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
"""List prices of 2025, the default of `usd_per_million_tokens`."""


class OpenAIEmbedder:
    """A remote text embedding model.

    Texts are sent in batches within the limits of the service, several batches at once; vectors are
    in order. Failed attempts (408, 409, 429, 5xx, timeouts, unusable answers) are repeated with
    growing waits, or after the time that the service requests; a finished batch is never sent
    again. Wrap the embedder in a `CachedEmbedder` to store vectors across runs.

    Args:
        model: name at the service; the study uses text-embedding-ada-002.
        dimensions: width of the vectors, for models that can shorten them.
        base_url: address of the service; None uses the environment variable OPENAI_BASE_URL, or
            OpenAI's address.
        api_key_env: environment variable that holds the key. It is read at the first request and
            stored in no record. With a `base_url` it may be unset.
        concurrency: maximum number of concurrent requests.
        timeout_s: limit of one attempt, from connecting to the last byte of the answer.
        retry: when a failed request is repeated; None is the default `Retry`.
        max_requests: limit of requests, repeated attempts and redirects included.
        max_usd: limit of money.
        usd_per_million_tokens: price; None uses `USD_PER_MILLION_TOKENS`.

    Attributes:
        budget: requests and money spent; tokens are counted by the embedder.

    Raises:
        InvalidInputError: for a money limit without a price, secrets in the base URL, an invalid
            number, or an invalid proxy in the environment.
        MissingDependencyError: for a SOCKS proxy if the package for its protocol is missing.
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
        """Model, width and service; never the key."""
        options = {"dimensions": self._dimensions, "base_url": self._client.base_url}
        set_options = {name: value for name, value in options.items() if value is not None}
        return ComponentInfo("embedder", self._model, "", set_options)

    @property
    def token_count(self) -> str:
        """How tokens are counted; the counts limit batches and money, and change no vector."""
        _, is_exact = self._counter
        return "tiktoken" if is_exact else "utf-8 bytes (upper bound)"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        Without texts the width is that of a known model, or 0. If a batch fails for good, no
        further batch is sent.

        Raises:
            InvalidInputError: for an empty text, or one longer than the service accepts.
            RemoteError: if a batch failed for good, or a limit is reached.
        """
        check_texts(texts)
        if not texts:
            width = self._dimensions or WIDTHS.get(self._model, 0)
            return np.empty((0, width), dtype=np.float32)
        self._client.check_key()  # before tokens are counted, which may take seconds
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
            raise RemoteError(f"The service returned vectors of unequal widths: {widths}.")
        return np.concatenate(arrays)

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the tokens of each text beyond the limit; None if they cannot be counted."""
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
