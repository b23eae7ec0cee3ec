"""Requests to an embedding service: check texts, form batches, count tokens, read vectors."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tiktoken

from audioprobe.errors import InvalidInputError
from audioprobe.models.remote.retry import RequestFailedError
from audioprobe.types import FloatArray

# Limits of one request, from the API reference of "Create embeddings".
MAX_TEXTS = 2048
MAX_TOKENS = 300_000
MAX_TOKENS_PER_TEXT = 8191

_TABLE_TIMEOUT_S = 10.0  # tiktoken has no time limit for downloading its table
_MAX_INDICES = 10  # maximum in a message


def check_texts(texts: Sequence[str]) -> None:
    """Raise if a text is empty or contains lone surrogates; the message names the positions."""
    empty = [n for n, text in enumerate(texts) if not text]
    if empty:
        raise InvalidInputError(
            f"Texts must not be empty, but the texts at positions {empty[:5]} of {len(texts)} are. "
            "Remove the empty texts."
        )
    check_unicode(texts)


def check_unicode(texts: Sequence[str]) -> None:
    """Raise if a text contains lone surrogates; the message names the positions."""
    invalid = [n for n, text in enumerate(texts) if not _is_unicode(text)]
    if invalid:
        raise InvalidInputError(
            f"The texts at positions {invalid[:5]} contain lone surrogates, which UTF-8 cannot "
            "encode. They may have been read with a wrong encoding."
        )


def batches(
    texts: Sequence[str], count: Callable[[str], int], *, is_exact: bool
) -> Iterator[tuple[list[str], int]]:
    """Yield batches of consecutive texts with their token counts, within the limits of a request.

    If `count` is exact, a text with too many tokens raises `InvalidInputError`. If `count` is only
    an upper bound, such a text becomes a batch of its own, so that no other text is affected if the
    service rejects it.
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
    """Return a function that counts tokens, and whether its counts are exact.

    tiktoken counts exactly if its table is on this machine or can be downloaded within the time
    limit. Otherwise the number of UTF-8 bytes is used as an upper bound, because a token has at
    least one byte.
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

    The list `data` of the answer must contain one object per text, with `index` and `embedding`.
    For any other answer, raise a retryable `RequestFailedError`. If the width differs from
    `dimensions`, raise a permanent `RequestFailedError`.
    """
    items = answer.get("data")
    if not isinstance(items, list):
        raise _unusable(n_texts, "an answer without a list")
    if len(items) != n_texts:
        raise _unusable(n_texts, str(len(items)))
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
        raise _unusable(n_texts, "text (base64?)")
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
    return RequestFailedError(
        f"Expected {n_texts} vectors of one width, as lists of finite numbers with the indices 0 "
        f"to {n_texts - 1}, got {received}.",
        retryable=True,
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
