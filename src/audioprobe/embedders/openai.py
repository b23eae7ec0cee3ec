"""Text embeddings from OpenAI, or from any service that speaks its protocol."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from urllib.parse import urlsplit

import numpy as np
import openai

from audioprobe.embedders.requests import Budget, Refusal, Retry, attempt, retry_after
from audioprobe.embedders.tokens import token_counter
from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.types import ComponentInfo, FloatArray

# Limits of one request, from the service's reference of "Create embeddings".
MAX_TEXTS = 2048
MAX_TOKENS = 300_000
MAX_TOKENS_PER_TEXT = 8191

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

_RETRYABLE = frozenset({408, 409, 429})  # and everything from 500
_SHOWN = 200  # characters of a service's message


class OpenAIEmbedder:
    """Vectors from a remote embedding model.

    Texts are sent in batches within the service's limits, several batches at a time, and come back
    in order. Failed attempts (408, 409, 429, 5xx, timeouts, unusable answers) are repeated with
    growing waits, or after the time that the service asks for; a finished batch is never sent
    again. Wrap it in a `CachedEmbedder` to keep what is finished across calls.

    Args:
        model: name at the service; text-embedding-ada-002 is the study's.
        dimensions: shorter vectors, for models that offer it.
        base_url: another service of the same protocol.
        api_key_env: environment variable that holds the key; it is read at the first request and
            kept in no record. With a `base_url` it may be unset.
        concurrency: batches under way at once.
        timeout_s: of one attempt.
        retry: when to try again.
        max_requests: stop before sending more, repeated attempts included.
        max_usd: stop before spending more.
        usd_per_million_tokens: price, where it is not that of `USD_PER_MILLION_TOKENS`.

    Raises:
        InvalidInputError: for a spending limit without a price, or secrets in the base URL.
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
        price = usd_per_million_tokens
        if price is None:
            price = USD_PER_MILLION_TOKENS.get(model)
        if max_usd is not None and price is None:
            raise InvalidInputError(
                f"max_usd needs the price of {model!r}: pass usd_per_million_tokens."
            )
        self._model = model
        self._dimensions = dimensions
        self._base_url = None if base_url is None else _checked(base_url)
        self._api_key_env = api_key_env
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self.budget = Budget(max_requests, max_usd, price or 0.0)

    @property
    def info(self) -> ComponentInfo:
        """Model, width and service; never the key."""
        options: dict[str, str | int] = {}
        if self._dimensions is not None:
            options["dimensions"] = self._dimensions
        if self._base_url is not None:
            options["base_url"] = self._base_url
        return ComponentInfo("embedder", self._model, "", options)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """One vector per text, float32, shape (n_texts, width).

        Without texts the width is that of a known model, and otherwise 0.

        Raises:
            InvalidInputError: for an empty text, or one longer than the service takes.
            RemoteError: when a batch failed for good, or a limit was reached.
        """
        empty = [n for n, text in enumerate(texts) if not text]
        if empty:
            raise InvalidInputError(f"The service refuses empty texts, at positions {empty[:5]}.")
        if not texts:
            width = self._dimensions or WIDTHS.get(self._model, 0)
            return np.empty((0, width), dtype=np.float32)
        _ = self._client  # a missing key is told before tokens are counted
        batches = list(self._batches(texts))
        with ThreadPoolExecutor(self._concurrency) as pool:
            arrays = list(pool.map(lambda batch: self._embed_batch(*batch), batches))
        widths = {array.shape[1] for array in arrays}
        if len(widths) > 1:
            raise RemoteError(f"The service answered with vectors of unequal width: {widths}.")
        return np.concatenate(arrays)

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """Consecutive texts with their token count, within the limits of one request."""
        count, is_exact = self._counter
        batch: list[str] = []
        n_tokens = 0
        for position, text in enumerate(texts):
            n = count(text)
            if is_exact and n > MAX_TOKENS_PER_TEXT:
                raise InvalidInputError(
                    f"The text at position {position} has {n} tokens, the service takes "
                    f"{MAX_TOKENS_PER_TEXT}. Shorten it."
                )
            if batch and (len(batch) == MAX_TEXTS or n_tokens + n > MAX_TOKENS):
                yield batch, n_tokens
                batch, n_tokens = [], 0
            batch.append(text)
            n_tokens += n
        yield batch, n_tokens

    def _embed_batch(self, texts: list[str], n_tokens: int) -> FloatArray:
        def ask() -> FloatArray:
            self.budget.charge(n_tokens)
            return _vectors(self._post(texts), len(texts))

        return attempt(ask, self._retry)

    def _post(self, texts: list[str]) -> bytes:
        """The service's answer; its errors in our own words, which never hold the key."""
        try:
            answer = self._client.embeddings.with_raw_response.create(
                model=self._model,
                input=texts,
                encoding_format="float",
                dimensions=openai.omit if self._dimensions is None else self._dimensions,
            )
        except openai.APIStatusError as error:
            refusal = self._refusal(error)
        except openai.APITimeoutError:
            refusal = Refusal(f"No answer within {self._timeout_s:g} s.", retryable=True)
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            refusal = Refusal(f"No connection to the service ({cause}).", retryable=True)
        else:
            return answer.http_response.content
        # Raised here, outside the handlers, the refusal does not carry the client's error, whose
        # request has the key in its headers.
        raise refusal

    def _refusal(self, error: openai.APIStatusError) -> Refusal:
        status = error.status_code
        words = _message(error).replace(self._key(), "[key]")[:_SHOWN]
        out_of_money = error.code == "insufficient_quota"
        retryable = not out_of_money and (status in _RETRYABLE or status >= 500)
        mend = {
            401: f" Check the key in the environment variable {self._api_key_env}.",
            403: " This key may not use this model.",
            404: f" Check the model name {self._model!r} and the base URL.",
        }.get(status, " The account is out of credit." if out_of_money else "")
        wait = retry_after(error.response.headers)
        asked = f" It asks to wait {wait:.0f} s." if wait else ""
        return Refusal(
            f"The embedding service answered {status}: {words!r}.{mend}{asked}",
            status=status,
            retryable=retryable,
            wait_s=wait,
        )

    def _key(self) -> str:
        key = os.environ.get(self._api_key_env, "")
        if key or self._base_url is not None:
            return key or "unset"  # the client insists on one; local services do not look at it
        raise RemoteError(
            f"No key: set the environment variable {self._api_key_env}, or use a local embedder "
            "(EmbeddingScorer.local())."
        )

    @cached_property
    def _client(self) -> openai.OpenAI:
        # At the level DEBUG the client's transport logs headers, and a service may echo the key.
        logging.getLogger("httpcore2").setLevel(logging.WARNING)
        return openai.OpenAI(
            api_key=self._key(),
            base_url=self._base_url,
            timeout=self._timeout_s,
            max_retries=0,  # ours count against the budget
        )

    @cached_property
    def _counter(self) -> tuple[Callable[[str], int], bool]:
        return token_counter(self._model)

    def __getstate__(self) -> dict[str, object]:
        """Without connection, key and token table, so that it can be sent to other processes."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_client", "_counter")}


def _vectors(body: bytes, n_texts: int) -> FloatArray:
    """The vectors of an answer, in the order of the texts.

    Raises:
        Refusal: retryable, for anything but one finite vector per text.
    """
    try:
        items = json.loads(body)["data"]
        by_index = {int(item["index"]): item["embedding"] for item in items}
        array = np.array([by_index[n] for n in range(n_texts)], dtype=np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(
            f"Expected {n_texts} vectors, got {_count(body)} ({type(error).__name__}).",
            retryable=True,
        ) from error
    if len(items) != n_texts or array.ndim != 2 or not array.shape[1]:
        raise Refusal(f"Expected {n_texts} vectors, got {_count(body)}.", retryable=True)
    if not np.isfinite(array).all():
        raise Refusal("The service answered with NaN or infinity.", retryable=True)
    return array


def _count(body: bytes) -> str:
    try:
        return f"{len(json.loads(body)['data'])}, or unequal ones"
    except (ValueError, KeyError, TypeError):
        return f"{len(body)} bytes that are no such answer"


def _message(error: openai.APIStatusError) -> str:
    """What an error response says, as one line."""
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(text or error.response.text).split())


def _checked(base_url: str) -> str:
    """The address as it is, for it goes into records and into the client's own logs."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError("base_url must be an address such as http://localhost:8000/v1.")
    if parts.username or parts.password or parts.query:
        raise InvalidInputError(
            "base_url must hold no user, password or query, since it is recorded: put the key into "
            "the environment variable that api_key_env names."
        )
    return base_url
