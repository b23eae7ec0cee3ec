"""Text embeddings from OpenAI or from another service with the same API."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Event
from typing import Any

import numpy as np
import tiktoken

from audioprobe.errors import InvalidInputError, RemoteError
from audioprobe.models.remote.budget import Budget, TokenUsage
from audioprobe.models.remote.client import ServiceClient
from audioprobe.models.remote.retry import RequestFailedError, Retry
from audioprobe.texts import check_unicode
from audioprobe.types import ComponentInfo, FloatArray, InfoRepr

# Limits of one request, from the API reference of "Create embeddings".
MAX_TEXTS = 2048
MAX_TOKENS = 300_000
MAX_TOKENS_PER_TEXT = 8191

_TABLE_TIMEOUT_S = 10.0  # tiktoken has no time limit for downloading its table
_MAX_INDICES = 10  # maximum number of indices in a message

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


class OpenAIEmbedder(InfoRepr):
    """A text embedding model behind OpenAI's API.

    Texts are sent in batches within the limits of the service, several batches at once. A failed
    attempt (status 408, 409, 429 or 5xx, timeout, unusable answer) is repeated after a wait. Use
    `CachedEmbedder` to store vectors across runs.

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
        usd_per_million_tokens: price in USD; None uses `USD_PER_MILLION_TOKENS`.

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
        """Model name, and width and service address if they are set; never the key."""
        options = {"dimensions": self._dimensions, "base_url": self._client.base_url}
        set_options = {name: value for name, value in options.items() if value is not None}
        return ComponentInfo("embedder", self._model, "", set_options)

    @property
    def token_count(self) -> str:
        """Method of counting tokens: "tiktoken", or "utf-8 bytes (upper bound)" without tiktoken.

        It affects batches and budget, but not vectors.
        """
        _, is_exact = self._counter
        return "tiktoken" if is_exact else "utf-8 bytes (upper bound)"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32, shape (n_texts, width).

        If `texts` is empty, the shape is (0, width), with width 0 if the width is unknown. After a
        permanent failure, no further batch is sent.

        Raises:
            InvalidInputError: if a text is empty or is longer than the service accepts.
            RemoteError: if a batch failed permanently, or if a limit is reached.
        """
        empty = [n for n, text in enumerate(texts) if not text]
        if empty:
            raise InvalidInputError(
                f"Texts must not be empty, but the texts at positions {empty[:5]} of {len(texts)} "
                "are. Remove the empty texts."
            )
        check_unicode(texts)
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
            raise RemoteError(
                f"Expected vectors of one width, got unequal widths {sorted(widths)}. The service "
                "may have changed the model."
            )
        return np.concatenate(arrays)

    def excess_tokens(self, texts: Sequence[str]) -> Sequence[int] | None:
        """Return the number of tokens above the limit for each text; None without exact counts."""
        self._client.check_key()
        count, is_exact = self._counter
        return [max(0, count(t) - MAX_TOKENS_PER_TEXT) for t in texts] if is_exact else None

    def _embed_batch(self, batch: tuple[list[str], int], stop: Event) -> FloatArray:
        texts, n_tokens = batch

        body: dict[str, object] = {"model": self._model, "input": texts}
        body["encoding_format"] = "float"
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions

        def read(answer: Mapping[str, Any], usage: TokenUsage) -> FloatArray:
            del usage
            return read_vectors(answer, len(texts), self._dimensions)

        return self._client.request(
            "/embeddings", body, read, expected=f"{len(texts)} vectors", n_input=n_tokens, stop=stop
        )

    @cached_property
    def _counter(self) -> tuple[Callable[[str], int], bool]:
        return token_counter(self._model)

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_counter"}  # not picklable


def batches(
    texts: Sequence[str], count: Callable[[str], int], *, is_exact: bool
) -> Iterator[tuple[list[str], int]]:
    """Yield batches of consecutive texts with their token counts, within the limits of a request.

    If `count` is exact, a text with too many tokens raises `InvalidInputError`. If `count` returns
    an upper bound, such a text is sent in a separate batch, because the service may reject it.
    """
    batch: list[str] = []
    n_tokens = 0
    for position, text in enumerate(texts):
        n = count(text)
        is_long = n > MAX_TOKENS_PER_TEXT
        if is_long and is_exact:
            raise InvalidInputError(
                f"The text at position {position} has {n} tokens, but the service accepts at most "
                f"{MAX_TOKENS_PER_TEXT}. Shorten the text."
            )
        if batch and (is_long or len(batch) == MAX_TEXTS or n_tokens + n > MAX_TOKENS):
            yield batch, n_tokens
            batch, n_tokens = [], 0
        if is_long:
            yield [text], n
        else:
            batch.append(text)
            n_tokens += n
    if batch:
        yield batch, n_tokens


def token_counter(
    model: str, timeout_s: float = _TABLE_TIMEOUT_S
) -> tuple[Callable[[str], int], bool]:
    """Return a function that counts the tokens of a text, and whether its counts are exact.

    tiktoken counts exactly. If its table can neither be found on this machine nor be downloaded
    within `timeout_s`, the returned function counts UTF-8 bytes, which is an upper bound.
    """
    encodings: list[tiktoken.Encoding] = []

    def fetch() -> None:
        try:
            encodings.append(tiktoken.encoding_for_model(model))
        except (KeyError, OSError, ValueError):
            return  # not OpenAI's model, no network, or a damaged table

    thread = threading.Thread(target=fetch, daemon=True, name="audioprobe-tiktoken")
    thread.start()
    thread.join(timeout_s)
    if not encodings:
        return lambda text: len(text.encode("utf-8", "surrogatepass")), False
    encoding = encodings[0]
    return lambda text: len(encoding.encode_ordinary(text)), True


def read_vectors(
    answer: Mapping[str, Any], n_texts: int, dimensions: int | None = None
) -> FloatArray:
    """Return the vectors of an answer in the order of the texts, float32, shape (n_texts, width).

    Raises:
        RequestFailedError: if the list `data` of the answer does not contain a vector with `index`
            and `embedding` for each text (retryable), or if the width of the vectors differs from
            `dimensions` (permanent).
    """
    items = answer.get("data")
    if not isinstance(items, list):
        raise _unusable(n_texts, "an answer without the list `data`")
    if len(items) != n_texts:
        raise _unusable(n_texts, f"{len(items)} objects")
    try:
        vectors = {int(item["index"]): item["embedding"] for item in items}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _unusable(
            n_texts, f"objects without `index` and `embedding` ({type(error).__name__})"
        ) from error
    if set(vectors) != set(range(n_texts)):
        more = ", ..." * (n_texts > _MAX_INDICES)
        raise _unusable(n_texts, f"the indices {sorted(vectors)[:_MAX_INDICES]}{more}")
    if any(isinstance(vector, str) for vector in vectors.values()):
        raise _unusable(n_texts, "vectors as text")
    try:
        array = np.array([vectors[n] for n in range(n_texts)], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # unequal width, or not numeric
        raise _unusable(n_texts, f"other values ({type(error).__name__})") from error
    if array.ndim != 2 or not array.shape[1]:
        raise _unusable(n_texts, f"arrays of shape {array.shape[1:]}")
    with np.errstate(over="ignore"):  # an overflow becomes infinity and is refused below
        result = array.astype(np.float32)
    if not np.isfinite(result).all():
        raise _unusable(n_texts, "NaN or infinity")
    if dimensions is not None and result.shape[1] != dimensions:
        raise RequestFailedError(
            f"Expected vectors of {dimensions} dimensions, got {result.shape[1]}. The model may "
            "have a fixed width. Remove `dimensions`."
        )
    return result


def _unusable(n_texts: int, received: str) -> RequestFailedError:
    """Return a retryable error; `received` describes the invalid answer."""
    return RequestFailedError(
        f"Expected {n_texts} vectors of one width, as lists of finite numbers with the indices 0 "
        f"to {n_texts - 1}, got {received}.",
        retryable=True,
    )
