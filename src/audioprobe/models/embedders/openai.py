"""Text embeddings from OpenAI, or from any service that speaks its protocol."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from threading import Event
from typing import Any

import httpx2
import numpy as np
import openai

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.embedders.batches import MAX_TOKENS_PER_TEXT, batches, check_texts
from audioprobe.models.embedders.response_vectors import vectors
from audioprobe.models.embedders.tokens import token_counter
from audioprobe.models.remote.budget import Budget
from audioprobe.models.remote.endpoint import Endpoint
from audioprobe.models.remote.retry import RequestCancelledError, Retry, attempt
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
"""List prices of 2025, to stop at a spending limit; they can be overridden."""


class OpenAIEmbedder:
    """Vectors from a remote embedding model.

    Texts are sent in batches within the service's limits, several batches at a time, and come back
    in order. Failed attempts (408, 409, 429, 5xx, timeouts, unusable answers) are repeated with
    growing waits, or after the time that the service asks for; a finished batch is never sent
    again. Wrap it in a `CachedEmbedder` to keep what is finished across calls.

    Args:
        model: name at the service; text-embedding-ada-002 is the study's.
        dimensions: shorter vectors, for models that offer it.
        base_url: another service of the same protocol; by default what the environment variable
            OPENAI_BASE_URL names, and else OpenAI's.
        api_key_env: environment variable that holds the key; it is read at the first request and
            kept in no record. With a `base_url` it may be unset.
        concurrency: batches under way at once.
        timeout_s: of one whole attempt, from connecting to the last byte of the answer.
        retry: when to try again.
        max_requests: stop before sending more, repeated attempts and redirects included.
        max_usd: stop before spending more.
        usd_per_million_tokens: price, where it is not that of `USD_PER_MILLION_TOKENS`.

    Raises:
        InvalidInputError: for a spending limit without a price, secrets in the base URL, numbers
            that make no sense, or a proxy in the environment that is none.
        MissingDependencyError: for a SOCKS proxy without the package that it needs.
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
        if concurrency < 1 or timeout_s <= 0 or (dimensions is not None and dimensions < 1):
            raise InvalidInputError(
                "The embedder needs concurrency >= 1, timeout_s > 0 and dimensions >= 1, got "
                f"{concurrency}, {timeout_s} and {dimensions}."
            )
        price = usd_per_million_tokens
        if price is None:
            price = USD_PER_MILLION_TOKENS.get(model)
        if max_usd is not None and price is None:
            raise InvalidInputError(
                f"max_usd needs the price of {model!r}: pass usd_per_million_tokens."
            )
        self._model = model
        self._dimensions = dimensions
        self._endpoint = Endpoint(
            "embedding service",
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            advice={400: "Check the model name, `dimensions` and the texts."},
            instead="a local embedder (EmbeddingScorer.local())",
        )
        self._concurrency = concurrency
        self._retry = retry or Retry()
        self.budget = Budget(max_requests, max_usd, price or 0.0)

    @property
    def info(self) -> ComponentInfo:
        """Model, width and service; never the key."""
        options: dict[str, str | int] = {}
        if self._dimensions is not None:
            options["dimensions"] = self._dimensions
        if self._endpoint.base_url is not None:
            options["base_url"] = self._endpoint.base_url
        return ComponentInfo("embedder", self._model, "", options)

    @property
    def token_count(self) -> str:
        """How tokens are counted here: it sizes batches and limits, and changes no answer."""
        _, is_exact = self._counter
        return "tiktoken" if is_exact else "utf-8 bytes (upper bound)"

    @property
    def n_requests(self) -> int:
        """Requests sent so far, repeated attempts included."""
        return self.budget.n_requests

    @property
    def n_tokens(self) -> int:
        """Tokens sent so far, as counted here."""
        return self.budget.n_tokens

    @property
    def usd_spent(self) -> float:
        """Price of those tokens: an upper bound, 0 for a model without a price."""
        return self.budget.usd_spent

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        Without texts the width is that of a known model, and otherwise 0. When a batch fails for
        good, no other is begun.

        Raises:
            InvalidInputError: for an empty text, or one longer than the service takes.
            RemoteError: when a batch failed for good, or a limit was reached.
        """
        check_texts(texts)
        if not texts:
            width = self._dimensions or WIDTHS.get(self._model, 0)
            return np.empty((0, width), dtype=np.float32)
        self._endpoint.check_key()  # told before tokens are counted
        count, is_exact = self._counter
        arrays = self._embed_batches(list(batches(texts, count, is_exact=is_exact)))
        widths = {array.shape[1] for array in arrays}
        if len(widths) > 1:
            raise RemoteError(f"The service answered with vectors of unequal width: {widths}.")
        return np.concatenate(arrays)

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Tokens of each text beyond the service's limit; None where they are only bounded."""
        self._endpoint.check_key()  # told before tokens are counted
        count, is_exact = self._counter
        if not is_exact:
            return None
        return [max(0, count(text) - MAX_TOKENS_PER_TEXT) for text in texts]

    def _embed_batches(self, found: Sequence[tuple[list[str], int]]) -> list[FloatArray]:
        """Each batch's vectors, in order."""
        stop = Event()
        with ThreadPoolExecutor(self._concurrency) as pool:
            futures = [pool.submit(self._embed_batch, *batch, stop) for batch in found]
            try:
                for future in as_completed(futures):
                    if not isinstance(future.exception(), RequestCancelledError):
                        future.result()  # the first to fail speaks for all
            finally:
                stop.set()
                for future in futures:
                    future.cancel()
        return [future.result() for future in futures]

    def _embed_batch(self, texts: list[str], n_tokens: int, stop: Event) -> FloatArray:
        def ask() -> FloatArray:
            with self.budget.charge(n_tokens, stop=stop):
                return vectors(self._post(texts), len(texts), self._dimensions)

        try:
            return attempt(ask, self._retry, stop)
        except BaseException:
            stop.set()
            raise

    def _post(self, texts: list[str]) -> dict[str, Any]:
        async def create(client: openai.AsyncOpenAI) -> httpx2.Response:
            answer = await client.embeddings.with_raw_response.create(
                model=self._model,
                input=texts,
                encoding_format="float",
                dimensions=openai.omit if self._dimensions is None else self._dimensions,
            )
            return answer.http_response

        return self._endpoint.ask(create, f"{len(texts)} vectors", self.budget.count_redirect)

    @cached_property
    def _counter(self) -> tuple[Callable[[str], int], bool]:
        return token_counter(self._model)

    def __getstate__(self) -> dict[str, object]:
        """Without the token table, so that it can be sent to other processes."""
        return {k: v for k, v in self.__dict__.items() if k != "_counter"}
